"""CMFH: one matrix of hidden values from which images and texts are both rebuilt, and which both predict."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.linalg

from crossbit.centring import CentredRows
from crossbit.correlation import DEFAULT_RIDGE, Matrix
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, Step


@dataclass(frozen=True, kw_only=True)
class CMFH(Method):
    """Collective matrix factorisation: codes are signs of hidden values that a pair's two sides share.

    For views X_t (n, d_t), centred, with shared V (n, n_bits), bases U_t (n_bits, d_t) and projections P_t (d_t,
    n_bits): (1) minimise sum_t w_t |X_t - V U_t|^2 + mu sum_t |V - X_t P_t|^2 + gamma (|V|^2 + sum_t |U_t|^2 +
    sum_t |P_t|^2). Each block has a closed form given the others: (2) U_t = (V^T V + gamma/w_t I)^-1 V^T X_t;
    (3) P_t = (X_t^T X_t + gamma/mu I)^-1 X_t^T V; (4) V = (sum_t w_t X_t U_t^T + mu X_t P_t) (sum_t w_t U_t U_t^T +
    (2 mu + gamma) I)^-1. (5) A code is the signs of x P_t. The numbers are this text's: the equations are restated
    from accounts of the paper, which was not open to us. Weights and rounds are those of a port by others.

    Departures: features are scaled to length 1 on average, since the method falls to chance where one view dwarfs the
    other or is not centred. The projections have a ridge of their own in (1) and (3), the share of the mean variance
    that the CCA methods have too: with about as many features as pairs, the port's gamma / mu lets them follow any
    hidden values, and new items then get codes of chance (ridge=0 does so). Its size is the default of the CCA methods.
    That one is needed at all was first seen in scores on queries; a written rule without labels, on training pairs
    alone, has since chosen the same (benchmarks/choose_single.py). An item's code is always that of (5), also of
    items it was learned from, for which the paper has the signs of V: those know both sides of the pair.
    """

    name: ClassVar[str] = "cmfh"
    paper: ClassVar[Paper] = Paper(
        authors="Guiguang Ding, Yuchen Guo, Jile Zhou",
        title="Collective Matrix Factorization Hashing for Multimodal Data",
        venue="CVPR",
        year=2014,
        link="https://doi.org/10.1109/CVPR.2014.267",
    )

    image_share: float = 0.5  # weight of the images' reconstruction; the texts have 1 - image_share
    mu: float = 100.0  # weight of what the projections miss
    gamma: float = 0.01  # weight of the squared entries of all that is learned
    ridge: float = DEFAULT_RIDGE  # of the projections, besides gamma: share of the mean variance; the port has 0
    iterations: int = 25  # rounds over the three blocks

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.image_share < 1:
            raise SettingsError(f"image_share must lie between 0 and 1 (the port's is .5); got {self.image_share!r}.")
        for name in ("mu", "gamma"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be more than 0; got {getattr(self, name)!r}.")
        if self.ridge < 0:
            raise SettingsError(f"ridge must be 0 or more; got {self.ridge!r}.")
        if self.iterations < 1:
            raise SettingsError(f"iterations must be 1 or more (the port's are 25); got {self.iterations!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        image, text = CentredRows.of(pairs.image), CentredRows.of(pairs.text)
        views = (View(image.rows, self.image_share, self), View(text.rows, 1 - self.image_share, self))
        hidden = np.random.default_rng(self.seed).standard_normal((len(pairs), self.n_bits))
        for done in range(1, self.iterations + 1):
            for view in views:
                view.rebuild_from(hidden)
                view.predict(hidden)
            hidden = shared_values(views, self)
            progress(Step("factorisation", done, self.iterations))
        for view in views:
            view.predict(hidden)
        report = {"objective": objective(views, hidden, self)}
        return Hasher(image.function(views[0].projection), text.function(views[1].projection), report=report)


class View:
    """One modality while it is being factorised: rows (n, d), basis (n_bits, d) and projection (d, n_bits)."""

    def __init__(self, rows: Matrix, weight: float, settings: CMFH) -> None:
        self.rows, self.weight, self._gamma = rows, weight, settings.gamma
        # Rows have squared length 1 on average, so n / d is the mean variance, summed over the rows.
        self.penalty = settings.gamma + settings.mu * settings.ridge * len(rows) / rows.shape[1]
        self.basis: Matrix = np.zeros((settings.n_bits, rows.shape[1]))
        self.projection: Matrix = np.zeros((rows.shape[1], settings.n_bits))
        products = rows.T @ rows
        products.flat[:: len(products) + 1] += self.penalty / settings.mu
        self._factor = scipy.linalg.cho_factor(products, check_finite=False)

    def rebuild_from(self, hidden: Matrix) -> None:
        """The best basis for these hidden values: equation 2."""
        products = hidden.T @ hidden + self._gamma / self.weight * np.eye(hidden.shape[1])
        self.basis = scipy.linalg.solve(products, hidden.T @ self.rows, assume_a="pos", check_finite=False)

    def predict(self, hidden: Matrix) -> None:
        """The best projection onto these hidden values: equation 3."""
        self.projection = scipy.linalg.cho_solve(self._factor, self.rows.T @ hidden, check_finite=False)


def shared_values(views: tuple[View, View], settings: CMFH) -> Matrix:
    """The best hidden values (n, n_bits) for the views' bases and projections: equation 4."""
    n_bits = settings.n_bits
    right = sum(v.rows @ (v.weight * v.basis.T + settings.mu * v.projection) for v in views)
    left = sum(v.weight * (v.basis @ v.basis.T) for v in views) + (2 * settings.mu + settings.gamma) * np.eye(n_bits)
    return np.ascontiguousarray(scipy.linalg.solve(left, np.asarray(right).T, assume_a="pos", check_finite=False).T)


def objective(views: tuple[View, View], hidden: Matrix, settings: CMFH) -> float:
    """Equation 1."""
    total = settings.gamma * np.square(hidden).sum()
    for v in views:
        total += v.weight * np.square(v.rows - hidden @ v.basis).sum()
        total += settings.mu * np.square(hidden - v.rows @ v.projection).sum()
        total += settings.gamma * np.square(v.basis).sum() + v.penalty * np.square(v.projection).sum()
    return float(total)
