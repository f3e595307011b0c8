"""CCA-ITQ: canonical directions weighted by their correlation, turned by the rotation that loses least to the sign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.linalg

from crossbit.correlation import DEFAULT_POWER, DEFAULT_RIDGE, Matrix, canonical_directions, check_ridge, expansion
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, Step


@dataclass(frozen=True, kw_only=True)
class CCAITQ(Method):
    """Iterative quantization of the canonical space, one rotation for images and texts.

    ridge: share of the mean variance added to each covariance. The paper adds 1e-4 as it is, which on rows of length
    1 in about a thousand dimensions is a share of .1.
    power: directions are scaled by correlation ** power. The paper scales by the correlation (1); the authors' later
    work on retrieval across images and tags (Gong, Ke, Isard and Lazebnik, IJCV 2014) scales by its fourth power.
    iterations: rounds of "sign, then rotate"; the paper's 50.

    Departure: where the data has fewer canonical directions than bits, the paper has no code of that length. Here the
    rotation becomes a tight frame (k, n_bits) with k directions, started at random and bettered by the same rounds.
    """

    name: ClassVar[str] = "cca-itq"
    paper: ClassVar[Paper] = Paper(
        authors="Yunchao Gong, Svetlana Lazebnik, Albert Gordo, Florent Perronnin",
        title="Iterative Quantization: A Procrustean Approach to Learning Binary Codes for Large-Scale Image Retrieval",
        venue="IEEE TPAMI 35(12)",
        year=2013,
        link="https://doi.org/10.1109/TPAMI.2012.193",
    )

    ridge: float = DEFAULT_RIDGE  # share of the mean variance added to each covariance
    power: float = DEFAULT_POWER  # directions are scaled by their correlation to this power; the paper has 1
    iterations: int = 50  # rounds of "sign, then rotate"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ridge(self.ridge)
        if not 0 <= self.power <= 100:
            raise SettingsError(f"power must be from 0 to 100 (the paper's is 1); got {self.power!r}.")
        if self.iterations < 0:
            raise SettingsError(f"iterations must be 0 or more (the paper's are 50); got {self.iterations!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        found = canonical_directions(pairs, ridge=self.ridge, at_most=self.n_bits)
        weights = found.weights(self.power)
        image = (pairs.image - found.image_mean) @ (found.image @ weights)
        text = (pairs.text - found.text_mean) @ (found.text @ weights)
        start = expansion(len(found), self.n_bits, np.random.default_rng(self.seed))
        rotation = itq_rotation(np.concatenate([image, text]), start, self.iterations, progress)
        image_map, text_map = found.maps(weights @ rotation)
        return Hasher(image_map, text_map, report={"directions": len(found)})


def itq_rotation(values: Matrix, start: Matrix, iterations: int, progress: Progress) -> Matrix:
    """The (k, n_bits) matrix with orthonormal rows that brings values (n, k) closest to their signs.

    start: (k, n_bits) with orthonormal rows, n_bits at least k. Each round takes the signs of values @ rotation and
    then solves the orthogonal Procrustes problem for them. Source: Gong and Lazebnik, CVPR 2011, section 2.2.
    """
    rotation = start
    for done in range(1, iterations + 1):
        signs = np.where(values @ rotation >= 0, 1.0, -1.0)
        left, _, right = scipy.linalg.svd(values.T @ signs, full_matrices=False, check_finite=False)
        rotation = left @ right
        progress(Step("rotation", done, iterations))
    return rotation
