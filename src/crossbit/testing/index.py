"""Checks that any index must pass, against a plain NumPy search.

In a test module:

    @pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
    def test_index(check):
        check(MyIndex)

`MyIndex` is any function from a code length to an empty index. An engine that is exact passes them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import CrossbitError, DataError, SettingsError, WidthError
from crossbit.index.protocol import Hits, Index

MakeIndex = Callable[[int], Index]
Check = Callable[[MakeIndex], None]

WIDTHS = (1, 8, 12, 16, 64, 100, 128, 200)


def check_index(make_index: MakeIndex) -> None:
    """Run every check on the indexes that make_index(n_bits) gives; raises AssertionError at the first failure."""
    for check in index_checks():
        check(make_index)


def index_checks() -> list[Check]:
    """The checks one by one, to be given to a test runner; each is called with make_index."""
    return [
        check_every_width,
        check_k_beyond_size,
        check_empty,
        check_filters,
        check_add_after_search,
        check_duplicate_codes,
        check_removed_ids,
        check_extreme_ids,
        check_refusals,
        check_within,
        check_random_history,
    ]


def random_codes(n: int, n_bits: int, seed: int) -> Codes:
    """n random codes; the same seed gives the same codes."""
    return Codes.from_bits(np.random.default_rng(seed).random((n, n_bits)) < 0.5)


def plain_search(
    queries: Codes, codes: Codes, ids: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The right answer: ids and distances of the k nearest, nearest first, ties by lower id, by a full sort."""
    distances = (queries.bits()[:, None, :] != codes.bits()[None, :, :]).sum(axis=2)
    order = np.stack([np.lexsort((ids, row)) for row in distances])[:, :k]
    return ids[order], np.take_along_axis(distances, order, axis=1).astype(np.int32)


def check_hits(
    hits: Hits, queries: Codes, codes: Codes, ids: NDArray[np.int64], k: int, *, any_last: bool = False
) -> None:
    """Hits have the right shape and types, and equal the plain search in distances and in ids.

    any_last: of the items at the distance of the last hit any may be there, in the order of their ids.
    """
    _expect(hits.ids.dtype == np.int64 and hits.distances.dtype == np.int32, "ids are int64 and distances int32")
    shape = (len(queries), min(k, len(ids)))
    _expect(hits.ids.shape == hits.distances.shape == shape, f"{shape} hits; got {hits.ids.shape}")
    if len(ids) and len(queries):
        expected_ids, expected_distances = plain_search(queries, codes, ids, k)
        _expect(np.array_equal(hits.distances, expected_distances), "the distances of a full comparison")
        if any_last:
            nearer = expected_distances < expected_distances[:, -1:]
            _expect(np.array_equal(hits.ids[nearer], expected_ids[nearer]), "the ids of a full comparison")
            check_true_hits(hits, queries, codes, ids)
        else:
            _expect(np.array_equal(hits.ids, expected_ids), "the ids of a full comparison, ties by lower id")


def check_true_hits(hits: Hits, queries: Codes, codes: Codes, ids: NDArray[np.int64]) -> None:
    """Whatever was found is there, once, at its true distance, nearest first and ties by lower id."""
    order = np.argsort(ids)
    places = np.minimum(np.searchsorted(ids[order], hits.ids), len(ids) - 1)
    _expect(np.array_equal(ids[order][places], hits.ids), "only ids that it holds and that the filter keeps")
    found = codes.bits()[order[places]]
    distances = (found != queries.bits()[:, None, :]).sum(axis=2)
    _expect(np.array_equal(distances, hits.distances), "the true distance of every hit")
    further, same = np.diff(hits.distances, axis=1), np.diff(hits.ids, axis=1)
    _expect(bool(((further > 0) | ((further == 0) & (same > 0))).all()), "nearest first, ties by lower id, each once")


def recall_of(hits: Hits, exact: Hits) -> float:
    """The share of the hits of an exact search that are as near as its last one: ties are no misses."""
    inside = hits.distances <= exact.distances[:, -1:]
    return float(inside.sum() / exact.distances.size) if exact.distances.size else 1.0


def check_every_width(make_index: MakeIndex) -> None:
    """Every code length gives the hits of a full comparison, for several k, and any order of the ids."""
    for n_bits in WIDTHS:
        codes, queries = random_codes(300, n_bits, n_bits), random_codes(7, n_bits, n_bits + 1)
        ids = np.random.default_rng(n_bits).permutation(1000)[:300].astype(np.int64)
        index = make_index(n_bits)
        _expect(index.n_bits == n_bits and len(index) == 0, "a new index is empty and knows its code length")
        index.add(codes, ids)
        _expect(len(index) == 300, "len counts the codes")
        for k in (1, 10, 300):
            check_hits(index.search(queries, k), queries, codes, ids, k)


