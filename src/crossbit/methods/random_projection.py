"""Random projection: the floor. Each modality gets directions of its own, so the two codes have nothing in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from crossbit.correlation import affine, centred
from crossbit.hasher import Hasher, HashFunction
from crossbit.method import Method, Paper
from crossbit.pairs import Features, PairedFeatures
from crossbit.progress import Progress


@dataclass(frozen=True, kw_only=True)
class RandomProjection(Method):
    """Signs of centred features on random Gaussian directions, drawn for images and texts apart.

    Within a modality the codes keep angles; across modalities they say nothing, so retrieval stands at the share of
    relevant items. A method that does not clearly beat this one is broken. It learns only the two means.
    """

    name: ClassVar[str] = "random-projection"
    paper: ClassVar[Paper] = Paper(
        authors="Moses S. Charikar",
        title="Similarity Estimation Techniques from Rounding Algorithms",
        venue="STOC",
        year=2002,
        link="https://doi.org/10.1145/509907.509965",
    )

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        image_generator, text_generator = np.random.default_rng(self.seed).spawn(2)
        return Hasher(self._project(pairs.image, image_generator), self._project(pairs.text, text_generator))

    def _project(self, rows: Features, generator: np.random.Generator) -> HashFunction:
        mean, _ = centred(rows)
        return affine(generator.standard_normal((rows.shape[1], self.n_bits)), mean)
