"""Exact search by clusters and rings: held to the index suite, and to the exact index on clustered codes."""

import numpy as np
import pytest

from crossbit import Codes
from crossbit.errors import FileFormatError
from crossbit.index import ExactIndex, PrunedIndex, pruned
from crossbit.testing.index import WIDTHS, check_hits, index_checks, random_codes


def clustered(n, n_bits, seed):
    """Codes around 40 centres, many of them equal."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).random((40, n_bits)) < 0.5
    return Codes.from_bits(centres[rng.integers(40, size=n)] ^ (rng.random((n, n_bits)) < 0.06))


@pytest.fixture(params=[1, 16, 10**9], ids=["rings alone", "both", "scan alone"])
def share(request, monkeypatch):
    """Up to what share of the codes the rings are scanned."""
    monkeypatch.setattr(pruned, "_TO_BATCH", request.param)
    monkeypatch.setattr(pruned, "_TO_FEW", request.param)
    monkeypatch.setattr(pruned, "_LEAST_BATCH", 0)


class BuiltAnew:
    """An index for the suite that is built over all it holds before each search."""

    def __init__(self, n_bits):
        self.held, self.n_bits = ExactIndex(n_bits), n_bits
        self.add, self.remove = self.held.add, self.held.remove

    def __len__(self):
        return len(self.held)

    def built(self):
        parts = [segment.rows_left() for segment in self.held._segments]
        if not parts:
            return PrunedIndex(self.n_bits)
        packed = np.concatenate([part[1] for part in parts])
        return PrunedIndex.build(Codes(packed, self.n_bits), np.concatenate([part[0] for part in parts]), threads=1)

    def search(self, queries, k, *, where=None):
        return self.built().search(queries, k, where=where)

    def within(self, queries, radius):
        return self.built().within(queries, radius)


@pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
def test_before_a_build(check):
    check(PrunedIndex)


@pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
def test_built_over_all(check, share):
    check(BuiltAnew)


@pytest.mark.parametrize("n_bits", [*WIDTHS, 256])
def test_hits_are_those_of_a_full_comparison(n_bits, share):
    codes, queries = clustered(1500, n_bits, 1), clustered(9, n_bits, 2)
    ids = np.random.default_rng(3).permutation(5000)[:1500].astype(np.int64)
    index = PrunedIndex.build(codes, ids, threads=2)
    for k in (1, 10, 100, 1499, 1500, 2000):
        check_hits(index.search(queries, k), queries, codes, ids, k)
    some = np.arange(5000) % 2 == 0
    inside = some[ids]
    check_hits(index.search(queries, 10, where=some), queries, codes[np.flatnonzero(inside)], ids[inside], 10)


def test_changes_after_a_build(share):
    codes, queries = clustered(900, 64, 4), clustered(6, 64, 5)
    ids = np.arange(900, dtype=np.int64)
    index = PrunedIndex.build(codes[:600], threads=1)
    index.add(codes[600:], ids[600:])
    index.remove(ids[::3])
    left = np.flatnonzero(ids % 3)
    assert len(index) == len(left)
    check_hits(index.search(queries, 50), queries, codes[left], ids[left], 50)


def test_many_queries_on_threads_and_far_ones(monkeypatch):
    monkeypatch.setattr(pruned, "_LEAST_BATCH", 0)
    codes, queries = clustered(20_000, 128, 6), random_codes(700, 128, 7)
    exact, own = ExactIndex.over(codes, threads=1), PrunedIndex.build(codes, threads=2)
    for asked in (queries, clustered(700, 128, 8)):
        np.testing.assert_array_equal(own.search(asked, 10).ids, exact.search(asked, 10).ids)


def test_a_file_gives_the_index_back(tmp_path):
    codes, queries = clustered(500, 64, 9), clustered(5, 64, 10)
    index = PrunedIndex.build(codes, np.arange(500)[::-1] * 3, threads=1)
    index.add(queries, np.arange(5) * 3 + 1)
    index.remove(np.array([3, 30, 4]))
    index.save(tmp_path / "index.npz")
    loaded = PrunedIndex.load(tmp_path / "index.npz", threads=1)
    for own, right in ((loaded.search(queries, 20), index.search(queries, 20)),):
        np.testing.assert_array_equal(own.ids, right.ids)
        np.testing.assert_array_equal(own.distances, right.distances)
    cut = (tmp_path / "index.npz").read_bytes()[:-100]
    (tmp_path / "index.npz").write_bytes(cut)
    with pytest.raises(FileFormatError, match="not a whole"):
        PrunedIndex.load(tmp_path / "index.npz")
    PrunedIndex(8).save(tmp_path / "empty.npz")
    assert len(PrunedIndex.load(tmp_path / "empty.npz")) == 0
