"""SCCMH: codes, labels and both modalities tied to one hidden matrix, solved in turns without relaxing the codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.linalg

from crossbit.anchor_features import AnchorFeatures
from crossbit.correlation import DEFAULT_RIDGE, Matrix, check_ridge
from crossbit.errors import SettingsError
from crossbit.factorisation import last_of, ridge_weight, signs
from crossbit.hasher import Hasher
from crossbit.label_similarity import label_similarity_times, labels_of, unit_labels
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress


@dataclass(frozen=True, eq=False)
class ConsistentSpace:
    """hidden: V (n, r). codes: B (n, r) in {-1, 1}. classes: C (r, c). image_map, text_map: P_m (k_m, r)."""

    hidden: Matrix
    codes: Matrix
    classes: Matrix
    image_map: Matrix
    text_map: Matrix


@dataclass(frozen=True, kw_only=True)
class SCCMH(Method):
    """Semantic-consistent cross-modal hashing: samples, classes and both modalities agree in one hidden matrix.

    WHAT IS KNOWN of the paper is its bibliographic line: no abstract and no code was found, and not even whether it is
    deep. This is built from the title and from the discrete, linear-time methods of its time (BATCH), whose weights it
    has. The abbreviation is ours. With S = 2 L^ L^T^ - 1 of the row-normalised labels L^, and phi_m the features:
    (1) minimise |r S - V B^T|^2 + mu (|L - V C|^2 + d |C|^2) + lam sum_m (|phi_m P_m - V|^2 + p_m |P_m|^2)
    + theta |B - V|^2 over codes B, and V with V^T V = n I and columns of mean 0. Each has a closed form given the
    others: (2) C = V^T L / (n + d); (3) P_m = (phi^T phi + p I)^-1 phi^T V; (4) V = sqrt(n) P Q^T from the singular
    vectors of the centred r S B + mu L C^T + lam sum_m phi_m P_m + theta B; (5) B = sgn(r S V + theta V). All are
    linear in n. (6) Codes of items: the signs of phi_m(x) W_m, a ridge regression onto B, one modality at a time.

    Departures from the template: features by likeness to anchors are `crossbit.anchor_features`, not exponentials,
    which a hasher cannot hold; ridges are shares of the mean variance; where there are no more pairs than bits, V has
    some columns of zeros, and (5) is then no exact step.
    """

    name: ClassVar[str] = "sccmh"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Gu, Dong, Zhang, Lan, Luo",
        title="Semantic-consistent cross-modal hashing for large-scale image retrieval",
        venue="Neurocomputing 433",
        year=2021,
        reconstruction=True,
    )

    class_weight: float = 0.9  # mu, of the labels' reconstruction
    view_weight: float = 0.05  # lam, of each modality's prediction
    code_weight: float = 0.01  # theta, of what the codes round off
    penalty: float = 0.01  # d, of the class map
    ridge: float = DEFAULT_RIDGE  # of the maps from features, as a share of their mean variance
    image_anchors: int = 500  # training images that images are compared with
    text_anchors: int = 1000  # training texts that texts are compared with
    iterations: int = 6  # rounds over C, P, V and B

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ridge(self.ridge)
        for name in ("class_weight", "view_weight", "code_weight", "penalty"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be more than 0; got {getattr(self, name)!r}.")
        for name in ("image_anchors", "text_anchors", "iterations"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        generator = np.random.default_rng(self.seed)
        image = AnchorFeatures.of(pairs.image, self.image_anchors, generator)
        text = AnchorFeatures.of(pairs.text, self.text_anchors, generator)
        labels = labels_of(pairs, self.name)
        steps = self.steps((image.rows, text.rows), labels, generator)
        space = last_of(steps, "hidden values", 4, self.iterations, progress)
        weights = [ridge_weight(view.rows, space.codes, self.ridge) for view in (image, text)]
        report = {"objective": self.objective((image.rows, text.rows), labels, space)}
        return Hasher(image.function(weights[0]), text.function(weights[1]), report=report)

    def steps(
        self, views: tuple[Matrix, Matrix], labels: Matrix, generator: np.random.Generator
    ) -> Iterator[ConsistentSpace]:
        """The variables at first and after every single step, four to a round: C, both P, V, B."""
        n, unit = len(labels), unit_labels(labels)
        hidden = orthogonal_rows(generator.standard_normal((n, self.n_bits)), generator)
        empty = [np.zeros((rows.shape[1], self.n_bits)) for rows in views]
        space = ConsistentSpace(hidden, signs(hidden), np.zeros((self.n_bits, labels.shape[1])), *empty)
        factors = [
            scipy.linalg.cho_factor(rows.T @ rows + self._penalty(rows) * np.eye(rows.shape[1])) for rows in views
        ]
        yield space
        for _ in range(self.iterations):
            # (V^T V + d I) is (n + d) I where V^T V = n I; this form is right for fewer pairs than bits too.
            gram = space.hidden.T @ space.hidden + self.penalty * np.eye(self.n_bits)
            yield (space := replace(space, classes=scipy.linalg.solve(gram, space.hidden.T @ labels, assume_a="pos")))
            maps = [scipy.linalg.cho_solve(f, rows.T @ space.hidden) for f, rows in zip(factors, views, strict=True)]
            yield (space := replace(space, image_map=maps[0], text_map=maps[1]))
            pull = self.n_bits * label_similarity_times(unit, space.codes)
            pull += self.class_weight * labels @ space.classes.T + self.code_weight * space.codes
            pull += self.view_weight * sum(rows @ found for rows, found in zip(views, maps, strict=True))
            yield (space := replace(space, hidden=orthogonal_rows(pull, generator)))
            wish = self.n_bits * label_similarity_times(unit, space.hidden) + self.code_weight * space.hidden
            yield (space := replace(space, codes=signs(wish)))

    def objective(self, views: tuple[Matrix, Matrix], labels: Matrix, space: ConsistentSpace) -> float:
        """Equation 1, divided by n^2; made without a matrix of all pairs."""
        n, unit, r = len(labels), unit_labels(labels), self.n_bits
        gram, total = unit.T @ unit, unit.sum(axis=0)
        wanted = 4 * np.square(gram).sum() - 4 * total @ total + n * n  # |S|^2
        crossed = (space.hidden * label_similarity_times(unit, space.codes)).sum()
        codes = (space.hidden.T @ space.hidden) * (space.codes.T @ space.codes)
        found = r * r * wanted - 2 * r * crossed + codes.sum()
        found += self.class_weight * np.square(labels - space.hidden @ space.classes).sum()
        found += self.class_weight * self.penalty * np.square(space.classes).sum()
        for rows, map_ in zip(views, (space.image_map, space.text_map), strict=True):
            missed = np.square(rows @ map_ - space.hidden).sum() + self._penalty(rows) * np.square(map_).sum()
            found += self.view_weight * missed
        found += self.code_weight * np.square(space.codes - space.hidden).sum()
        return float(found) / n**2

    def _penalty(self, rows: Matrix) -> float:
        return self.ridge * len(rows) / rows.shape[1]  # type: ignore[no-any-return]  # a shape is Any; mean square 1


def orthogonal_rows(pull: Matrix, generator: np.random.Generator) -> Matrix:
    """The V (n, r) with V^T V = n I and columns of mean 0 that has the largest inner product with pull (n, r).

    Where pull has fewer directions than columns, random ones complete it; beyond n - 1 columns there are none.
    """
    n, r = pull.shape
    pull = pull - pull.mean(axis=0)
    values, right = scipy.linalg.eigh(pull.T @ pull, check_finite=False)
    keep = min(n - 1, int(np.count_nonzero(values > 1e-10 * values[-1])))
    right = right[:, ::-1]
    left = np.linalg.qr(pull @ right[:, :keep] / np.sqrt(values[::-1][:keep]))[0]
    left *= np.where((left * (pull @ right[:, :keep])).sum(axis=0) < 0, -1.0, 1.0)
    more = min(r, n - 1) - keep
    if more > 0:
        free = generator.standard_normal((n, more))
        for _ in range(2):  # twice, as once leaves rounding
            free -= free.mean(axis=0)
            free -= left @ (left.T @ free)
        left = np.concatenate([left, np.linalg.qr(free)[0]], axis=1)
    return np.asarray(np.sqrt(n) * left @ right[:, : left.shape[1]].T)
