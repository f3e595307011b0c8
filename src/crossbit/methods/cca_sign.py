"""CCA with sign: the canonical directions of images and texts, thresholded at zero."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from crossbit.correlation import DEFAULT_RIDGE, canonical_directions, check_ridge, expansion
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress


@dataclass(frozen=True, kw_only=True)
class CCASign(Method):
    """Cross-view hashing (CVH) in its case without labels, which is CCA: bit j is the sign of direction j.

    ridge: share of the mean variance added to each covariance. The paper has none; CCA of more features than the
    pairs can settle needs one. Later bits lie along weaker directions, so longer codes can be worse: a property of
    the method, not of this code.

    Departure: where the data has fewer canonical directions than bits, the paper has no code of that length. Here
    the bits are then signs on random directions in the canonical space, as orthogonal to each other as they can be
    (a tight frame), the same for both modalities.
    """

    name: ClassVar[str] = "cca-sign"
    paper: ClassVar[Paper] = Paper(
        authors="Shaishav Kumar, Raghavendra Udupa",
        title="Learning Hash Functions for Cross-View Similarity Search",
        venue="IJCAI",
        year=2011,
        link="https://doi.org/10.5591/978-1-57735-516-8/IJCAI11-230",
    )

    ridge: float = DEFAULT_RIDGE  # share of the mean variance added to each covariance

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ridge(self.ridge)

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        found = canonical_directions(pairs, ridge=self.ridge, at_most=self.n_bits)
        mixing = np.eye(self.n_bits)
        if len(found) < self.n_bits:
            mixing = expansion(len(found), self.n_bits, np.random.default_rng(self.seed))
        image, text = found.maps(mixing)
        return Hasher(image, text, report={"directions": len(found)})
