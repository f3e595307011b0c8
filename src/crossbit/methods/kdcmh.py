"""KDCMH: unsupervised deep cross-modal hashing by knowledge distillation. A reconstruction from the abstract."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

import torch

from crossbit.distillation import (
    Target,
    Walk,
    decided,
    diffused,
    image_weight_of,
    nearest,
    raw_similarity,
    real_valued,
    teacher_similarity,
)
from crossbit.errors import FileFormatError, SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.methods.jdsh import JDSH
from crossbit.nets import HashNet, hidden_net, linear_net, regular_net
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, silent
from crossbit.student import StudentLoss, StudentObjective
from crossbit.training import DeepMethod, Objective


def _default_teacher() -> Method:
    return JDSH(n_bits=128, epochs=30, hidden=1024)


@dataclass(frozen=True, kw_only=True)
class KDCMH(DeepMethod):
    """A teacher's similarity, made global, teaches a student codes that tell more apart.

    Three steps: fit the teacher, an unsupervised distribution-based similarity hashing (JDSH, unless told otherwise);
    distil from its real-valued outputs a modal-fusion similarity of all training pairs; learn the student on it.

    Source: Li, Wang, ICMR 2021. Only the abstract is public, so this is a reconstruction, not the paper's code.
    The abstract fixes: similarity information distilled from an unsupervised teacher of the distribution-based kind;
    a modal-fusion similarity matrix; a student of the supervised kind guided by it. We decided the rest.
    `KDCMH.plain()` is the nearest to the sister paper's recipe (the teacher's real-valued similarity as it is, a
    cosine reconstruction, the teacher's own networks and SGD). The defaults depart from it, each by a setting:
    the teacher has 128 bits whatever the student has (`teacher`), and trusts each modality as far as a rule without
    labels says (`image_weight = None`); its similarity is joined by that of the raw features (`teacher_share`) and
    diffused over its neighbour graph, on a logarithmic scale (`distillation = "diffused"`); a small contrastive term
    holds a pair's codes together (`contrast`); the student's networks are regularised by dropout and batch
    normalisation and learned with AdamW on a one-cycle schedule.
    """

    name: ClassVar[str] = "kdcmh"
    paper: ClassVar[Paper] = Paper(
        authors="Li, Wang",
        title="Unsupervised Deep Cross-Modal Hashing by Knowledge Distillation for Large-scale Cross-modal Retrieval",
        venue="ICMR",
        year=2021,
        link="https://doi.org/10.1145/3460426.3463626",
        reconstruction=True,
    )

    teacher: Method = field(default_factory=_default_teacher)  # any method; it is given this method's seed
    distillation: Literal["diffused", "real", "distribution", "neighbours"] = "diffused"
    image_weight: float | None = None  # trust in images among raw features, 0 to 1; None: by `image_weight_of`
    teacher_weights: tuple[float, float, float] = (0.25, 0.25, 0.5)  # within images, within texts, across
    teacher_slope: float = 5.0  # slope of the tanh on the teacher's outputs; large: nearly its codes
    guide_teacher: bool = True  # a JDSH teacher weighs the modalities by the trust in them, not as published
    teacher_share: float = 0.5  # share of the teacher in the similarity that is diffused; 0: raw features alone
    neighbours: int = 100  # k of the neighbour graph
    edge_power: float = 8.0  # edges weigh similarity to this power: near neighbours lead the walk
    walk: float = 0.99  # probability that the walk goes on
    whole_up_to: int = 10_000  # more pairs than this: compared with landmarks only
    n_landmarks: int = 2048
    spread_left: float = 2.0  # "distribution": unlike below mode - this * left spread
    spread_right: float = 4.0  # "distribution", "neighbours": alike above mode + this * right spread
    loss: Literal["cosine", "likelihood"] = "cosine"
    compare: Literal["batch", "buffer"] = "batch"  # with the batch, or with buffered codes of all pairs
    mu: float = 1.0  # scale of the target
    within: float = 1.0  # weight of the losses within a modality
    emphasis: float = 4.0  # an entry of the loss weighs 1 + this * max(target, 0)^2
    networks_as: Literal["regular", "published"] = "regular"  # "published": the teacher's kind, learned with SGD
    contrast: float = 0.1  # weight of the contrastive term
    temperature: float = 0.2
    quantization: float = 0.0  # weight of the distance to the signs; the likelihood wants 1
    balance: float = 0.0  # weight of the bit balance
    hidden: int = 512  # units of each network
    input_dropout: float = 0.3
    dropout: float = 0.5
    alpha_growth: float = 0.1  # slope of the tanh: 1 + this * epoch
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 2e-3  # the peak of the one-cycle schedule
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choices()
        for name, least in (("neighbours", 1), ("n_landmarks", 1), ("batch_size", 2)):  # 2: normalised, told apart
            if getattr(self, name) < least:
                raise SettingsError(f"{name} must be {least} or more; got {getattr(self, name)!r}.")
        for name in ("input_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{name} is a share from 0 to below 1; got {getattr(self, name)!r}.")
        if not self.temperature > 0:
            raise SettingsError(f"temperature must be above 0; got {self.temperature!r}.")
        if self.image_weight is not None and not 0 <= self.image_weight <= 1:
            raise SettingsError(f"image_weight is a share from 0 to 1, or None to be found; got {self.image_weight!r}.")
        if not 0 < self.walk < 1:
            raise SettingsError(f"walk is a probability above 0 and below 1; got {self.walk!r}.")
        object.__setattr__(self, "teacher_weights", tuple(self.teacher_weights))  # a list, when read from a file

    def _check_choices(self) -> None:
        """Raise SettingsError where a setting is none of the words it may be."""
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                known = ", ".join(map(repr, get_args(hint)))
                raise SettingsError(f"{name} is one of {known}; got {getattr(self, name)!r}.")

    @classmethod
    def plain(cls, **settings: Any) -> Self:
        """The plain reconstruction (dossier "KDCMH-R"): D3, cosine reconstruction, the teacher's networks and SGD."""
        n_bits = settings.get("n_bits", 64)
        plain: dict[str, Any] = {
            "teacher": JDSH(n_bits=n_bits, epochs=60),
            "distillation": "real",
            "teacher_weights": (0.4, 0.2, 0.4),
            "teacher_slope": 1.0,
            "mu": 1.4,
            "within": 1.0,
            "contrast": 0.0,
            "emphasis": 0.0,
            "networks_as": "published",
            "epochs": 40,
            "hidden": 4096,
            "learning_rate": 0.01,
            "weight_decay": 5e-4,
        }
        return cls(**{**plain, **settings})

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        teacher = self.fit_teacher(pairs, progress=progress, checkpoint=checkpoint)
        hasher = self.fit_student(pairs, teacher, progress=progress, checkpoint=checkpoint)
        if checkpoint is not None:
            kept = self._kept(pairs, checkpoint)
            for part in (kept, *checkpoint.glob(f".{kept.name}.*.part")):  # the latter: from a kill while writing
                part.unlink(missing_ok=True)
        return hasher

    def fit_teacher(
        self, pairs: PairedFeatures, *, progress: Progress = silent, checkpoint: Path | None = None
    ) -> Hasher:
        """The first step. With a checkpoint folder the finished teacher is kept there until the student is done."""
        if self.teacher.supervised:
            raise SettingsError(f"kdcmh is unsupervised; its teacher {self.teacher.name} needs labels. Choose another.")
        kept = None if checkpoint is None else self._kept(pairs, checkpoint)
        if kept is not None and kept.is_file():
            with contextlib.suppress(FileFormatError):  # a damaged teacher is fitted again
                return Hasher.load(kept)
        weight = self.trust(pairs)
        settings: dict[str, Any] = {"seed": self.seed}
        if isinstance(self.teacher, JDSH) and self.guide_teacher:
            both = self.teacher.weight_image + self.teacher.weight_text
            settings |= {"weight_image": both * weight, "weight_text": both * (1 - weight)}
        hasher = self.teacher.with_settings(settings).fit(pairs, progress=progress, checkpoint=checkpoint)
        if kept is not None:
            hasher.save(kept)
        return hasher

    def distil(self, pairs: PairedFeatures, teacher: Hasher, progress: Progress = silent) -> Target:
        """The second step: a similarity of all training pairs out of the teacher's real-valued outputs."""
        taught = teacher_similarity(teacher, pairs, self.teacher_weights, self.teacher_slope)
        if self.distillation == "real":
            return real_valued(taught)
        if self.distillation == "distribution":
            return decided(taught, self.spread_left, self.spread_right)
        if self.distillation == "neighbours":
            return nearest(teacher, pairs, taught, self.spread_right)
        fused = raw_similarity(pairs, self.trust(pairs)).plus(taught.standardised(), self.teacher_share)
        graph = Walk(self.neighbours, self.edge_power, self.walk, self.whole_up_to, self.n_landmarks, self.seed)
        return diffused(fused.standardised(), graph, progress)

    def fit_student(
        self, pairs: PairedFeatures, teacher: Hasher, *, progress: Progress = silent, checkpoint: Path | None = None
    ) -> Hasher:
        """The third step: learn on what the teacher's similarity says."""
        target = self.distil(pairs, teacher, progress)
        return self.learn(pairs, lambda _: StudentObjective(self.student_loss(), target), progress, checkpoint)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The student's objective, teacher and all."""
        return StudentObjective(self.student_loss(), self.distil(pairs, self.fit_teacher(pairs)))

    def student_loss(self) -> StudentLoss:
        """The settings of the loss."""
        names = (field.name for field in dataclasses.fields(StudentLoss))
        return StudentLoss(**{name: getattr(self, name) for name in names})

    def trust(self, pairs: PairedFeatures) -> float:
        """The weight of images among raw features: as set, or found without labels."""
        return image_weight_of(pairs, seed=self.seed) if self.image_weight is None else self.image_weight

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """Two regularised networks of one hidden layer; or a linear image and a hidden text network, as published."""
        if self.networks_as == "published":
            d_image, d_text = pairs.image.shape[1], pairs.text.shape[1]
            return linear_net(d_image, self.n_bits), hidden_net(d_text, self.n_bits, self.hidden)
        shape = (self.n_bits, self.hidden, self.input_dropout, self.dropout)
        return regular_net(pairs.image, *shape), regular_net(pairs.text, *shape)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """AdamW; SGD with momentum, as published."""
        parameters = [*image.parameters(), *text.parameters()]
        rate, decay = self.learning_rate, self.weight_decay
        if self.networks_as == "published":
            return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=decay, fused=True)
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)

    def rate_factor(self, progress: float) -> float:
        """One cycle: up for 30 % of the way, then down to nothing, both as half a cosine; constant as published."""
        if self.networks_as == "published":
            return 1.0
        along = progress / 0.3 if progress < 0.3 else (1 - progress) / 0.7
        return max(0.5 - 0.5 * math.cos(math.pi * along), 1e-3)

    def alpha(self, epoch: int) -> float:
        """1 + growth * epoch; sqrt(epoch + 1) as published."""
        return math.sqrt(epoch + 1) if self.networks_as == "published" else 1 + self.alpha_growth * epoch

    def _kept(self, pairs: PairedFeatures, folder: Path) -> Path:
        key = f"{self.settings()} {pairs.fingerprint()}".encode()
        return folder / f"teacher-{hashlib.sha256(key).hexdigest()[:16]}.safetensors"
