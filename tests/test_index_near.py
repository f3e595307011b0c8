"""Small radii by tables of parts: the same as a scan, whatever the codes, and made only when they pay."""

from itertools import pairwise

import numpy as np
import pytest

from crossbit import Codes
from crossbit.index import ExactIndex, near
from crossbit.index.near import NearTables
from crossbit.kernels import within
from crossbit.kernels.flips import flips_for, part_edges
from crossbit.kernels.parts import PartTables
from crossbit.kernels.search import as_bytes, flags_of, in_order_of
from crossbit.testing.index import check_random_history, check_within, index_checks, random_codes


def crowded(n, n_bytes, seed):
    """Codes around a few centres, many of them equal, and queries around the same."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 256, (5, n_bytes), dtype=np.uint8)
    flips = np.packbits(rng.random((n, 8 * n_bytes)) < 0.04, axis=1)
    return centres[rng.integers(0, 5, n)] ^ flips


@pytest.fixture
def tables_at_once(monkeypatch):
    """Tables cost nothing to make, and scans cost much."""
    for name, value in (("_FIRST", 0.0), ("_BUILD", 0.0), ("_SCAN_BYTE", 1.0)):
        monkeypatch.setattr(near, name, value)


@pytest.mark.parametrize("n_bytes", [1, 2, 3, 4, 7, 8, 12, 16, 25])
def test_a_look_up_finds_what_a_scan_finds(n_bytes):
    codes, queries = as_bytes(crowded(400, n_bytes, 0)), as_bytes(crowded(12, n_bytes, 0))
    kept = np.arange(400) % 3 > 0
    tables = PartTables.of(codes)
    for radius in range(6 if n_bytes > 1 else 3):
        for flags in (None, kept):
            found = in_order_of([tables.find(queries, codes, flags_of(flags), radius)], len(queries))
            for own, scanned in zip(found, within(queries, codes, radius, kept=flags), strict=True):
                np.testing.assert_array_equal(own, scanned)
        assert (tables.count(queries, radius) >= np.diff(within(queries, codes, radius)[2])).all()


@pytest.mark.parametrize("radius", range(6))
def test_parts_near_enough_are_all_looked_up(radius):
    edges = part_edges(6)
    flips, bounds, most = flips_for(6, radius)
    rng = np.random.default_rng(radius)
    for _ in range(200):
        bits = rng.permutation(48)[:radius]
        shared = [max((int(one).bit_count() for one in flips[a:b]), default=-1) for a, b in pairwise(bounds)]
        assert shared == most.tolist()
        flipped = [int(((bits // 8 >= edges[part]) & (bits // 8 < edges[part + 1])).sum()) for part in range(2)]
        assert any(own <= far for own, far in zip(flipped, most, strict=True))


@pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
def test_an_index_with_tables_passes_every_check(check, tables_at_once):
    check(ExactIndex)


def test_tables_hold_after_changes(tables_at_once):
    check_random_history(ExactIndex, seed=7, steps=40)
    codes = Codes(crowded(500, 8, 1), 64)
    index = ExactIndex(64)
    index.add(codes, np.arange(500))
    before = [hits.ids[0] for hits in index.within(codes[:5], 2)]
    index.remove(np.arange(0, 500, 2))
    for own, hits in zip(before, index.within(codes[:5], 2), strict=True):
        np.testing.assert_array_equal(hits.ids[0], own[own % 2 == 1])


def test_dear_queries_are_scanned_and_the_others_looked_up(monkeypatch):
    few, crowd = np.random.default_rng(0).integers(0, 256, (2000, 8), dtype=np.uint8), np.zeros((2000, 8), np.uint8)
    packed = np.concatenate([few, crowd])
    queries = np.concatenate([few[:3], crowd[:2], few[3:6]])
    for name, value in (("_FIRST", -1.0), ("_BUILD", 0.0), ("_FLIP", 0.0), ("_SCAN_ONCE", 0), ("_CANDIDATE", 9e-9)):
        monkeypatch.setattr(near, name, value)
    scanned = []
    monkeypatch.setattr(
        near, "within", lambda asked, *rest, **kept: scanned.append(len(asked)) or within(asked, *rest, **kept)
    )
    tables = NearTables()
    for own, right in zip(
        tables.within(queries, packed, 1, kept=None, threads=2), within(queries, packed, 1), strict=True
    ):
        np.testing.assert_array_equal(own, right)
    assert scanned == [2]


def test_tables_are_made_once_scans_have_cost_as_much():
    codes = random_codes(4000, 64, 3)
    index = ExactIndex.over(codes, threads=1)
    index.within(codes[:8], 0)
    tables = index._segments[0].near
    assert tables._tables is None  # nothing was spent yet
    assert 0 < tables._spent < 0.001
    tables._spent = 10.0
    index.within(codes[:8], 0)
    assert tables._tables is not None
    check_within(ExactIndex)
    without = ExactIndex.over(codes, threads=1, tables=False)
    without.within(codes[:8], 0)
    assert without._segments[0].near._spent == 0


@pytest.mark.parametrize(("n_bytes", "radius"), [(8, 20), (2, 4), (8, 64)])
def test_large_radii_are_never_looked_up(n_bytes, radius):
    packed = crowded(3000, n_bytes, 4)
    tables = NearTables()
    tables._spent = 10.0
    tables.within(packed[:200], packed, radius, kept=None, threads=1)
    assert tables._tables is None


def test_no_codes_are_as_wide_as_others():
    assert as_bytes(np.empty((0, 2), np.uint8)).shape == (0, 2)
    assert as_bytes(np.empty((0, 2), np.uint64)).shape == (0, 16)