def check_k_beyond_size(make_index: MakeIndex) -> None:
    """A k larger than the index gives all items, in fewer columns."""
    codes, queries, ids = random_codes(5, 16, 0), random_codes(3, 16, 1), np.arange(5, dtype=np.int64)
    index = make_index(16)
    index.add(codes, ids)
    check_hits(index.search(queries, 50), queries, codes, ids, 50)


def check_empty(make_index: MakeIndex) -> None:
    """An empty index gives hits without columns; no queries give no rows; adding and removing nothing is fine."""
    index, none = make_index(16), random_codes(0, 16, 0)
    queries, codes, ids = random_codes(3, 16, 0), random_codes(4, 16, 1), np.arange(4, dtype=np.int64)
    _expect(index.search(queries, 5).ids.shape == (3, 0), "an empty index gives (3, 0) hits")
    _expect([hits.ids.shape for hits in index.within(queries, 16)] == [(1, 0)] * 3, "and nothing within a radius")
    index.add(none, ids[:0])
    index.remove(ids[:0])
    index.add(codes, ids)
    _expect(index.search(none, 2).ids.shape == (0, 2), "no queries give (0, 2) hits")
    _expect(index.within(none, 2) == [], "and an empty list")
    index.remove(ids)
    _expect(len(index) == 0 and index.search(queries, 5).ids.shape == (3, 0), "an emptied index is an empty one")


def check_filters(make_index: MakeIndex) -> None:
    """Filters that keep nothing, one, some and all, by ids and by booleans, give what a smaller index would."""
    codes, queries = random_codes(200, 12, 3), random_codes(5, 12, 4)
    ids = np.random.default_rng(5).permutation(400)[:200].astype(np.int64)
    index = make_index(12)
    index.add(codes, ids)
    everything = np.ones(400, dtype=np.bool_)
    some = np.arange(400) % 3 == 0
    for kept in (~everything, np.arange(400) == ids[7], some, everything, some[:100]):
        inside = np.isin(ids, np.flatnonzero(kept))
        for where in (kept, np.flatnonzero(kept), np.concatenate([np.flatnonzero(kept), [-5, 10**9]])):
            hits = index.search(queries, 10, where=where)
            check_hits(hits, queries, codes[np.flatnonzero(inside)], ids[inside], 10)


def check_add_after_search(make_index: MakeIndex) -> None:
    """What is added after a search is found by the next one, and hits given before do not change."""
    codes, queries, ids = random_codes(90, 64, 6), random_codes(4, 64, 7), np.arange(90, dtype=np.int64)[::-1]
    index = make_index(64)
    for stop in (30, 60, 90):
        index.add(codes[stop - 30 : stop], ids[stop - 30 : stop])
        hits = index.search(queries, 20)
        before = hits.ids.copy()
        check_hits(hits, queries, codes[:stop], ids[:stop], 20)
    index.remove(ids)
    _expect(np.array_equal(hits.ids, before), "hits stay as they were given")


def check_duplicate_codes(make_index: MakeIndex) -> None:
    """Many items with one code come in the order of their ids."""
    codes = random_codes(3, 16, 8)[np.arange(120) % 3]
    ids = np.random.default_rng(9).permutation(120).astype(np.int64)
    index = make_index(16)
    index.add(codes, ids)
    for k in (1, 39, 40, 41, 120):
        check_hits(index.search(codes[:3], k), codes[:3], codes, ids, k)


def check_removed_ids(make_index: MakeIndex) -> None:
    """Removed ids never return, the others stay, and a removed id may come back with another code."""
    codes, queries, ids = random_codes(100, 128, 10), random_codes(5, 128, 11), np.arange(100, dtype=np.int64) * 7
    index = make_index(128)
    index.add(codes, ids)
    index.remove(ids[::2][::-1])
    check_hits(index.search(queries, 100), queries, codes[1::2], ids[1::2], 100)
    index.add(queries, ids[:10:2])
    back = Codes(np.concatenate([codes[1::2].packed, queries.packed]), 128)
    check_hits(index.search(queries, 9), queries, back, np.concatenate([ids[1::2], ids[:10:2]]), 9)


