"""Coarse to fine: what it finds is true, all is found where all is a candidate, and settings are checked."""

from dataclasses import replace

import numpy as np
import pytest

from crossbit import Codes
from crossbit.errors import FileFormatError, SettingsError, WidthError
from crossbit.index import ExactIndex, PrefixIndex
from crossbit.kernels import nearest
from crossbit.kernels.again import nearest_among
from crossbit.testing.index import check_hits, check_true_hits, index_checks, random_codes, recall_of


def with_candidates(index, candidates):
    """The index, its candidates for each query a fixed number."""
    settings = replace(index.settings, candidates=candidates, k=10)
    index._held = replace(index._held, settings=settings)
    return index


class BuiltAnew:
    """An index for the suite that is built over all it holds before each search, every code a candidate."""

    def __init__(self, n_bits):
        self.held, self.n_bits = ExactIndex(n_bits), n_bits
        self.add, self.remove = self.held.add, self.held.remove

    def __len__(self):
        return len(self.held)

    def built(self):
        parts = [segment.rows_left() for segment in self.held._segments]
        if not parts:
            return PrefixIndex(self.n_bits)
        packed, ids = np.concatenate([part[1] for part in parts]), np.concatenate([part[0] for part in parts])
        return with_candidates(PrefixIndex.build(Codes(packed, self.n_bits), ids, threads=1), len(ids))

    def search(self, queries, k, *, where=None):
        return self.built().search(queries, k, where=where)

    def within(self, queries, radius):
        return self.built().within(queries, radius)


@pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", [PrefixIndex, BuiltAnew])
def test_it_is_an_index(kind, check):
    check(kind)


@pytest.mark.parametrize("prefix_bits", [1, 12, 16, 64])
def test_all_candidates_give_a_full_comparison(prefix_bits):
    codes, queries, ids = random_codes(300, 64, 1), random_codes(6, 64, 2), np.arange(300)
    index = with_candidates(PrefixIndex.build(codes, prefix_bits=prefix_bits, threads=1), 300)
    for k in (1, 10, 300):
        check_hits(index.search(queries, k), queries, codes, ids, k)


def test_few_candidates_are_the_nearest_by_the_prefix():
    codes, queries = random_codes(2000, 64, 3), random_codes(8, 64, 4)
    index = with_candidates(PrefixIndex.build(codes, prefix_bits=16, target_recall=0.1, threads=1), 50)
    hits = index.search(queries, 10)
    check_true_hits(hits, queries, codes, np.arange(2000))
    coarse = ExactIndex.over(codes.prefix(16), threads=1).search(queries.prefix(16), 50)
    for found, candidates in zip(hits.ids, coarse.ids, strict=True):
        assert set(found) <= set(candidates)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.99])
def test_the_recall_asked_for_is_reached(target):
    codes, queries = random_codes(4000, 64, 5), random_codes(200, 64, 6)
    index = PrefixIndex.build(codes, prefix_bits=32, target_recall=target, queries=queries, threads=1)
    assert index.settings.recall >= target
    exact = ExactIndex.over(codes, threads=1).search(queries, 10)
    assert recall_of(index.search(queries, 10), exact) == pytest.approx(index.settings.recall, abs=0.02)
    fewer = PrefixIndex.build(codes, prefix_bits=32, target_recall=target / 4, queries=queries, threads=1)
    assert fewer.settings.candidates < index.settings.candidates


def test_changes_after_a_build_and_a_file(tmp_path):
    codes, queries = random_codes(900, 64, 7), random_codes(6, 64, 8)
    ids = np.random.default_rng(9).permutation(5000)[:900]
    index = with_candidates(PrefixIndex.build(codes[:600], ids[:600], threads=1), 600)
    index.add(codes[600:], ids[600:])
    index.remove(ids[::3])
    left = np.flatnonzero(np.arange(900) % 3)
    index.save(tmp_path / "index.prefix")
    for one in (index, PrefixIndex.load(tmp_path / "index.prefix", threads=1)):
        assert len(one) == len(left)
        check_hits(one.search(queries, 50), queries, codes[left], ids[left], 50)
        assert one.settings == index.settings
    (tmp_path / "index.prefix").write_bytes((tmp_path / "index.prefix").read_bytes()[:-100])
    with pytest.raises(FileFormatError, match="not a whole"):
        PrefixIndex.load(tmp_path / "index.prefix")


@pytest.mark.parametrize("n_bits", [12, 64, 128])
def test_ranking_among_chosen_rows(n_bits):
    codes, queries = random_codes(500, n_bits, 10), random_codes(40, n_bits, 11)
    rows = np.stack([np.random.default_rng(seed).permutation(500)[:70] for seed in range(40)])
    rows[:, 65:] = -1  # fewer candidates than asked for
    for k in (1, 10, 65):
        found, distances = nearest_among(queries.packed, codes.packed, rows, k, threads=2)
        for query in range(40):
            own = np.sort(rows[query, :65])
            right, far = nearest(queries.packed[query : query + 1], codes.packed[own], k)
            np.testing.assert_array_equal(found[query], own[right[0]])
            np.testing.assert_array_equal(distances[query], far[0])
    found, distances = nearest_among(queries.packed, codes.packed, rows, 70)
    assert (found[:, 65:] == -1).all()
    assert nearest_among(queries.packed[:0], codes.packed, rows[:0], 3)[0].shape == (0, 3)


def test_settings_are_checked():
    codes = random_codes(20, 16, 6)
    with pytest.raises(WidthError, match="prefix of 17 bits"):
        PrefixIndex.build(codes, prefix_bits=17)
    with pytest.raises(SettingsError, match="prefix_bits"):
        PrefixIndex.build(codes, prefix_bits=0)
    for wrong in (0.0, 1.5):
        with pytest.raises(SettingsError, match="target_recall"):
            PrefixIndex.build(codes, target_recall=wrong)
    index = PrefixIndex.build(codes)
    with pytest.raises(SettingsError, match="k must be"):
        index.search(codes, 0)
    with pytest.raises(WidthError, match="16-bit codes"):
        index.search(random_codes(2, 24, 7), 1)
