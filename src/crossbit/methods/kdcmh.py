"""KDCMH: unsupervised deep cross-modal hashing by knowledge distillation. A reconstruction from the abstract."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from crossbit.checkpoint import KeptHasher
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
from crossbit.errors import SettingsError
from crossbit.evaluation.monitors import teacher_agreement
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.methods.jdsh import JDSH
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, silent
from crossbit.taught import PAPER, TaughtMethod
from crossbit.training import Objective

PLAIN: dict[str, Any] = {
    "distillation": "real",
    "teacher_weights": (0.4, 0.2, 0.4),
    "teacher_slope": 1.0,
    "guide_teacher": False,
    "mu": 1.4,
    "contrast": 0.0,
    "emphasis": 0.0,
    "networks_as": "published",
    "epochs": 40,
    "hidden": 4096,
    "batch_size": 128,
    "learning_rate": 0.01,
    "weight_decay": 5e-4,
}
"""The settings of the plain reconstruction, besides its teacher."""


def _default_teacher() -> Method:
    return JDSH(n_bits=128, epochs=15, hidden=1024)


@dataclass(frozen=True, kw_only=True)
class KDCMH(TaughtMethod):
    """A teacher's similarity, made global, teaches a student codes that tell more apart.

    Three steps: fit the teacher, an unsupervised distribution-based similarity hashing (JDSH, unless told otherwise);
    distil from its real-valued outputs a modal-fusion similarity of all training pairs; learn the student on it.

    Source: Li, Wang, ICMR 2021. Only the abstract is public, so this is a reconstruction, not the paper's code.
    The abstract fixes: similarity information distilled from an unsupervised teacher of the distribution-based kind;
    a modal-fusion similarity matrix; a student of the supervised kind guided by it. We decided the rest.
    `KDCMH.plain()` is the nearest to the sister paper's recipe (the teacher's real-valued similarity as it is, a
    cosine reconstruction, the teacher's own networks and SGD). The defaults depart from it, each by a setting:
    the teacher has 128 bits whatever the student has (`teacher`) and weighs the modalities by how far each is to be
    trusted, found anew for every fit (`image_weight`); its similarity is joined by that of the raw features
    (`teacher_share`) and diffused over its neighbour graph, on a logarithmic scale (`distillation = "diffused"`);
    near pairs weigh more in the loss (`emphasis`), a small contrastive term holds a pair's codes together
    (`contrast`); the student's networks are regularised and learned with AdamW (`networks_as`).

    Defaults: `image_weight` is found for every fit (`image_weight_of`). Rules without labels, on training rows alone
    (benchmarks/choose_defaults.py), chose `neighbours`, `edge_power`, `walk`, of the teacher the code length, the
    hidden units, the epochs and that it is guided, `teacher_slope`, `teacher_share` and of the student `hidden`,
    `batch_size`, `epochs`, `learning_rate`, `alpha_growth`, the dropouts, `emphasis`, `contrast` and `temperature`.
    Neutral or usual values have `mu`, `within`, `teacher_weights` and `weight_decay`. All are the same for all data
    and code lengths.
    The report of a fit tells, without labels, the trust in images that was found (`image_weight`) and how far the
    codes keep the teacher's order of the training pairs (`teacher_agreement`);
    `crossbit.evaluation.code_monitors` tells how the codes came out.
    """

    name: ClassVar[str] = "kdcmh"
    paper: ClassVar[Paper] = PAPER

    teacher: Method = field(default_factory=_default_teacher)  # any method; gets this method's seed and device
    guide_teacher: bool = True  # a JDSH teacher weighs the modalities by the trust in them, not as published
    image_weight: float | None = None  # trust in images rather than texts, 0 to 1; None: by `image_weight_of`
    distillation: Literal["diffused", "real", "distribution", "neighbours"] = "diffused"  # what the target is
    teacher_weights: tuple[float, float, float] = (0.25, 0.25, 0.5)  # within images, within texts, across
    teacher_slope: float = 5.0  # slope of the tanh on the teacher's outputs; large: nearly its codes
    teacher_share: float = 0.5  # share of the teacher in the similarity that is diffused; 0: raw features alone
    neighbours: int = 100  # k of the neighbour graph
    edge_power: float = 8.0  # edges weigh similarity to this power: near neighbours lead the walk
    walk: float = 0.9  # probability that the walk goes on
    whole_up_to: int = 10_000  # more pairs than this: compared with landmarks only
    n_landmarks: int = 2048
    spread_left: float = 2.0  # "distribution": unlike below mode - this * left spread
    spread_right: float = 4.0  # "distribution", "neighbours": alike above mode + this * right spread

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("neighbours", "n_landmarks"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        if self.image_weight is not None and not 0 <= self.image_weight <= 1:
            raise SettingsError(f"image_weight is a share from 0 to 1, or None to be found; got {self.image_weight!r}.")
        if not 0 < self.walk < 1:
            raise SettingsError(f"walk is a probability above 0 and below 1; got {self.walk!r}.")
        object.__setattr__(self, "teacher_weights", tuple(self.teacher_weights))  # a list, when read from a file

    @classmethod
    def plain(cls, **settings: Any) -> Self:
        """The plain reconstruction: D3, cosine reconstruction, a teacher of the same length, its networks and SGD."""
        teacher = JDSH(n_bits=settings.get("n_bits", 64), epochs=60)
        return cls(**{"teacher": teacher, **PLAIN, **settings})

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        kept = KeptHasher(checkpoint, key=f"teacher {self.settings()} {pairs.fingerprint()}")
        settled = dataclasses.replace(self, image_weight=self.trust(pairs))  # found once for all three steps
        teacher = kept.load_or(lambda: settled.fit_teacher(pairs, progress=progress, checkpoint=checkpoint))
        hasher = settled.fit_student(pairs, teacher, progress=progress, checkpoint=checkpoint)
        kept.clear()
        kept_order = teacher_agreement(hasher, teacher, pairs, seed=self.seed) if len(pairs) > 2 else None
        noted = {"image_weight": settled.image_weight, "teacher_agreement": kept_order}
        return dataclasses.replace(hasher, report={**hasher.report, **noted})

    def fit_teacher(
        self, pairs: PairedFeatures, *, progress: Progress = silent, checkpoint: Path | None = None
    ) -> Hasher:
        """The first step: an unsupervised method's hasher."""
        if self.teacher.supervised:
            raise SettingsError(
                f"{self.name} is unsupervised; its teacher {self.teacher.name} needs labels. Choose another."
            )
        settings: dict[str, Any] = {"seed": self.seed}
        if any(own.name == "device" for own in dataclasses.fields(self.teacher)):
            settings["device"] = self.device
        if isinstance(self.teacher, JDSH) and self.guide_teacher:
            both, trust = self.teacher.weight_image + self.teacher.weight_text, self.trust(pairs)
            settings |= {"weight_image": both * trust, "weight_text": both * (1 - trust)}
        return self.teacher.with_settings(settings).fit(pairs, progress=progress, checkpoint=checkpoint)

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
        how = Walk(self.neighbours, self.edge_power, self.walk, self.whole_up_to, self.n_landmarks, self.seed)
        return diffused(fused.standardised(), how, progress)

    def fit_student(
        self, pairs: PairedFeatures, teacher: Hasher, *, progress: Progress = silent, checkpoint: Path | None = None
    ) -> Hasher:
        """The third step: networks learned on what the teacher's similarity says."""
        target = self.distil(pairs, teacher, progress)
        return self.learn(pairs, lambda _: self.taught_by(target), progress, checkpoint)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The three steps up to the student's loss."""
        return self.taught_by(self.distil(pairs, self.fit_teacher(pairs)))

    def trust(self, pairs: PairedFeatures) -> float:
        """The weight of images: as set, or found without labels."""
        return image_weight_of(pairs, seed=self.seed) if self.image_weight is None else self.image_weight
