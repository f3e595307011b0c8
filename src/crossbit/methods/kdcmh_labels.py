"""KDCMH's student taught by labels: how far a perfect similarity would take it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from crossbit.distillation import Target
from crossbit.errors import LabelError
from crossbit.hasher import Hasher
from crossbit.methods.kdcmh import KDCMH
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress
from crossbit.student import StudentObjective


@dataclass(frozen=True, kw_only=True)
class KDCMHLabels(KDCMH):
    """The same student on the similarity of labels: 1 for pairs that share one, 0 for others. Supervised.

    An ablation asked of every distillation: it parts what the distilled similarity lacks from what the student
    cannot learn. The settings of teacher and distillation have no effect here.

    Source: KDCMH's (Li, Wang, ICMR 2021), whose student is of the supervised kind; a reconstruction, as KDCMH is.
    """

    name: ClassVar[str] = "kdcmh-labels"
    supervised: ClassVar[bool] = True

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        return self.learn(pairs, self.objective, progress, checkpoint)

    def objective(self, pairs: PairedFeatures) -> StudentObjective:
        """The student's loss on the labels' similarity."""
        if pairs.labels is None:
            raise LabelError("kdcmh-labels is supervised and needs labels; the pairs have none.")
        labels = torch.tensor(pairs.labels, dtype=torch.float32)
        alike = (labels @ labels.T > 0).float().fill_diagonal_(1.0)
        return StudentObjective(self.student_loss(), Target(alike, torch.arange(len(labels))))
