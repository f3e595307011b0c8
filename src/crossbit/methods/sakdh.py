"""SAKDH: KDCMH's recipe with another teacher, the one that aligns semantics. A reconstruction from the abstract."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.methods.dsah import DSAH
from crossbit.methods.kdcmh import KDCMH
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, silent


def _default_teacher() -> Method:
    return DSAH(n_bits=128, epochs=15, hidden=1024)


@dataclass(frozen=True, kw_only=True)
class SAKDH(KDCMH):
    """A semantic-alignment teacher's similarity of all pairs guides a student of the supervised kind.

    Three steps, KDCMH's: fit the teacher (DSAH, unless told otherwise); distil from its real-valued outputs a
    modal-fusion similarity of all training pairs; learn the student on it.

    Source: Li, Li, Tang, Peng, Ma, Yang, Computational Intelligence and Neuroscience 2021. Its abstract alone was open
    to us, so this is a reconstruction. The abstract fixes: an unsupervised semantic-alignment hashing (DSAH's word
    for itself) as the teacher; a modal-fusion similarity matrix, reconstructed from what that pre-trained teacher
    knows of hidden correlations; a supervised student guided by it. It is the abstract of KDCMH, by the same first
    author in the same year, with another teacher; so everything but the teacher is KDCMH's here (see there for what
    is decided, and by which rule), and KDCMH with `teacher = DSAH(...)` is the same method.
    Departures from DSAH in its place as a teacher: 128 bits whatever the student has, 15 epochs and 1,024 hidden
    units, which are what the rules without labels chose for KDCMH's teacher; and `guide_teacher` weighs its
    modalities by the trust in them, as KDCMH weighs its teacher's, where DSAH has .9 for images.
    """

    name: ClassVar[str] = "sakdh"
    paper: ClassVar[Paper] = Paper(
        authors="Li, Li, Tang, Peng, Ma, Yang",
        title="Deep Unsupervised Hashing for Large-Scale Cross-Modal Retrieval Using Knowledge Distillation Model",
        venue="Computational Intelligence and Neuroscience",
        year=2021,
        link="https://doi.org/10.1155/2021/5107034",
        reconstruction=True,
    )

    teacher: Method = field(default_factory=_default_teacher)  # any method; gets this method's seed and device
    guide_teacher: bool = True  # a DSAH teacher weighs the modalities by the trust in them, not as published

    def fit_teacher(
        self, pairs: PairedFeatures, *, progress: Progress = silent, checkpoint: Path | None = None
    ) -> Hasher:
        """The first step: an unsupervised method's hasher."""
        settled = self
        if isinstance(self.teacher, DSAH) and self.guide_teacher:
            guided = dataclasses.replace(self.teacher, weight_image=self.trust(pairs))
            settled = dataclasses.replace(self, teacher=guided)
        return super(SAKDH, settled).fit_teacher(pairs, progress=progress, checkpoint=checkpoint)
