"""Average precision over ties: against every order of tiny cases, many random orders, and the loop definitions."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossbit.errors import DataError
from crossbit.evaluation import PALL, EvaluationProtocol, average_precisions
from evaluation_oracles import all_orders, average_precision

RULES = ["found", "relevant", "reachable", "first_relevant"]
TIES = ["expected", "best", "worst"]

tiny_groups = st.lists(st.lists(st.booleans(), max_size=4), min_size=1, max_size=3).filter(lambda groups: any(groups))


def counts(groups):
    """The counts of one query's groups, as (1, groups) arrays."""
    found = np.array([[len(group) for group in groups]], dtype=np.int64)
    return found, np.array([[sum(group) for group in groups]], dtype=np.int64)


def score(groups, cutoff, divide_by, ties="expected"):
    return average_precisions(*counts(groups), EvaluationProtocol("test", cutoff, divide_by, ties))[0]


@pytest.mark.parametrize("divide_by", RULES)
@settings(max_examples=60, deadline=None)
@given(groups=tiny_groups, cutoff=st.none() | st.integers(1, 14))
def test_equals_every_order_of_the_ties(divide_by, groups, cutoff):
    scores = [average_precision(ranking, divide_by, cutoff) for ranking in all_orders(groups)]
    assert score(groups, cutoff, divide_by, "expected") == pytest.approx(np.mean(scores), abs=1e-12)
    assert score(groups, cutoff, divide_by, "best") == pytest.approx(max(scores), abs=1e-12)
    assert score(groups, cutoff, divide_by, "worst") == pytest.approx(min(scores), abs=1e-12)


@pytest.mark.parametrize("divide_by", RULES)
def test_a_cut_group_of_seven_in_every_order(divide_by):
    # All 5,040 orders of one group, under every cutoff and every number of hits before and in the group.
    for before in ([], [True], [False], [False, True, False]):
        for n_hits in range(8):
            groups = [[one] for one in before] + [[True] * n_hits + [False] * (7 - n_hits)]
            orders = list(all_orders(groups)) if n_hits in (3, 4) else _patterns(before, n_hits, 7)
            for cutoff in (1, 2, len(before) + 3, len(before) + 6, len(before) + 7):
                scores = [average_precision(ranking, divide_by, cutoff) for ranking in orders]
                assert score(groups, cutoff, divide_by) == pytest.approx(np.mean(scores), abs=1e-12)
                assert score(groups, cutoff, divide_by, "best") == pytest.approx(max(scores), abs=1e-12)
                assert score(groups, cutoff, divide_by, "worst") == pytest.approx(min(scores), abs=1e-12)


def _patterns(before, n_hits, n):
    """Every ranking that differs: the patterns of hits are equally likely, so their plain mean is the expectation."""
    return [
        [*before, *(bool(pattern >> place & 1) for place in range(n))]
        for pattern in range(1 << n)
        if pattern.bit_count() == n_hits
    ]


@pytest.mark.parametrize("divide_by", RULES)
@pytest.mark.parametrize("cutoff", [None, 50, 20])
def test_equals_the_mean_of_many_random_orders(divide_by, cutoff):
    rng = np.random.default_rng(0)
    groups = [list(rng.random(n) < 0.3) for n in (3, 0, 12, 70, 40)]
    flat = [np.array(group) for group in groups]
    scores = [
        average_precision([bool(one) for group in flat for one in rng.permutation(group)], divide_by, cutoff)
        for _ in range(4000)
    ]
    error = np.std(scores) / np.sqrt(len(scores))
    assert abs(score(groups, cutoff, divide_by) - np.mean(scores)) < 4 * error + 1e-12


@pytest.mark.parametrize("divide_by", RULES)
@settings(max_examples=60, deadline=None)
@given(ranking=st.lists(st.booleans(), min_size=1, max_size=60), cutoff=st.none() | st.integers(1, 70))
def test_without_ties_all_rules_are_the_loops(divide_by, ranking, cutoff):
    expected = average_precision(ranking, divide_by, cutoff)
    for ties in [*TIES, "id"]:
        assert score([[one] for one in ranking], cutoff, divide_by, ties) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("divide_by", RULES)
@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(0, 300), st.floats(0, 1)), min_size=1, max_size=9),
    cutoff=st.none() | st.integers(1, 400),
)
def test_expected_lies_between_worst_and_best_and_0_and_1(divide_by, sizes, cutoff):
    groups = [[True] * round(n * share) + [False] * (n - round(n * share)) for n, share in sizes]
    worst, expected, best = (score(groups, cutoff, divide_by, ties) for ties in ("worst", "expected", "best"))
    assert -1e-12 <= worst <= expected + 1e-12
    assert expected <= best + 1e-12
    assert best <= 1 + 1e-12


