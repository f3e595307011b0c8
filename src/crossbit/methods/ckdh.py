"""CKDH: CLIP-based knowledge distillation hashing. A reconstruction from the abstract."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from crossbit.aligned_teacher import PAPER, AlignedTeacher, canonical_space, check_aligned, similarity_terms
from crossbit.clip_heads import HeadMethod
from crossbit.errors import DataError, SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, silent
from crossbit.similarity import cosine
from crossbit.training import Batch, Objective


@dataclass(frozen=True, kw_only=True)
class CKDH(HeadMethod):
    """A frozen common space of images and texts is given heads by labels; what they say of pairs teaches two networks.

    The teacher's texts first take from the texts around them, by graph attention. It leaves a similarity of pairs,
    S = ((2 sigma(Theta) - 1) + (C_vv + C_tt) / 2 + (C_vt + C_tv) / 2) / 3, with Theta half the inner products of its
    image and text codes, and C their cosines within and across. The student minimises the likelihood of (1 + S) / 2,
    the squared differences of its own cosines to S, within and across, and the distance to the signs. It sees an item
    alone: no graph and no common space when it encodes.

    Source: Li, Wong, Jiang, Fang, Xie, Xu, IEEE TCSVT 2024, whose abstract alone was open to us: CLIP fine-tuned for
    images, a graph attention network for bags of words, and distilled knowledge that jointly preserves
    "log-likelihood, intra and inter modality similarities", for lightweight networks. Of labels it says nothing; a
    likelihood needs to know which pairs are alike, so here labels teach the teacher, and only the teacher. Formulas,
    weights and networks are ours. Do not take its scores for the paper's.
    Departures known: CLIP is not fine-tuned, and need not be there. `space = "canonical"` is the weighted canonical
    space of the training pairs, which any two encoders have; `"given"` takes the features themselves, which must
    then be those of an aligned encoder such as CLIP; and `fit_under` takes the teacher's features beside the student's,
    so that CLIP can teach networks on smaller encoders. The graph is that of all training texts, not of a batch.
    """

    name: ClassVar[str] = "ckdh"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = PAPER

    space: Literal["canonical", "given"] = "canonical"  # where the teacher compares images with texts
    directions: int = 64  # width of the canonical space
    neighbours: int = 20  # texts around a text
    attention_units: int = 64  # of all heads together
    attention_heads: int = 4
    intra: float = 1.0  # weight of the cosines within the modalities
    inter: float = 1.0  # weight of the cosines across
    quantization: float = 0.1  # weight of the distance to the signs
    teacher_epochs: int = 15
    learning_rate_teacher: float = 1e-2  # the peak; its heads are linear. Chosen on training pairs alone
    epochs: int = 40

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("directions", "neighbours", "attention_units", "attention_heads", "teacher_epochs"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        if self.attention_units % self.attention_heads:
            raise SettingsError(
                f"attention_units are shared out to the heads, so attention_heads = {self.attention_heads} must divide "
                f"them; got {self.attention_units!r}."
            )

    def fit_under(self, pairs: PairedFeatures, teacher: PairedFeatures, *, progress: Progress = silent) -> Hasher:
        """Learn networks on the pairs' features from a teacher that sees others, row i of both being pair i.

        teacher: (n, d) features of images and of texts in one space, such as CLIP's; its labels are not used. Pairs
        in which a modality is all zeros, here or there, are left out. Raises LabelError where the pairs have no
        labels, MismatchError where the teacher's rows or widths do not fit, DataError for fewer than two usable pairs.
        """
        check_aligned(teacher, len(pairs))
        usable = np.setdiff1d(np.arange(len(pairs)), np.union1d(pairs.empty_rows(), teacher.empty_rows()))
        if len(usable) < 2:
            raise DataError(f"Learning needs at least 2 usable pairs (hundreds are better); got {len(usable)}.")
        space = teacher[usable]
        hasher = self.learn(pairs[usable], lambda own: self.taught_by(own, space, progress), progress)
        report = {**hasher.report, "pairs": len(usable), "taught_by": teacher.fingerprint()}
        return dataclasses.replace(hasher, method=self.name, settings=self.settings(), report=report)

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        space = self.common_space(pairs)
        return self.learn(pairs, lambda own: self.taught_by(own, space, progress), progress, checkpoint)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """What the student learns, from a teacher fitted on the spot."""
        return self.taught_by(pairs, self.common_space(pairs))

    def common_space(self, pairs: PairedFeatures) -> PairedFeatures:
        """The rows of the pairs in the space where the teacher compares images with texts."""
        space = pairs if self.space == "given" else canonical_space(pairs, self.directions)
        check_aligned(space, len(pairs))
        return space

    def taught_by(self, pairs: PairedFeatures, space: PairedFeatures, progress: Progress = silent) -> CKDHObjective:
        """The student's loss under a teacher that learns on the space's rows with the pairs' labels."""
        taught = self.teacher().outputs(PairedFeatures(space.image, space.text, pairs.labels), progress)
        return CKDHObjective(self, *taught)

    def teacher(self) -> AlignedTeacher:
        """The teacher with this method's settings."""
        names = {field.name for field in dataclasses.fields(AlignedTeacher)}
        shared = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return AlignedTeacher(**{**shared, "epochs": self.teacher_epochs, "learning_rate": self.learning_rate_teacher})


class CKDHObjective(Objective):
    """First the distilled similarity, then the student's loss."""

    image_taught: Tensor  # (n, n_bits): the teacher's relaxed codes
    text_taught: Tensor

    def __init__(self, method: CKDH, image_taught: Tensor, text_taught: Tensor) -> None:
        super().__init__()
        self.method = method
        # Made anew from the settings, so a checkpoint need not hold them.
        self.register_buffer("image_taught", image_taught, persistent=False)
        self.register_buffer("text_taught", text_taught, persistent=False)

    def similarity(self, rows: Tensor) -> Tensor:
        """S of the teacher: (b,) -> (b, b) in [-1, 1]."""
        image, text = self.image_taught[rows], self.text_taught[rows]
        likely = torch.tanh(image @ text.T / 4)  # 2 sigma(Theta) - 1
        within = (cosine(image, image) + cosine(text, text)) / 2
        across = cosine(image, text)
        return (likely + within + (across + across.T) / 2) / 3

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the teacher's loss, on the teacher's similarity."""
        m, taught = self.method, self.similarity(batch.rows)
        codes = (batch.image_code, batch.text_code)
        return similarity_terms((1 + taught) / 2, taught, *codes, m.intra, m.inter, m.quantization)
