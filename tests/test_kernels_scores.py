"""Asymmetric scores against NumPy, and the warm-up."""

import numpy as np
import pytest

from crossbit import Codes
from crossbit.errors import DataError, WidthError
from crossbit.kernels import highest_scores, scan, scores, search, warm_up


def world(n_bits, n=5000, n_queries=5, seed=0):
    rng = np.random.default_rng(seed)
    queries = rng.integers(-9, 10, (n_queries, n_bits)).astype(np.float32)  # whole numbers: sums are exact, and tie
    return queries, Codes.from_bits(rng.random((n, n_bits)) < 0.5)


def check(queries, codes, k, kept=None, **options):
    rows, found = highest_scores(queries, codes.packed, k, kept=kept, **options)
    looked_at = np.arange(len(codes)) if kept is None else np.flatnonzero(kept)
    expected = queries @ codes.signs()[looked_at].T
    order = np.argsort(-expected, axis=1, kind="stable")[:, :k]
    assert np.array_equal(rows, looked_at[order])
    assert np.array_equal(found, np.take_along_axis(expected, order, axis=1))


@pytest.mark.parametrize("n_bits", [1, 8, 12, 64, 100, 256])
def test_scores_and_ties(n_bits):
    queries, codes = world(n_bits)
    for k in (1, 10, 700, 5000, 6000):
        check(queries, codes, k)


def test_filters_and_threads(monkeypatch):
    monkeypatch.setattr(search, "_WORTH_THREADS", 0)
    monkeypatch.setattr(search, "_ROWS", 500)
    queries, codes = world(64)
    for share in (0, 0.002, 0.5, 1):
        check(queries, codes, 20, kept=np.random.default_rng(1).random(5000) < share)
        check(queries, codes, 20, kept=np.random.default_rng(1).random(5000) < share, threads=3)


def test_signs_score_like_distances():
    _, codes = world(64)
    rows, found = highest_scores(codes[:3].signs(), codes.packed, 10)
    own, distances = search.nearest(codes[:3].packed, codes.packed, 10)
    assert np.array_equal(rows, own)
    assert np.array_equal(found, 64 - 2 * distances)


def test_wrong_queries_are_refused():
    queries, codes = world(64)
    with pytest.raises(WidthError, match="as many bits"):
        highest_scores(queries[:, :50], codes.packed, 3)
    queries[0, 0] = np.nan
    with pytest.raises(DataError, match="NaN"):
        highest_scores(queries, codes.packed, 3)


def test_after_the_warm_up_nothing_is_left_to_compile():
    warm_up()
    loops = (scan.scan_nearest, scan.scan_within, scores.scan_scores)
    before = [len(loop.signatures) for loop in loops]
    queries, codes = world(64)
    search.nearest(codes.packed[:9], codes.packed, 3)
    search.within(codes.packed[:9], codes.packed, 3, kept=np.ones(5000, np.bool_))
    check(queries, codes, 3)
    assert [len(loop.signatures) for loop in loops] == before
