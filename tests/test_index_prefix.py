"""Coarse to fine: what it finds is true, all is found where all is a candidate, the recall asked for is reached."""

import numpy as np
import pytest

from crossbit import Codes
from crossbit.errors import FileFormatError, SettingsError, WidthError
from crossbit.index import ExactIndex, PrefixIndex
from crossbit.kernels import nearest
from crossbit.kernels.again import nearest_among
from crossbit.testing.index import check_hits, check_true_hits, index_checks, random_codes, recall_of


def clustered(n, n_bits, seed):
    """Codes around 60 centres."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).random((60, n_bits)) < 0.5
    return Codes.from_bits(centres[rng.integers(60, size=n)] ^ (rng.random((n, n_bits)) < 0.1))


class BuiltAnew:
    """An index for the suite that is built over all it holds before each search, with all of it as candidates."""

    def __init__(self, n_bits):
        self.held, self.n_bits = ExactIndex(n_bits), n_bits
        self.add, self.remove = self.held.add, self.held.remove

    def __len__(self):
        return len(self.held)

    def built(self):
        parts = [segment.rows_left() for segment in self.held._segments]
        if not parts:
            return PrefixIndex(self.n_bits)
        codes = Codes(np.concatenate([part[1] for part in parts]), self.n_bits)
        ids, prefix = np.concatenate([part[0] for part in parts]), -(-self.n_bits // 2)
        return PrefixIndex.build(codes, ids, prefix_bits=prefix, candidates=len(codes), threads=1)

    def search(self, queries, k, *, where=None):
        return self.built().search(queries, k, where=where)

    def within(self, queries, radius):
        return self.built().within(queries, radius)


@pytest.mark.parametrize("make", [PrefixIndex, BuiltAnew])
@pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
def test_the_checks_of_every_index(check, make):
    check(make)


@pytest.mark.parametrize("prefix_bits", [1, 12, 16, 64])
def test_all_candidates_give_a_full_comparison(prefix_bits):
    codes, queries, ids = random_codes(300, 64, 1), random_codes(6, 64, 2), np.arange(300)
    index = PrefixIndex.build(codes, prefix_bits=prefix_bits, candidates=299, threads=1)
    for k in (1, 10, 300):
        hits = index.search(queries, k)
        check_true_hits(hits, queries, codes, ids)
        assert recall_of(hits, ExactIndex.over(codes).search(queries, k)) > 0.98  # one code is no candidate
    check_hits(
        PrefixIndex.build(codes, prefix_bits=prefix_bits, candidates=300).search(queries, 9), queries, codes, ids, 9
    )


@pytest.mark.parametrize("share", [None, 0.5, 0.01])
def test_few_candidates_are_the_nearest_by_the_prefix_of_what_is_kept(share):
    codes, queries, ids = random_codes(2000, 64, 3), random_codes(8, 64, 4), np.arange(2000)
    kept = None if share is None else np.random.default_rng(5).random(2000) < share
    hits = PrefixIndex.build(codes, prefix_bits=16, candidates=50, threads=1).search(queries, 10, where=kept)
    left = ids if kept is None else np.flatnonzero(kept)
    check_true_hits(hits, queries, codes[left], ids[left])
    coarse = ExactIndex.over(codes.prefix(16), threads=1).search(queries.prefix(16), 50, where=kept)
    for found, candidates in zip(hits.ids, coarse.ids, strict=True):
        assert set(found) <= set(candidates)


def test_the_recall_asked_for_is_reached_and_told():
    codes, queries = clustered(8000, 64, 6), clustered(300, 64, 7)
    exact, asked = ExactIndex.over(codes).search(queries, 10), []
    for target in (0.5, 0.9):
        index = PrefixIndex.build(codes, prefix_bits=32, target_recall=target, queries=queries, threads=1)
        told = index.settings
        assert told is not None
        assert told.recall >= target == told.target
        assert told.recall == pytest.approx(recall_of(index.search(queries, 10), exact))
        asked.append(told.candidates)
    assert 10 <= asked[0] < asked[1] < 8000
    hopeless = PrefixIndex.build(random_codes(2000, 64, 8), prefix_bits=1, target_recall=0.99, threads=1)
    assert hopeless.settings is not None
    assert (hopeless.settings.candidates, hopeless.settings.recall) == (2000, 1.0)


def test_the_best_prefix_costs_least():
    codes = clustered(8000, 64, 9)
    alone = [PrefixIndex.build(codes, prefix_bits=bits, threads=1).settings for bits in (8, 24, 48)]
    best = PrefixIndex.best(codes, lengths=(8, 24, 48), threads=1).settings
    assert best == min(alone, key=lambda told: told.cost(8000, 64))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_next_to_nothing(n):
    codes = random_codes(n, 16, 5)
    index = PrefixIndex.build(codes, prefix_bits=8)
    assert index.search(random_codes(4, 16, 6), 3).ids.shape == (4, n)
    assert index.search(random_codes(0, 16, 6), 3).ids.shape == (0, n)


def test_a_file_with_and_without_the_codes(tmp_path):
    codes, queries = random_codes(500, 64, 9), random_codes(5, 64, 10)
    index = PrefixIndex.build(codes, np.arange(500) * 3, prefix_bits=24, candidates=60, threads=1)
    index.add(queries, np.arange(5) * 3 + 1)
    index.remove(np.array([3, 30, 4]))
    for with_codes in (True, False):
        index.save(tmp_path / "index.npz", with_codes=with_codes)
        loaded = PrefixIndex.load(tmp_path / "index.npz", codes=None if with_codes else codes, threads=1)
        assert loaded.settings == index.settings
        np.testing.assert_array_equal(loaded.search(queries, 20).ids, index.search(queries, 20).ids)
    with pytest.raises(FileFormatError, match="holds no codes"):
        PrefixIndex.load(tmp_path / "index.npz")
    for other in (codes[:499], random_codes(500, 56, 9)):
        with pytest.raises(FileFormatError, match="other codes"):
            PrefixIndex.load(tmp_path / "index.npz", codes=other)


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
    with pytest.raises(SettingsError, match="candidates"):
        PrefixIndex.build(codes, prefix_bits=8, candidates=0)
    with pytest.raises(SettingsError, match="target_recall"):
        PrefixIndex.build(codes, prefix_bits=8, target_recall=1.5)
    index = PrefixIndex.build(codes, prefix_bits=8, candidates=5)
    with pytest.raises(SettingsError, match="k must be"):
        index.search(codes, 0)
    with pytest.raises(WidthError, match="16-bit codes"):
        index.search(random_codes(2, 24, 7), 1)
