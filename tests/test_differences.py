"""Which differences are real: against worked examples and counting by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from crossbit.errors import DataError
from crossbit.evaluation.differences import compare, holm


def signed_rank_p(differences: list[float]) -> float:
    """Wilcoxon's two-sided p by listing all 2^n signs (no zeros, no ties)."""
    n = len(differences)
    ranks = {place: rank for rank, place in enumerate(sorted(range(n), key=lambda i: abs(differences[i])), 1)}
    total = n * (n + 1) // 2
    seen = sum(ranks[i] for i in range(n) if differences[i] > 0)
    extreme = min(seen, total - seen)
    sums = [sum(r for r, up in zip(range(1, n + 1), signs, strict=True) if up) for signs in _signs(n)]
    return min(1.0, sum(min(s, total - s) <= extreme for s in sums) / len(sums))


def _signs(n: int) -> list[tuple[bool, ...]]:
    return list(itertools.product((False, True), repeat=n))


def test_ranks_p_values_and_gains_are_counted_right(generator: np.random.Generator) -> None:
    scores = {name: (generator.random(8) + bonus).tolist() for name, bonus in (("a", 0.9), ("b", 0.0), ("c", 0.1))}
    found = compare(scores)
    for name in scores:
        better = [sum(scores[other][i] > scores[name][i] for other in scores) for i in range(8)]
        assert found.ranks[name] == pytest.approx(1 + sum(better) / 8)
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [signed_rank_p([x - y for x, y in zip(scores[i], scores[j], strict=True)]) for i, j in pairs]
    assert [found.p[pair] for pair in pairs] == pytest.approx(holm(raw))
    assert found.told_apart("a", "b") is found.told_apart("b", "a") is (found.p["a", "b"] < 0.05)
    expected = sum(x - y for x, y in zip(scores["a"], scores["c"], strict=True)) / 8
    assert found.gain("a", "c") == pytest.approx(expected)
    assert found.gain("c", "a") == pytest.approx(-expected)


def test_nemenyi_has_the_printed_critical_values() -> None:
    """Demsar 2006, table 5(a): q at .05 is 2.343 for 3 and 3.164 for 10 methods."""
    for k, q in ((3, 2.343), (10, 3.164)):
        found = compare({str(i): [float(i), i + 1.0, 2.0 * i, 3.0 * i] for i in range(k)})
        assert found.critical == pytest.approx(q * math.sqrt(k * (k + 1) / (6 * 4)), rel=1e-3)


def test_a_clear_order_is_seen_and_noise_is_not(generator: np.random.Generator) -> None:
    level = generator.random(16)
    clear = compare({"low": level.tolist(), "high": (level + 0.1).tolist(), "highest": (level + 0.2).tolist()})
    assert clear.friedman < 1e-4
    assert all(clear.told_apart(*pair) for pair in clear.p)
    same = compare({name: generator.random(16).tolist() for name in "abcd"})
    assert not any(same.told_apart(*pair) for pair in same.p)
    equal = compare({name: [0.5, 0.6] for name in "abc"})
    assert equal.friedman == 1
    assert set(equal.p.values()) == {1.0}


def test_holm_raises_by_what_is_left_and_never_reorders() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


@pytest.mark.parametrize(
    "scores",
    [{}, {"a": [1.0, 2.0], "b": [1.0, 2.0]}, {"a": [1, 2], "b": [1, 2], "c": [1]}, {"a": [1], "b": [1], "c": [1]}],
)
def test_too_little_to_compare_is_refused(scores: dict[str, list[float]]) -> None:
    with pytest.raises(DataError, match="3 or more methods"):
        compare(scores)


def test_a_gap_is_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        compare({"a": [1, 2], "b": [1, float("nan")], "c": [1, 3]})