def test_more_hits_are_not_always_better_when_divided_by_hits_found():
    # One hit first, 48 misses, then a tie of which one item is let in: a hit there would lower the mean.
    groups = [[True], *[[False]] * 48, [True, False]]
    assert score(groups, 50, "found", "best") == 1.0
    assert score(groups, 50, "found", "worst") == pytest.approx((1 + 2 / 50) / 2)
    assert score(groups, 50, "found", "expected") == pytest.approx((1 + (1 + 2 / 50) / 2) / 2)


@pytest.mark.parametrize("divide_by", RULES)
def test_large_groups_neither_overflow_nor_lose_digits(divide_by):
    # A group of a million in which every second item is relevant: precision is one half wherever one looks.
    found = np.array([[0, 1_000_000, 3_000_000]], dtype=np.int64)
    relevant = found // 2
    for cutoff in (1000, 50_000):
        protocol = EvaluationProtocol("test", cutoff, divide_by)
        value = average_precisions(found, relevant, protocol)[0]
        fixed = {"relevant": cutoff / 2 / 2_000_000, "reachable": 0.5}.get(divide_by, 1.0)
        assert value == pytest.approx(0.5 * fixed, rel=2e-2)
        assert np.isfinite(value)


def test_one_group_of_thousands_equals_the_sum_over_places():
    # A second derivation for a size that cannot be enumerated: P(hit at j, x hits before) summed over j and x.
    from scipy.stats import hypergeom

    n, r, k = 3000, 900, 40
    found, relevant = np.array([[n]]), np.array([[r]])
    plain = sum(
        r / n * sum((x + 1) / j * hypergeom.pmf(x, n - 1, r - 1, j - 1) for x in range(j)) for j in range(1, k + 1)
    )
    reachable = average_precisions(found, relevant, EvaluationProtocol("test", k, "reachable"))[0]
    assert reachable == pytest.approx(plain / k, rel=1e-9)
    first = sum(
        r / n * sum((x + 1) / j * hypergeom.pmf(x, n - 1, r - 1, j - 1) for x in range(min(j, k)))
        for j in range(1, 400)
    )
    assert average_precisions(found, relevant, EvaluationProtocol("test", k, "first_relevant"))[0] == pytest.approx(
        first / k, rel=1e-9
    )
    hits = np.arange(1, k + 1)
    given_hits = [sum(x / k * (1 + (j - 1) * (x - 1) / (k - 1)) / j for j in range(1, k + 1)) / x for x in hits]
    by_hits = float(hypergeom.pmf(hits, n, r, k) @ given_hits)
    assert average_precisions(found, relevant, EvaluationProtocol("test", k, "found"))[0] == pytest.approx(by_hits)


def test_queries_without_anything_relevant():
    found, relevant = np.array([[2, 3], [1, 4]]), np.array([[0, 0], [1, 0]])
    for divide_by in RULES:
        for ties in TIES:
            zero = average_precisions(found, relevant, EvaluationProtocol("test", 3, divide_by, ties))
            skip = average_precisions(found, relevant, EvaluationProtocol("test", 3, divide_by, ties, "skip"))
            assert zero.tolist() == [0.0, 1.0]
            assert np.isnan(skip[0])
            assert skip[1] == 1.0


def test_ties_by_id_need_an_order():
    with pytest.raises(DataError, match="one item"):
        average_precisions(np.array([[2]]), np.array([[1]]), EvaluationProtocol("test", None, "found", "id"))


@pytest.mark.parametrize("n_before", [0, 5, 63, 64, 5000, 2_000_000])
@pytest.mark.parametrize("n", [1, 31, 32, 33, 500, 40_000])
def test_a_long_group_is_summed_as_its_places_one_by_one(n_before, n):
    hits_before, hits = n_before // 3, max(1, n // 4)
    found, relevant = np.array([[n_before, n]]), np.array([[hits_before, hits]])
    places = n_before + np.arange(1, n + 1)
    grown = np.arange(n) * ((hits - 1) / (n - 1) if n > 1 else 0.0)
    own = float(np.sum(np.longdouble(hits) / n * (hits_before + 1 + grown) / places))
    first = average_precisions(np.array([[n_before]]), np.array([[hits_before]]), PALL)[0] * hits_before
    added = average_precisions(found, relevant, PALL)[0] * (hits_before + hits) - first
    assert added == pytest.approx(own, rel=1e-9, abs=1e-9 * max(1, hits_before))
    for ties, last in (("best", n_before + hits), ("worst", n_before + n)):
        at = last - np.arange(hits, dtype=np.longdouble)[::-1]
        whole = replace(PALL, ties=ties)
        before = average_precisions(np.array([[n_before]]), np.array([[hits_before]]), whole)[0] * hits_before
        own = float(np.sum((hits_before + np.arange(1, hits + 1)) / at))
        added = average_precisions(found, relevant, whole)[0] * (hits_before + hits) - before
        assert added == pytest.approx(own, rel=1e-9, abs=1e-9 * max(1, hits_before))
