"""RFDH: one binary code a pair from which both modalities are rebuilt, with a loss that outliers do not rule."""

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
    descend_bits,
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


@dataclass(frozen=True, eq=False)
class Factors:
    """codes: (n, c) of -1 and 1, shared. bases: (c, d) for images and for texts. trust: the two modality weights."""

    codes: Matrix
    bases: tuple[Matrix, Matrix]
    trust: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class RFDH(Method):
    """Robust and flexible discrete hashing: discrete collective factorisation under an l2,1 loss.

    Minimised is  sum_t a_t^flexibility ( mean_i |x_ti - b_i U_t| + penalty |U_t|^2 )  over codes b_i in {-1, 1}, bases
    U_t and modality weights a_t that sum to 1; lengths are smoothed by .001. In turn: U_t (ridge regression with
    weights 1 / (2 length)), b bit by bit, a_t in closed form; no step raises it. Hash functions are ridge regressions
    from each modality to the codes, fitted afterwards.

    A reconstruction from the method's outline: the paper's text was not open to us, so its equation numbers and
    settings are not known, and all defaults are ours, taken without labels. Departures we know of: features are
    centred and brought to mean squared length 1, which gives both modalities one say at the start; the start is the
    signs of principal components of both modalities together, turned at random.
    """

    name: ClassVar[str] = "rfdh"
    paper: ClassVar[Paper] = Paper(
        authors="Di Wang, Quan Wang, Xinbo Gao",
        title="Robust and Flexible Discrete Hashing for Cross-Modal Similarity Search",
        venue="IEEE TCSVT 28(10)",
        year=2018,
        link="https://ieeexplore.ieee.org/document/7967838",
        reconstruction=True,
    )

    flexibility: float = 2.0  # exponent of the modality weights; towards 1 the better rebuilt modality takes all
    penalty: float = 0.01  # weight of the bases' squared length
    ridge: float = 0.1  # of the hash functions, as a share of the mean variance
    iterations: int = 30  # rounds of bases, codes, weights

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ridge(self.ridge)
        if not self.flexibility > 1:
            raise SettingsError(f"flexibility must be more than 1 (such as 2); got {self.flexibility!r}.")
        if not self.penalty > 0:
            raise SettingsError(f"penalty must be more than 0 (such as 0.01); got {self.penalty!r}.")
        if self.iterations < 1:
            raise SettingsError(f"iterations must be 1 or more; got {self.iterations!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        image, text = scaled(pairs.image), scaled(pairs.text)
        factors = last_of(self.steps(image, text), "factors", 4, self.iterations, progress)
        report = {"objective": self.objective(image, text, factors), "image_trust": factors.trust[0]}
        maps = [side.ridge_map(factors.codes, self.ridge) for side in (image, text)]
        return Hasher(maps[0], maps[1], report=report)

    def steps(self, image: ScaledRows, text: ScaledRows) -> Iterator[Factors]:
        """The factors after every single step, four to an iteration: image basis, text basis, codes, weights."""
        both = np.concatenate([image.rows, text.rows], axis=1)
        codes = signs(turned_components(both, self.n_bits, np.random.default_rng(self.seed)))
        bases = (self._basis(image.rows, codes, None), self._basis(text.rows, codes, None))
        trust = (0.5, 0.5)
        for _ in range(self.iterations):
            bases = (self._basis(image.rows, codes, bases[0]), bases[1])
            yield Factors(codes, bases, trust)
            bases = (bases[0], self._basis(text.rows, codes, bases[1]))
            yield Factors(codes, bases, trust)
            codes = self._codes(image, text, Factors(codes, bases, trust))
            yield Factors(codes, bases, trust)
            trust = self._trust(self.losses(image, text, codes, bases))
            yield Factors(codes, bases, trust)

    def objective(self, image: ScaledRows, text: ScaledRows, factors: Factors) -> float:
        """What the steps lower."""
        losses = self.losses(image, text, factors.codes, factors.bases)
        return float(np.dot(np.power(factors.trust, self.flexibility), losses))

    def losses(
        self, image: ScaledRows, text: ScaledRows, codes: Matrix, bases: tuple[Matrix, Matrix]
    ) -> tuple[float, float]:
        """Each modality's mean robust length of what its basis does not rebuild, plus the penalty."""
        loss = [
            float(robust_lengths(side.rows - codes @ basis).mean() + self.penalty * np.square(basis).sum())
            for side, basis in zip((image, text), bases, strict=True)
        ]
        return loss[0], loss[1]

    def _basis(self, rows: Matrix, codes: Matrix, last: Matrix | None) -> Matrix:
        weights = robust_weights(rows if last is None else rows - codes @ last)[:, None]
        gram = codes.T @ (weights * codes) / len(rows) + self.penalty * np.eye(codes.shape[1])
        return np.asarray(scipy.linalg.solve(gram, codes.T @ (weights * rows) / len(rows), assume_a="pos"))

    def _codes(self, image: ScaledRows, text: ScaledRows, factors: Factors) -> Matrix:
        pull, terms = np.zeros_like(factors.codes), []
        for side, basis, trust in zip((image, text), factors.bases, factors.trust, strict=True):
            weights = trust**self.flexibility * robust_weights(side.rows - factors.codes @ basis)
            pull += weights[:, None] * (side.rows @ basis.T)
            terms.append((weights, basis @ basis.T))
        return descend_bits(factors.codes, pull, terms, sweeps=3)

    def _trust(self, losses: tuple[float, float]) -> tuple[float, float]:
        """The weights that minimise sum a_t^g loss_t with sum a_t = 1: proportional to loss_t^(-1 / (g - 1))."""
        log = -np.log(losses) / (self.flexibility - 1)
        shares = np.exp(log - log.max())
        return float(shares[0] / shares.sum()), float(shares[1] / shares.sum())