def check_extreme_ids(make_index: MakeIndex) -> None:
    """Negative ids and the ends of 64 bits are ids like others."""
    ends = np.iinfo(np.int64)
    ids = np.array([ends.max, ends.min, 0, -1, ends.max - 1], dtype=np.int64)
    codes = random_codes(1, 16, 12)[np.zeros(5, dtype=np.int64)]
    for n in (2, 5):
        index = make_index(16)
        index.add(codes[:n], ids[:n])
        check_hits(index.search(codes[:1], n), codes[:1], codes[:n], ids[:n], n)
        check_hits(index.search(codes[:1], n, where=ids[1:2]), codes[:1], codes[1:2], ids[1:2], n)
        unsigned = np.array([ends.max, 1 << 63], dtype=np.uint64)
        check_hits(index.search(codes[:1], n, where=unsigned), codes[:1], codes[:1], ids[:1], n)
    index = make_index(16)
    index.add(codes, np.arange(-3, 2, dtype=np.int64))
    positive = np.ones(3, dtype=np.bool_)  # booleans speak of ids 0, 1 and 2; negative ids are left out
    check_hits(index.search(codes[:1], 5, where=positive), codes[:1], codes[3:], np.arange(2, dtype=np.int64), 5)


def check_refusals(make_index: MakeIndex) -> None:
    """Wrong widths, ids and settings are refused with crossbit's own errors, and leave the index as it was."""
    codes, ids = random_codes(6, 16, 13), np.arange(6, dtype=np.int64)
    other = random_codes(6, 24, 14)
    index = make_index(16)
    index.add(codes, ids)
    refused: list[tuple[type[CrossbitError], Callable[[], Any]]] = [
        (WidthError, lambda: index.add(other, ids + 10)),
        (WidthError, lambda: index.search(other, 1)),
        (WidthError, lambda: index.within(other, 1)),
        (DataError, lambda: index.add(codes, ids + 5)),
        (DataError, lambda: index.add(codes, np.full(6, 20))),
        (DataError, lambda: index.add(codes, ids[:3] + 20)),
        (DataError, lambda: index.add(codes, (ids + 20).astype(np.float32))),
        (DataError, lambda: index.remove(np.array([0, 99]))),
        (DataError, lambda: index.search(codes, 1, where=np.array([0.5]))),
        (SettingsError, lambda: index.search(codes, 0)),
        (SettingsError, lambda: index.search(codes, -3)),
        (SettingsError, lambda: index.within(codes, -1)),
    ]
    for number, (error, attempt) in enumerate(refused):
        try:
            attempt()
        except error:
            continue
        raise AssertionError(f"An index must refuse wrong input number {number} with {error.__name__}.")
    check_hits(index.search(codes, 6), codes, codes, ids, 6)


def check_within(make_index: MakeIndex) -> None:
    """Everything within a radius is found, nearest first and ties by lower id, and nothing beyond it."""
    for n_bits in (8, 12, 64, 200):
        codes, queries = random_codes(150, n_bits, 15), random_codes(4, n_bits, 16)
        ids = np.random.default_rng(17).permutation(300)[:150].astype(np.int64)
        index = make_index(n_bits)
        index.add(codes, ids)
        all_ids, all_distances = plain_search(queries, codes, ids, 150)
        for radius in (0, 2, n_bits // 2, n_bits, n_bits + 9):
            found = index.within(queries, radius)
            _expect(len(found) == 4, "one Hits a query")
            for hits, expected_ids, expected_distances in zip(found, all_ids, all_distances, strict=True):
                inside = expected_distances <= radius
                _expect(np.array_equal(hits.ids, expected_ids[inside][None]), f"the ids within {radius} bits")
                _expect(np.array_equal(hits.distances, expected_distances[inside][None]), "and their distances")


def check_random_history(make_index: MakeIndex, seed: int = 0, steps: int = 60) -> None:
    """After any history of adding, removing and searching, the index answers as one built at once."""
    rng = np.random.default_rng(seed)
    index, held = make_index(12), dict[int, NDArray[np.uint8]]()
    for _ in range(steps):
        action = rng.integers(3)
        if action == 0:
            new = np.setdiff1d(rng.integers(-50, 200, rng.integers(0, 20)), list(held)).astype(np.int64)
            rng.shuffle(new)
            codes = random_codes(len(new), 12, int(rng.integers(1 << 30)))
            index.add(codes, new)
            held.update(zip(new.tolist(), codes.packed, strict=True))
        elif action == 1 and held:
            gone = rng.choice(list(held), rng.integers(0, len(held) + 1) // 2, replace=False).astype(np.int64)
            index.remove(gone)
            for one in gone.tolist():
                del held[one]
        ids = np.array(list(held), dtype=np.int64)
        _expect(len(index) == len(ids), "len counts what is held")
        queries, k = random_codes(2, 12, int(rng.integers(1 << 30))), int(rng.integers(1, 30))
        codes = Codes(np.array(list(held.values()), dtype=np.uint8).reshape(-1, 2), 12)
        check_hits(index.search(queries, k), queries, codes, ids, k)


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"An index must give {what}.")
