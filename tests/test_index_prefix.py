"""Coarse to fine: what it finds is true, all is found where all is a candidate, and settings are checked."""

import numpy as np
import pytest

from crossbit.errors import SettingsError, WidthError
from crossbit.index import ExactIndex, PrefixSearch
from crossbit.testing.index import check_hits, check_true_hits, random_codes


@pytest.mark.parametrize("prefix_bits", [1, 12, 16, 64])
def test_all_candidates_give_a_full_comparison(prefix_bits):
    codes, queries, ids = random_codes(300, 64, 1), random_codes(6, 64, 2), np.arange(300)
    for k in (1, 10, 300):
        search = PrefixSearch(codes, prefix_bits, candidates=1000, threads=1)
        check_hits(search.search(queries, k), queries, codes, ids, k)


def test_few_candidates_are_the_nearest_by_the_prefix():
    codes, queries = random_codes(2000, 64, 3), random_codes(8, 64, 4)
    hits = PrefixSearch(codes, 16, candidates=50, threads=1).search(queries, 10)
    check_true_hits(hits, queries, codes, np.arange(2000))
    coarse = ExactIndex.over(codes.prefix(16), threads=1).search(queries.prefix(16), 50)
    for found, candidates in zip(hits.ids, coarse.ids, strict=True):
        assert set(found) <= set(candidates)


def test_no_queries_and_no_codes():
    codes, none = random_codes(20, 16, 5), random_codes(0, 16, 5)
    assert PrefixSearch(codes, 8).search(none, 3).ids.shape == (0, 3)
    assert PrefixSearch(none, 8).search(codes, 3).ids.shape == (20, 0)


def test_settings_are_checked():
    codes = random_codes(20, 16, 6)
    with pytest.raises(WidthError, match="prefix of 17 bits"):
        PrefixSearch(codes, 17)
    with pytest.raises(SettingsError, match="candidates"):
        PrefixSearch(codes, 8, candidates=0)
    search = PrefixSearch(codes, 8, candidates=5)
    with pytest.raises(SettingsError, match="5 candidates"):
        search.search(codes, 6)
    with pytest.raises(SettingsError, match="k must be"):
        search.search(codes, 0)
    with pytest.raises(WidthError, match="16-bit codes"):
        search.search(random_codes(2, 24, 7), 1)
