"""KDCMH's student taught by labels: how far a perfect similarity would take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from crossbit.distillation import Target
from crossbit.errors import LabelError, SettingsError
from crossbit.method import Paper
from crossbit.pairs import PairedFeatures
from crossbit.taught import PAPER, TaughtMethod
from crossbit.training import Objective


@dataclass(frozen=True, kw_only=True)
class KDCMHLabels(TaughtMethod):
    """The same student on the similarity of labels: 1 for pairs that share one, 0 for others. Supervised.

    An ablation asked of every distillation: it parts what the distilled similarity lacks from what the student
    cannot learn.

    Above `whole_up_to` pairs, each is compared with drawn landmarks alone, as in KDCMH: no n x n table is held.

    Source: KDCMH's (Li, Wang, ICMR 2021), whose student is of the supervised kind; a reconstruction, as KDCMH is.
    """

    name: ClassVar[str] = "kdcmh-labels"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = PAPER

    whole_up_to: int = 20_000  # more pairs than this: compared with landmarks only
    n_landmarks: int = 2048

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_landmarks < 1:
            raise SettingsError(f"n_landmarks must be 1 or more; got {self.n_landmarks!r}.")

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The student's loss on the labels' similarity."""
        if pairs.labels is None:
            raise LabelError("kdcmh-labels is supervised and needs labels; the pairs have none.")
        labels, n = torch.tensor(pairs.labels, dtype=torch.float32), len(pairs)
        columns = torch.arange(n)
        if n > self.whole_up_to:
            drawn = np.random.default_rng(self.seed).choice(n, min(self.n_landmarks, n), replace=False)
            columns = torch.from_numpy(np.sort(drawn))
        alike = (labels @ labels[columns].T > 0).float()
        alike[columns, torch.arange(len(columns))] = 1.0  # a pair without labels is still like itself
        return self.taught_by(Target(alike, columns))
