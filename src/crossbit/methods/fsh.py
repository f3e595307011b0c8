"""FSH: codes that reproduce one similarity fused from the anchor graphs of both modalities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.linalg

from crossbit.anchor_graphs import FusedSimilarity, fused_similarity
from crossbit.correlation import Matrix, check_ridge, expansion
from crossbit.errors import SettingsError
from crossbit.factorisation import ScaledRows, descend_bits, last_of, ridge_weight, scaled, signs
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress


@dataclass(frozen=True, eq=False)
class FSHState:
    """codes: (n, c) and anchor_codes: (p, c) of -1 and 1. weights: (d, c) for images and for texts."""

    codes: Matrix
    anchor_codes: Matrix
    weights: tuple[Matrix, Matrix]


@dataclass(frozen=True, kw_only=True)
class FSH(Method):
    """Fusion similarity hashing: codes of items and of anchors whose products are a similarity of both modalities.

    Minimised is  mean_ia ( S_ia - b_i g_a' / c )^2 + fit / c sum_t ( mean_i |b_i - x_ti W_t|^2 + ridge v_t |W_t|^2 )
    over codes b_i of items and g_a of anchors in {-1, 1} and linear hash functions W_t (v_t: mean variance), with S
    the similarity of `crossbit.anchor_graphs.fused_similarity`. In turn: b and g bit by bit, W_t by ridge regression;
    no step raises it.

    A reconstruction from the abstract and an outline: the paper's text was not open to us, so its equation numbers and
    settings are not known, and all defaults are ours, taken without labels. What is known: an undirected asymmetric
    graph fuses the modalities, inspired by fusion by diffusion; codes are found in turn, bit by bit; hash functions
    are linear. Departures we know of: anchors are pairs drawn at random, the same ones in both modalities.
    """

    name: ClassVar[str] = "fsh"
    paper: ClassVar[Paper] = Paper(
        authors="Hong Liu, Rongrong Ji, Yongjian Wu, Feiyue Huang, Baochang Zhang",
        title="Cross-Modality Binary Code Learning via Fusion Similarity Hashing",
        venue="CVPR",
        year=2017,
        link="https://doi.org/10.1109/CVPR.2017.672",
        reconstruction=True,
    )

    anchors: int = 500  # pairs that stand for all; fewer where there are fewer pairs
    neighbours: int = 10  # nearest anchors an item is linked to in each modality
    fit_weight: float = 0.01  # how much codes are held to what the hash functions can say
    ridge: float = 0.1  # of the hash functions, as a share of the mean variance
    iterations: int = 20  # rounds of hash functions, anchor codes and codes

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ridge(self.ridge)
        for name in ("anchors", "neighbours", "iterations"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        if self.fit_weight < 0:
            raise SettingsError(f"fit_weight must be 0 or more; got {self.fit_weight!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        image, text = scaled(pairs.image), scaled(pairs.text)
        similarity = self.similarity(image, text)
        state = last_of(self.steps(image, text, similarity), "codes", 3, self.iterations, progress)
        report = {"objective": self.objective(image, text, similarity, state), "anchors": len(similarity.mean)}
        maps = [side.ridge_map(state.codes, self.ridge) for side in (image, text)]
        return Hasher(maps[0], maps[1], report=report)

    def similarity(self, image: ScaledRows, text: ScaledRows) -> FusedSimilarity:
        """The fused similarity over anchors drawn by the seed."""
        n = len(image.rows)
        drawn = np.random.default_rng([self.seed, 1]).choice(n, size=min(self.anchors, n), replace=False)
        return fused_similarity(image, text, np.sort(drawn), self.neighbours)

    def steps(self, image: ScaledRows, text: ScaledRows, similarity: FusedSimilarity) -> Iterator[FSHState]:
        """The state after every single step, three to an iteration: hash functions, anchor codes, codes."""
        sides = (image, text)
        codes = self._start(similarity)
        anchor_codes = signs(similarity.transposed_times(codes))
        p = len(anchor_codes)
        for _ in range(self.iterations):
            weights = (ridge_weight(image.rows, codes, self.ridge), ridge_weight(text.rows, codes, self.ridge))
            yield FSHState(codes, anchor_codes, weights)
            gram = codes.T @ codes / self.n_bits
            anchor_codes = descend_bits(anchor_codes, similarity.transposed_times(codes), [(1.0, gram)], sweeps=3)
            yield FSHState(codes, anchor_codes, weights)
            said = sum((side.rows @ weight for side, weight in zip(sides, weights, strict=True)), np.zeros_like(codes))
            pull = similarity.times(anchor_codes) + self.fit_weight * p * said
            gram = anchor_codes.T @ anchor_codes / self.n_bits
            codes = descend_bits(codes, pull, [(1.0, gram)], sweeps=3)
            yield FSHState(codes, anchor_codes, weights)

    def objective(self, image: ScaledRows, text: ScaledRows, similarity: FusedSimilarity, state: FSHState) -> float:
        """What the steps lower, without forming S."""
        codes, anchor_codes, c = state.codes, state.anchor_codes, self.n_bits
        cross = float(np.sum(codes * similarity.times(anchor_codes)))
        products = float(np.sum((codes.T @ codes) * (anchor_codes.T @ anchor_codes)))
        size = len(codes) * len(anchor_codes)
        total = (similarity.squared_length() - 2 * cross / c + products / c**2) / size
        for side, weight in zip((image, text), state.weights, strict=True):
            variance = np.square(side.rows).sum() / side.rows.size
            error = np.square(codes - side.rows @ weight).sum() / len(codes)
            total += self.fit_weight / c * float(error + self.ridge * variance * np.square(weight).sum())
        return total

    def _start(self, similarity: FusedSimilarity) -> Matrix:
        """Signs of the leading left singular vectors of S, turned at random."""
        links, p = similarity.links, len(similarity.mean)
        gram = (links.T @ links).toarray() - links.shape[0] * np.outer(similarity.mean, similarity.mean)
        values, right = scipy.linalg.eigh(similarity.anchor_side.T @ gram @ similarity.anchor_side)
        keep = max(1, min(self.n_bits, int(np.count_nonzero(values > 1e-9 * values[-1]))))
        leading = right[:, p - keep :]
        return signs(similarity.times(leading) @ expansion(keep, self.n_bits, np.random.default_rng([self.seed, 2])))
