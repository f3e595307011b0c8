"""What methods on label levels share: the levels of the pairs, and networks that drop units at random."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from crossbit.errors import LabelError
from crossbit.hasher import Hasher
from crossbit.nets import HashNet, Standardise
from crossbit.pairs import Features, Labels, PairedFeatures
from crossbit.progress import Progress
from crossbit.training import DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class HierarchicalMethod(DeepMethod):
    """A method with labels that learns from two levels of them where the pairs have two, else from one."""

    supervised: ClassVar[bool] = True
    hierarchical: ClassVar[bool] = True

    hierarchy: bool = True  # False: learn from the labels by which relevance is told alone, as from one level

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The objective on the levels of the pairs."""
        return self.level_objective(self.levels(pairs))

    @abstractmethod
    def level_objective(self, levels: tuple[Labels, ...]) -> Objective:
        """The objective on one level, or on a coarse and a fine one: (n, c) bool each."""

    def levels(self, pairs: PairedFeatures) -> tuple[Labels, ...]:
        """The levels from coarse to fine, without classes that no pair has; raises LabelError without labels."""
        if pairs.labels is None:
            raise LabelError(f"{self.name} is supervised and needs labels; the pairs have none.")
        given = pairs.levels if self.hierarchy and pairs.levels else (pairs.labels,)
        return tuple(level[:, level.any(axis=0)] for level in given)

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        levels = self.levels(pairs)
        # Side by side as the pairs' labels, so that a checkpoint of other levels is another file.
        joined = PairedFeatures(pairs.image, pairs.text, np.hstack(levels))
        hasher = self.learn(joined, lambda _: self.level_objective(levels), progress, checkpoint)
        return dataclasses.replace(hasher, report={**hasher.report, "label_levels": len(levels)})


def dropping_net(features: Features, n_bits: int, hidden: int, input_dropout: float, dropout: float) -> HashNet:
    """One hidden layer after standardised, partly dropped inputs; its outputs may take any scale."""
    return HashNet(
        Standardise(features),
        nn.Dropout(input_dropout),
        nn.Linear(features.shape[1], hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, n_bits),
    )


def as_tensor(labels: Labels) -> Tensor:
    """Labels (n, c) as 0 and 1."""
    return torch.tensor(labels, dtype=torch.float32)


def metric_labels(levels: tuple[Labels, Labels], *, released: bool = False) -> Labels:
    """The labels by which relevance is told under the finest level.

    released: what the released metric takes, all columns of both levels from the ninth on: the fine ones where there
    are 8 coarse classes (FashionVC), wrong for any other number of them (Ssense has 4, so 4 fine classes are lost).
    """
    return np.hstack(levels)[:, 8:] if released else levels[1]
