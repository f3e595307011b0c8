"""CMSTH: joint topics of images and texts, a robust factorisation that turns topics into bits, then projections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.linalg

from crossbit.correlation import Matrix, check_ridge
from crossbit.errors import SettingsError
from crossbit.factorisation import (
    ScaledRows,
    last_of,
    robust_lengths,
    robust_weights,
    scaled,
    signs,
    turned_components,
)
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress

_LEAST = 1e-12  # topics and shares stay above it: a column of zeros could never come back


@dataclass(frozen=True, eq=False)
class RobustFactors:
    """values: (n, c) real. codes: (n, c), their signs. basis: (c, k)."""

    values: Matrix
    codes: Matrix
    basis: Matrix


@dataclass(frozen=True, kw_only=True)
class CMSTH(Method):
    """Cross-modal self-taught hashing: topics first within each modality, then joint ones; these become the code.

    Three steps. (1) Topics: each modality, parted into what is above and what is below its mean, is factorised
    without negative numbers, |X_t - T_t F_t|^2; then so are the two topic shares side by side, [T_I, T_T] = T F.
    (2) Bits: with T centred and scaled,  mean_i ( |t_i - v_i U| + quantisation |b_i - v_i|^2 ) + penalty |U|^2  is
    minimised over values v_i, codes b_i in {-1, 1} and a basis U in turn; lengths are smoothed by .001; no step raises
    it. (3) Projections: ridge regression from each modality to the codes.

    A reconstruction: no text of the paper was open to us. Known from its abstract, and that by recollection, are the
    three steps (hierarchical multi-modal topics, robust matrix factorisation, projections). Departures cannot be told
    apart: everything else, and every default, is ours, taken without labels.
    """

    name: ClassVar[str] = "cmsth"
    paper: ClassVar[Paper] = Paper(
        authors="Xie, Zhu, Pan, Lu",
        title="Cross-Modal Self-Taught Hashing",
        venue="Signal Processing",
        year=2016,
        reconstruction=True,
    )

    topics: int = 64  # of each modality and of both together; fewer where there are fewer pairs or columns
    topic_iterations: int = 30  # rounds of each factorisation into topics
    quantisation: float = 0.1  # how much values are drawn to -1 and 1
    penalty: float = 0.01  # weight of the basis' squared length
    ridge: float = 0.1  # of the projections, as a share of the mean variance
    iterations: int = 30  # rounds of basis, values and codes

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ridge(self.ridge)
        for name in ("topics", "topic_iterations", "iterations"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        for name in ("quantisation", "penalty"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be more than 0; got {getattr(self, name)!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        image, text = scaled(pairs.image), scaled(pairs.text)
        topics = scaled(self.joint_topics(image, text, progress)).rows
        factors = last_of(self.steps(topics), "bits", 3, self.iterations, progress)
        report = {"objective": self.objective(topics, factors), "topics": topics.shape[1]}
        maps = [side.ridge_map(factors.codes, self.ridge) for side in (image, text)]
        return Hasher(maps[0], maps[1], report=report)

    def joint_topics(self, image: ScaledRows, text: ScaledRows, progress: Progress) -> Matrix:
        """The shares (n, k) of the joint topics in every pair, 0 or more."""
        generator = np.random.default_rng(self.seed)
        own = [
            self._topics(parted(side.rows), name, generator, progress)
            for side, name in ((image, "image topics"), (text, "text topics"))
        ]
        # One say for each modality, however large its shares came out.
        both = np.concatenate([shares / np.sqrt(np.square(shares).sum(axis=1).mean()) for shares in own], axis=1)
        return self._topics(both, "joint topics", generator, progress)

    def _topics(self, rows: Matrix, stage: str, generator: np.random.Generator, progress: Progress) -> Matrix:
        k = min(self.topics, *rows.shape)
        steps = topic_steps(rows, k, self.topic_iterations, generator)
        return last_of(steps, stage, 1, self.topic_iterations, progress)[0]

    def steps(self, topics: Matrix) -> Iterator[RobustFactors]:
        """The factors after every single step, three to an iteration: basis, values, codes."""
        values = signs(turned_components(topics, self.n_bits, np.random.default_rng([self.seed, 1])))
        codes, weights = values, robust_weights(topics)
        for _ in range(self.iterations):
            basis = self._basis(topics, values, weights)
            yield RobustFactors(values, codes, basis)
            values = self._values(topics, codes, basis, robust_weights(topics - values @ basis))
            yield RobustFactors(values, codes, basis)
            codes = signs(values)
            yield RobustFactors(values, codes, basis)
            weights = robust_weights(topics - values @ basis)

    def objective(self, topics: Matrix, factors: RobustFactors) -> float:
        """What the steps of the robust factorisation lower."""
        gap = np.square(factors.codes - factors.values).sum(axis=1)
        lengths = robust_lengths(topics - factors.values @ factors.basis)
        return float((lengths + self.quantisation * gap).mean() + self.penalty * np.square(factors.basis).sum())

    def _basis(self, topics: Matrix, values: Matrix, weights: Matrix) -> Matrix:
        weighted = values * weights[:, None]
        gram = weighted.T @ values / len(topics) + self.penalty * np.eye(values.shape[1])
        return np.asarray(scipy.linalg.solve(gram, weighted.T @ topics / len(topics), assume_a="pos"))

    def _values(self, topics: Matrix, codes: Matrix, basis: Matrix, weights: Matrix) -> Matrix:
        """v_i = (w_i t_i U' + q b_i) (w_i U U' + q I)^-1, all items by one eigendecomposition of U U'."""
        spread, axes = scipy.linalg.eigh(basis @ basis.T)
        wish = (weights[:, None] * (topics @ basis.T) + self.quantisation * codes) @ axes
        return np.asarray(wish / (weights[:, None] * np.maximum(spread, 0) + self.quantisation) @ axes.T)


def parted(rows: Matrix) -> Matrix:
    """(n, d) centred rows as (n, 2 d) without negative numbers: what is above the mean, then what is below it."""
    return np.concatenate([np.maximum(rows, 0), np.maximum(-rows, 0)], axis=1)


def topic_steps(
    rows: Matrix, k: int, iterations: int, generator: np.random.Generator
) -> Iterator[tuple[Matrix, Matrix]]:
    """Shares (n, k) and topics (k, d), none negative, after each round of lowering |rows - shares @ topics|^2.

    rows: (n, d), none negative. Every column of shares and every topic takes its best value in turn (hierarchical
    alternating least squares; Cichocki, Zdunek and Amari, ICA 2007). Topics start at random rows.
    """
    topics = rows[generator.choice(len(rows), size=k, replace=False)] + rows.mean() + _LEAST
    shares = generator.random((len(rows), k)) * rows.mean() / topics.mean() / k + _LEAST
    for _ in range(iterations):
        _take_turns(shares, rows @ topics.T, topics @ topics.T)
        _take_turns(topics.T, rows.T @ shares, shares.T @ shares)
        yield shares.copy(), topics.copy()


def _take_turns(columns: Matrix, pull: Matrix, gram: Matrix) -> None:
    """Give each column its best value, none negative, while the others stand; columns is changed in place."""
    for j in range(columns.shape[1]):
        if gram[j, j] > 0:
            columns[:, j] = np.maximum(columns[:, j] + (pull[:, j] - columns @ gram[:, j]) / gram[j, j], _LEAST)
