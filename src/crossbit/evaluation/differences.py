"""Which differences between methods are real: ranks over many cells, and paired tests with a bar for many pairs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from crossbit.errors import DataError


@dataclass(frozen=True)
class Differences:
    """k methods compared over n cells, a cell being one data set at one code length.

    ranks: each method's mean rank, 1 the best, ties shared. friedman: how probable ranks so far apart are if all
    methods were alike. critical: Nemenyi's critical difference of mean ranks. p: for each pair of methods the
    Wilcoxon signed-rank p-value, two-sided, raised for the number of pairs by Holm's rule; keys are sorted pairs.
    mean_gain: the mean difference first - second under the same keys.
    """

    n_cells: int
    ranks: Mapping[str, float]
    friedman: float
    critical: float
    p: Mapping[tuple[str, str], float]
    mean_gain: Mapping[tuple[str, str], float]

    def told_apart(self, first: str, second: str, level: float = 0.05) -> bool:
        """Whether the pair differs at this level after the correction for all pairs."""
        return self.p[_pair(first, second)] < level

    def gain(self, first: str, second: str) -> float:
        """The mean of first - second over the cells."""
        return self.mean_gain[_pair(first, second)] * (1 if _pair(first, second) == (first, second) else -1)


def compare(scores: Mapping[str, Sequence[float]], *, level: float = 0.05) -> Differences:
    """Compare methods by their scores (higher is better) on the same n cells, each list in the same order.

    Source: Demsar, JMLR 7, 2006: Friedman's test, Nemenyi's critical difference at `level`, Wilcoxon with Holm's
    correction. The tests take cells as independent draws; cells of one data set are not, so p-values are then too
    small. Raises DataError for fewer than 3 methods or 2 cells, and for lists of different lengths or with NaN.
    """
    names, n = sorted(scores), len(next(iter(scores.values()), ()))
    if len(names) < 3 or n < 2 or any(len(own) != n for own in scores.values()):
        raise DataError(f"Compare 3 or more methods on the same 2 or more cells; got {len(names)} methods, {n} cells.")
    table = np.array([scores[name] for name in names], dtype=np.float64)  # (k, n)
    if not np.isfinite(table).all():
        raise DataError("Every score of a comparison must be a finite number; leave incomplete methods out.")
    k = len(names)
    ranks = stats.rankdata(-table, axis=0).mean(axis=1)
    pairs = list(itertools.combinations(range(k), 2))
    raw = [_wilcoxon(table[i] - table[j]) for i, j in pairs]
    spread = math.sqrt(k * (k + 1) / (6 * n))
    alike = bool((table == table[0]).all())
    return Differences(
        n_cells=n,
        ranks=dict(zip(names, ranks.tolist(), strict=True)),
        friedman=1.0 if alike else float(stats.friedmanchisquare(*table).pvalue),
        critical=float(stats.studentized_range.ppf(1 - level, k, np.inf)) / math.sqrt(2) * spread,
        p={(names[i], names[j]): p for (i, j), p in zip(pairs, holm(raw), strict=True)},
        mean_gain={(names[i], names[j]): float((table[i] - table[j]).mean()) for i, j in pairs},
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values raised for their number, so that the chance of any false claim stays below the level."""
    raised, highest, m = [0.0] * len(p_values), 0.0, len(p_values)
    for step, place in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (m - step) * p_values[place]))
        raised[place] = highest
    return raised


def _wilcoxon(differences: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def _pair(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first < second else (second, first)
