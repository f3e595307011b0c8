"""A small planted world: pairs whose structure is known, because they were made from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import SettingsError
from crossbit.pairs import Features, Labels, PairedFeatures, Split


@dataclass(frozen=True, eq=False)
class PlantedWorld:
    """pairs: all n of them, with their labels. labels: (n, n_classes) bool, multi-hot.

    split: train (within the database), query and database.
    """

    pairs: PairedFeatures
    labels: Labels
    split: Split

    @property
    def train(self) -> PairedFeatures:
        """The pairs to fit on."""
        return self.pairs[self.split.train]

    def relevant(self) -> NDArray[np.bool_]:
        """(q, m): whether a query and a database item share a class."""
        query, database = self.labels[self.split.query], self.labels[self.split.database]
        return (query.astype(np.int64) @ database.T.astype(np.int64)) > 0


def planted_pairs(
    seed: int = 0,
    n: int = 360,
    *,
    n_classes: int = 6,
    d_image: int = 24,
    d_text: int = 16,
    noise: float = 0.2,
) -> PlantedWorld:
    """n pairs of n_classes planted classes, seen through two different random nonlinear maps plus noise.

    A pair has one class, and with chance 1/5 a second one; its hidden point lies at the mean of its classes' centres,
    a little off. Each modality is a random two-layer map of that point plus noise, of which noise is the share of the
    map's own spread. A sixth of the pairs are queries, the rest the database; four fifths of that are train. The same
    seed gives the same world. Raises SettingsError for fewer than 12 pairs or 2 classes.
    """
    if n < 12 or n_classes < 2:
        raise SettingsError(f"A planted world needs 12 pairs and 2 classes or more; got {n} and {n_classes}.")
    generator = np.random.default_rng([seed, n, n_classes])
    labels = np.zeros((n, n_classes), dtype=np.bool_)
    first = np.arange(n) % n_classes
    labels[np.arange(n), first] = True
    second = (first + generator.integers(1, n_classes, size=n)) % n_classes
    labels[np.arange(n), second] |= generator.random(n) < 0.2
    n_hidden = n_classes + 2
    centres = 2.0 * np.linalg.qr(generator.standard_normal((n_hidden, n_hidden)))[0][:n_classes]
    hidden = labels @ centres / labels.sum(axis=1, keepdims=True) + 0.25 * generator.standard_normal((n, n_hidden))
    image = _seen(hidden, d_image, noise, generator)
    text = _seen(hidden, d_text, noise, generator)
    order = generator.permutation(n)
    query, database = np.sort(order[: n // 6]), order[n // 6 :]
    split = Split(np.sort(database[: 4 * len(database) // 5]), query, np.sort(database))
    return PlantedWorld(PairedFeatures(image, text, labels), labels, split)


def _seen(hidden: NDArray[np.float64], width: int, noise: float, generator: np.random.Generator) -> Features:
    inner = np.tanh(hidden @ generator.standard_normal((hidden.shape[1], 32)) / 2 + generator.standard_normal(32) / 2)
    outer = inner @ generator.standard_normal((32, width)) / np.sqrt(32)
    noisy = outer + noise * outer.std() * generator.standard_normal(outer.shape)
    return np.asarray(noisy, dtype=np.float32)


def planted_score(queries: Codes, database: Codes, relevant: NDArray[np.bool_]) -> float:
    """mAP over the whole Hamming ranking, averaged over the orders of ties: 0 to 1.

    queries: q codes. database: m codes. relevant: (q, m). Written out plainly and apart from `crossbit.evaluation`,
    so that a fault in one of the two shows. Meant for small worlds.
    """
    distances = (queries.bits()[:, None, :] != database.bits()[None, :, :]).sum(axis=2)
    scores = [_average_precision(row, wanted) for row, wanted in zip(distances, relevant, strict=True) if wanted.any()]
    return float(np.mean(scores))


def _average_precision(distances: NDArray[np.int64], relevant: NDArray[np.bool_]) -> float:
    total, before, found = 0.0, 0, 0
    for distance in np.unique(distances):
        tied = distances == distance
        size, hits = int(tied.sum()), int(relevant[tied].sum())
        for place in range(1, size + 1):
            # At this place stands a relevant item with chance hits / size; then (place - 1) others came before it.
            others = (place - 1) * (hits - 1) / (size - 1) if size > 1 else 0.0
            total += hits / size * (found + others + 1) / (before + place)
        before, found = before + size, found + hits
    return total / int(relevant.sum())
