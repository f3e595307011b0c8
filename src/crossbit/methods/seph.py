"""SePH: codes whose distances have the distribution of the labels' affinities, then one classifier a bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from crossbit.anchor_features import AnchorFeatures
from crossbit.correlation import DEFAULT_RIDGE, Matrix, check_ridge
from crossbit.errors import DataError, SettingsError
from crossbit.factorisation import signs
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.label_rows import LabelRows
from crossbit.label_similarity import labels_of, unit_labels
from crossbit.logistic import logistic_weights
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, Step

CodesOf = Literal["label sets", "items"]


@dataclass(frozen=True, kw_only=True)
class SePH(Method):
    """Semantics-preserving hashing: the labels' affinities as a distribution, codes of the same one, then classifiers.

    With P_ij = cos(labels i, labels j) over all i != j, made to sum to 1: (1) minimise KL(P | Q) + a / (r n) sum
    (|h| - 1)^2 over real H (n, r), Q_ij made to sum to 1 of 1 / (1 + |h_i - h_j|^2 / 4); for h of -1 and 1 the
    fraction is the Hamming distance. (2) Its slope at h_i is sum_j (P_ij - Q_ij) (h_i - h_j) / (1 + |h_i - h_j|^2 / 4)
    and that of the second term; descent with momentum and a gain for each value, as in t-SNE, and the best H is kept.
    (3) B = sgn(H). (4) For each bit and modality a logistic regression on anchors predicts B; an item's code is the
    signs of its own modality's classifiers.

    Source: Lin, Ding, Hu, Wang, CVPR 2015, from an account of the code of others, whose settings these are. Departures:
    one h for all pairs with the same labels, which (1) cannot tell apart and draws together (`codes_of = "items"` is
    the paper's: tables of n x n, and codes that also carry where each h began); features by likeness to anchors are
    `crossbit.anchor_features` with anchors drawn from the training rows, not exponentials around k-means centres,
    which a hasher cannot hold; the classifiers' ridge is a share of the loss's mean curvature, 0.1 as in the other
    methods here; no code is made of both modalities, which the paper does for a database.
    """

    name: ClassVar[str] = "seph"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Zijia Lin, Guiguang Ding, Mingqing Hu, Jianmin Wang",
        title="Semantics-Preserving Hashing for Cross-View Retrieval",
        venue="CVPR",
        year=2015,
        link="https://doi.org/10.1109/CVPR.2015.7299011",
    )

    codes_of: CodesOf = "label sets"  # or "items": an h for every pair, tables of n x n
    sampled: int = 0  # pairs, drawn at random, that codes and classifiers are learned on; 0: all
    alpha: float = 0.01  # a, weight of what the signs round off
    iterations: int = 100  # steps of the descent
    momentum: float = 0.5  # share of the last step that goes into the next
    step: float = 500.0  # length of a step, before the gains
    anchors: int = 500  # training rows that each modality is compared with
    ridge: float = DEFAULT_RIDGE  # of the classifiers, as a share of their loss's mean curvature
    classifier_iterations: int = 100  # of L-BFGS, at most

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ridge(self.ridge)
        if self.codes_of not in get_args(CodesOf):
            raise SettingsError(f"codes_of is one of {', '.join(get_args(CodesOf))}; got {self.codes_of!r}.")
        for name in ("iterations", "anchors", "classifier_iterations"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        if self.sampled < 0 or self.sampled == 1:
            raise SettingsError(f"sampled must be 0 (all) or 2 or more pairs; got {self.sampled!r}.")
        if not 0 <= self.momentum < 1:
            raise SettingsError(f"momentum must be 0 or more and below 1; got {self.momentum!r}.")
        if self.alpha < 0 or not self.step > 0:
            raise SettingsError(f"alpha must be 0 or more and step above 0; got {self.alpha!r} and {self.step!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        generator = np.random.default_rng(self.seed)
        if 0 < self.sampled < len(pairs):
            pairs = pairs[np.sort(generator.choice(len(pairs), size=self.sampled, replace=False))]
        kinds = LabelRows.of(labels_of(pairs, self.name), each_item=self.codes_of == "items")
        hidden, objective = self.hidden_values(kinds, generator, progress)
        codes = signs(hidden)[kinds.place]
        functions = []
        for features in (pairs.image, pairs.text):
            anchored = AnchorFeatures.of(features, self.anchors, generator)
            functions.append(
                _function(anchored, *logistic_weights(anchored.rows, codes, self.ridge, self.classifier_iterations))
            )
        report = {"objective": objective, "label_rows": len(kinds.rows), "learned_on": len(pairs)}
        return Hasher(functions[0], functions[1], report=report)

    def hidden_values(
        self, kinds: LabelRows, generator: np.random.Generator, progress: Progress
    ) -> tuple[Matrix, float]:
        """The H (k, r) with the lowest objective among those that the descent passes, and that objective."""
        wanted = label_distribution(kinds)
        hidden = generator.standard_normal((len(kinds.rows), self.n_bits))
        moved, gains = np.zeros_like(hidden), np.ones_like(hidden)
        best, lowest = hidden, np.inf
        for done in range(self.iterations):
            value, slope = self.objective(hidden, wanted, kinds.counts)
            if value < lowest:
                best, lowest = hidden, value
            turned = np.sign(slope) == np.sign(moved)
            gains = np.maximum(np.where(turned, gains * 0.8, gains + 0.2), 0.01)
            moved = self.momentum * moved - self.step * gains * slope
            hidden = hidden + moved
            progress(Step("hidden values", done + 1, self.iterations, {"objective": value}))
        return best, lowest

    def objective(self, hidden: Matrix, wanted: Matrix, counts: NDArray[np.float64]) -> tuple[float, Matrix]:
        """Equations 1 and 2 of H (k, r) whose rows stand for so many items: the value, and the slope at one item."""
        n, r = counts.sum(), hidden.shape[1]
        lengths = np.square(hidden).sum(axis=1)
        near = hidden @ hidden.T
        near *= -0.5
        near += lengths[:, None] / 4
        near += lengths / 4
        near = 1 / (1 + np.maximum(near, 0.0))
        given = near * counts * counts[:, None]
        given.flat[:: len(counts) + 1] -= counts  # an item has no distance to itself
        total = given.sum()
        value = (wanted * np.log(np.where(wanted > 0, wanted * total / np.maximum(given, 1e-300), 1.0))).sum()
        pull = (wanted - given / total) * near
        slope = (pull.sum(axis=1)[:, None] * hidden - pull @ hidden) / counts[:, None]
        off = np.abs(hidden) - 1
        value += self.alpha / (r * n) * (counts @ np.square(off)).sum()
        return float(value), slope + 2 * self.alpha / (r * n) * off * np.sign(hidden)


def label_distribution(kinds: LabelRows) -> Matrix:
    """P of equation 1, (k, k), summed over the items of each row of labels; raises DataError where no two share one."""
    unit = unit_labels(kinds.rows)
    wanted: Matrix = (unit @ unit.T) * kinds.counts * kinds.counts[:, None]
    wanted.flat[:: len(unit) + 1] -= np.square(unit).sum(axis=1) * kinds.counts
    wanted = np.maximum(wanted, 0.0)  # rounding, where a row occurs once
    total = wanted.sum()
    if not total > 1e-9:
        raise DataError("No two pairs share a label, so the labels ask for nothing; seph needs some that do.")
    return np.asarray(wanted / total)


def _function(anchored: AnchorFeatures, weight: Matrix, bias: Matrix) -> HashFunction:
    """The classifiers as a hash function of features."""
    outer = Layer(weight.astype(np.float32), (bias - anchored.mean @ weight).astype(np.float32))
    return HashFunction((anchored.layer, outer), normalise=True)
