"""PDH: bits of each view that linear classifiers can predict from the other view, and that do not repeat each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.linalg

from crossbit.centring import CentredRows
from crossbit.correlation import Matrix, canonical_directions, check_ridge, expansion
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, Step


@dataclass(frozen=True, kw_only=True)
class PDH(Method):
    """Predictable dual-view hashing: each bit of a view is the label that the other view's classifier learns.

    For views X_t (n, d_t), bits B_t (n, n_bits) of -1 and 1, classifiers W_t (d_t, n_bits), and B_o those of the
    other view: (1) minimise sum_t |B_t^T B_t / n - I|^2 + sum_bits of the losses of support vector machines W_t on
    the labels B_o, with (2) B_t = sgn(X_t W_t). Bits start from CCA; classifiers, then bits, are bettered in turns.
    A code is the signs of x W_t. The numbers are this text's: the equations are restated from accounts of the paper,
    which was not open to us. cost 1 is the usual one of linear SVMs, and 20 rounds are the most that is told. The
    weight of the first term is ours, found without labels: at 1 no bit of the CCA ever changes, at .01 both views get
    the same bits.

    Departures: (2) would undo steps of (1), so it is a second loss instead, that of W_t on its own bits, weighted by
    `tie`. (3) J = sum_t of |W_t|^2 / 2 + cost sum (1 - B_o X_t W_t)_+^2 + cost tie sum (1 - B_t X_t W_t)_+^2 +
    decorrelation n |B_t^T B_t / n - I|^2 never rises: a round sets targets T = B max(1, B X_t W_t), solves the ridge
    regression for them, and then sets each bit to the signs that lower a bound of J. The SVM's loss is squared.
    Features are centred and scaled to length 1 on average, so that cost means the same for all. Where CCA has fewer
    directions than bits, the first bits are signs on a tight frame of random directions in its space.
    """

    name: ClassVar[str] = "pdh"
    paper: ClassVar[Paper] = Paper(
        authors="Mohammad Rastegari, Jonghyun Choi, Shobeir Fakhraei, Hal Daume III, Larry S. Davis",
        title="Predictable Dual-View Hashing",
        venue="ICML",
        year=2013,
        link="https://proceedings.mlr.press/v28/rastegari13.html",
    )

    cost: float = 1.0  # of a misplaced bit, against the classifiers' length
    tie: float = 1.0  # weight of a view's own bits, against those of the other view
    decorrelation: float = 0.1  # weight of the correlations between bits
    iterations: int = 20  # rounds of "classifiers, then bits"
    classifier_steps: int = 5  # regressions in a round
    ridge: float = 0.1  # of the CCA that the bits start from: share of the mean variance

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ridge(self.ridge)
        if not self.cost > 0:
            raise SettingsError(f"cost must be more than 0; got {self.cost!r}.")
        for name in ("tie", "decorrelation"):
            if getattr(self, name) < 0:
                raise SettingsError(f"{name} must be 0 or more; got {getattr(self, name)!r}.")
        for name in ("iterations", "classifier_steps"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        image, text = CentredRows.of(pairs.image), CentredRows.of(pairs.text)
        views = (View(image.rows, self), View(text.rows, self))
        for view, bits in zip(views, self._first_bits(pairs), strict=True):
            view.bits = bits
        before = -1
        for done in range(1, self.iterations + 1):
            before = sum(learn(view, other, self) for view, other in (views, views[::-1]))
            progress(Step("bits", done, self.iterations))
        report = {"objective": objective(views, self), "bits_changed_last": before}
        return Hasher(image.function(views[0].weight), text.function(views[1].weight), report=report)

    def _first_bits(self, pairs: PairedFeatures) -> tuple[Matrix, Matrix]:
        found = canonical_directions(pairs, ridge=self.ridge, at_most=self.n_bits)
        mixing = np.eye(self.n_bits)
        if len(found) < self.n_bits:
            mixing = expansion(len(found), self.n_bits, np.random.default_rng(self.seed))
        return (
            _signs((pairs.image - found.image_mean) @ (found.image @ mixing)),
            _signs((pairs.text - found.text_mean) @ (found.text @ mixing)),
        )


class View:
    """One modality while it is learned: rows (n, d), bits (n, n_bits), weight (d, n_bits) and outputs (n, n_bits)."""

    def __init__(self, rows: Matrix, settings: PDH) -> None:
        self.rows = rows
        self.bits: Matrix = np.ones((len(rows), settings.n_bits))
        self.weight: Matrix = np.zeros((rows.shape[1], settings.n_bits))
        self.outputs: Matrix = np.zeros((len(rows), settings.n_bits))
        self._total = settings.cost * (1 + settings.tie)
        products = self._total * (rows.T @ rows)
        products.flat[:: len(products) + 1] += 0.5
        self._factor = scipy.linalg.cho_factor(products, check_finite=False)

    def better_classifiers(self, other_bits: Matrix, settings: PDH) -> None:
        """One regression to targets: the loss of each bit is met at its present outputs and nowhere exceeded."""
        targets = settings.cost * (
            _targets(other_bits, self.outputs) + settings.tie * _targets(self.bits, self.outputs)
        )
        self.weight = scipy.linalg.cho_solve(self._factor, self.rows.T @ targets, check_finite=False)
        self.outputs = self.rows @ self.weight


def learn(view: View, other: View, settings: PDH) -> int:
    """A round of one view: its classifiers, then its bits. Returns how many bits changed."""
    for _ in range(settings.classifier_steps):
        view.better_classifiers(other.bits, settings)
    before = view.bits
    view.bits = better_bits(before, other.outputs, view.outputs, settings)
    return int(np.count_nonzero(view.bits != before))


def better_bits(bits: Matrix, other_outputs: Matrix, own_outputs: Matrix, settings: PDH) -> Matrix:
    """Bits (n, n_bits) at which J is no higher, found bit by bit.

    The losses are linear in a bit's signs b. Its correlations with the others, b^T Q b, lie below their tangent once
    the largest eigenvalue of Q is taken off (b^T b is always n), so the signs against the slope lower the sum.
    """
    slopes = settings.cost * (_slopes(other_outputs) + settings.tie * _slopes(own_outputs))
    bits, n = bits.copy(), len(bits)
    for k in range(bits.shape[1]):
        others = np.delete(bits, k, axis=1)
        slope = slopes[:, k].copy()
        if others.shape[1] and settings.decorrelation:
            largest = scipy.linalg.eigvalsh(others.T @ others)[-1]
            pull = others @ (others.T @ bits[:, k]) - largest * bits[:, k]
            slope += 4 * settings.decorrelation / n * pull
        bits[:, k] = np.where(slope == 0, bits[:, k], -np.sign(slope))
    return bits


def objective(views: tuple[View, View], settings: PDH) -> float:
    """J of equation 3."""
    total = 0.0
    for view, other in (views, views[::-1]):
        n = len(view.bits)
        correlations = view.bits.T @ view.bits / n - np.eye(settings.n_bits)
        total += np.square(view.weight).sum() / 2 + settings.decorrelation * n * np.square(correlations).sum()
        for bits, weight in ((other.bits, 1.0), (view.bits, settings.tie)):
            total += settings.cost * weight * np.square(np.maximum(1 - bits * view.outputs, 0)).sum()
    return float(total)


def _signs(values: Matrix) -> Matrix:
    return np.where(values >= 0, 1.0, -1.0)


def _targets(bits: Matrix, outputs: Matrix) -> Matrix:
    return bits * np.maximum(bits * outputs, 1.0)


def _slopes(outputs: Matrix) -> Matrix:
    """Half of what a bit of 1 costs more than a bit of -1."""
    return (np.square(np.maximum(1 - outputs, 0)) - np.square(np.maximum(1 + outputs, 0))) / 2
