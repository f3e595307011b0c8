"""The compiled scans: the nearest rows of each query, and the rows within a radius.

A query's limit starts beyond every distance. Whenever k rows nearer than it are known it sinks, so soon nearly no
block of 64 codes holds anything within it, and a block costs one comparison. Rows come in their order, so a later one
must be strictly nearer than the k-th: ties go to the lower row without being looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crossbit.kernels.compilation import Bytes, Counts, Distances, Rows, Words, allocating, compiled, inlined
from crossbit.kernels.tiles import TILE, fill_planes, fill_spread, list_rows, n_planes_of
from crossbit.kernels.vectors import LANES, TOGETHER, block_distances, block_hits, lowest
from crossbit.kernels.words import byte_distance

SPARE = 64  # places beyond 2 k for rows that may yet be pushed out
_COUNTED = 32  # codes, for each hit wanted, whose distances are counted before a scan begins
_FULL = 255  # a distance in a byte that may stand for a larger one


@inlined
def _set_limit(limits: Bytes, place: int, below: int) -> None:
    """Let the vector comparison keep distances under `below`. At 0 it keeps too much, and `offer` nothing."""
    limits[place * LANES : (place + 1) * LANES] = min(max(below - 1, 0), _FULL)


@inlined
def _drop(rows: Rows, distances: Distances, n: int, k: int, below: int, nearer: int) -> int:
    """Keep of n rows those nearer than the k-th distance and the first ones at it, k in all, in their order."""
    at_limit, to = k - nearer, 0
    for place in range(n):
        if distances[place] > below or (distances[place] == below and at_limit <= 0):
            continue
        at_limit -= distances[place] == below
        rows[to], distances[to] = rows[place], distances[place]
        to += 1
    return to


@inlined
def offer(
    query: int, row: int, distance: int, k: int, rows: Rows, distances: Distances, counts: Distances, state: Counts
) -> bool:
    """Take a row in unless it is too far; says whether the query's limit sank. Rows must come in their order.

    counts: (q, distances) rows taken in at each distance. state: (q, 3), what a query holds, its limit (a row must
    be nearer), and how many it holds nearer than that.
    """
    held, below, nearer = state[query, 0], state[query, 1], state[query, 2]
    if distance >= below:
        return False
    if held == rows.shape[1]:
        held = _drop(rows[query], distances[query], held, k, below, nearer)
    rows[query, held], distances[query, held] = row, distance
    counts[query, distance] += 1
    before = below
    nearer += 1
    while nearer >= k:
        below -= 1
        nearer -= counts[query, below]
    state[query, 0], state[query, 1], state[query, 2] = held + 1, below, nearer
    return bool(below < before)


@allocating
def new_answers(n_queries: int, n_distances: int, width: int) -> tuple[Rows, Distances, Distances, Counts]:
    """Empty rows, distances, counts and state, as `offer` fills them; width: the rows a query may hold."""
    state = np.zeros((n_queries, 3), dtype=np.int64)
    state[:, 1] = n_distances
    rows, distances = np.empty((n_queries, width), np.int64), np.empty((n_queries, width), np.int32)
    return rows, distances, np.zeros((n_queries, n_distances), np.int32), state


@allocating
def in_order(rows: Rows, distances: Distances, k: int, n_distances: int, state: Counts) -> tuple[Rows, Distances]:
    """What each query holds, nearest first, ties by lower row, in k columns; those beyond what it holds are -1."""
    found = np.full((len(rows), k), -1, dtype=np.int64)
    found_distances = np.full((len(rows), k), -1, dtype=np.int32)
    for query in range(len(rows)):
        below = state[query, 1]
        held = _drop(rows[query], distances[query], state[query, 0], k, below, state[query, 2])
        place = np.zeros(n_distances + 1, dtype=np.int64)
        for entry in range(held):
            place[distances[query, entry] + 1] += 1
        for distance in range(n_distances):
            place[distance + 1] += place[distance]
        for entry in range(held):
            distance = distances[query, entry]
            found[query, place[distance]] = rows[query, entry]
            found_distances[query, place[distance]] = distance
            place[distance] += 1
    return found, found_distances


@allocating
def _first_limit(planes: Bytes, n_blocks: int, n_planes: int, spread_out: Bytes, place: int, k: int, most: int) -> int:
    """A limit under which k codes of the first blocks lie, by counting them at each distance; else `most`.

    Without it the first codes of a scan would all be taken in and pushed out again, which for k = 100 costs as much
    as the rest of the scan.
    """
    block, at_distance = np.empty(LANES, dtype=np.uint8), np.zeros(_FULL + 1, dtype=np.int32)
    for number in range(n_blocks):
        block_distances(planes, number * LANES * n_planes, n_planes, spread_out, place, block)
        for lane in range(LANES):
            at_distance[block[lane]] += 1
    nearer = 0
    for distance in range(min(_FULL, most - 1)):
        nearer += at_distance[distance]
        if nearer >= k:
            return distance + 1
    return most


@inlined
def _with_hits(hits: Words, n: int) -> Any:
    """Which of the first n queries have a hit in a block: a word, one bit a query."""
    some = np.uint64(0)
    for place in range(TOGETHER):
        some |= np.uint64(hits[place] != 0) << np.uint64(place)
    return some & ((np.uint64(1) << np.uint64(n)) - np.uint64(1))


@inlined
def offer_block(
    query: int,
    inside: Any,
    listed: Rows,
    begin: int,
    n: int,
    codes: Bytes,
    queries: Bytes,
    k: int,
    rows: Rows,
    distances: Distances,
    counts: Distances,
    state: Counts,
) -> bool:
    """Offer the rows of a block that lie within a query's limit; says whether the limit sank.

    inside: a word, one bit a row. The block's rows are listed[begin : begin + 64], of which those from n on are none.
    They are compared anew, for they are few: to write down what the vectors held would cost more.
    """
    sank = False
    while inside:
        place = begin + lowest(inside)
        inside &= inside - np.uint64(1)
        if place >= n:
            break
        row = listed[place]
        sank |= offer(query, row, byte_distance(queries, query, codes, row), k, rows, distances, counts, state)
    return sank


@compiled
def scan_nearest(queries: Bytes, codes: Bytes, kept: Bytes, start: int, stop: int, k: int) -> tuple[Rows, Distances]:
    """The k nearest of rows start to stop that are kept (all where kept is empty), nearest first, ties by lower row.

    Where there are fewer, the columns left are -1.
    """
    n_queries, n_bytes = queries.shape
    n_planes, n_distances, fresh = n_planes_of(n_bytes), 8 * n_bytes + 1, True
    rows, distances, counts, state = new_answers(n_queries, n_distances, min(2 * k + SPARE, stop - start))
    listed, planes = np.empty(TILE, dtype=np.int64), np.empty(TILE * n_planes, dtype=np.uint8)
    spread_out = np.empty(n_planes * TOGETHER * LANES, dtype=np.uint8)
    limits, hits = np.empty(TOGETHER * LANES, dtype=np.uint8), np.empty(TOGETHER, dtype=np.uint64)
    while start < stop:
        n, start = list_rows(start, stop, kept, listed)
        if n:
            fill_planes(codes, listed, n, planes)
        for first in range(0, n_queries if n else 0, TOGETHER):
            n_together = min(TOGETHER, n_queries - first)
            fill_spread(queries, first, spread_out)
            for place in range(n_together if fresh else 0):
                some = min(n, _COUNTED * k + LANES) // LANES
                state[first + place, 1] = _first_limit(planes, some, n_planes, spread_out, place, k, n_distances)
            for place in range(TOGETHER):
                _set_limit(limits, place, state[min(first + place, n_queries - 1), 1])
            for begin in range(0, n, LANES):
                if not block_hits(planes, begin * n_planes, n_planes, spread_out, limits, hits):
                    continue
                asked = _with_hits(hits, n_together)
                while asked:
                    place = lowest(asked)
                    asked &= asked - np.uint64(1)
                    query = first + place
                    if state[query, 1] and offer_block(
                        query, hits[place], listed, begin, n, codes, queries, k, rows, distances, counts, state
                    ):
                        _set_limit(limits, place, state[query, 1])
        fresh = fresh and not n
    return in_order(rows, distances, k, n_distances, state)


@compiled
def scan_within(
    queries: Bytes, codes: Bytes, kept: Bytes, start: int, stop: int, radius: int
) -> tuple[Rows, Rows, Distances]:
    """All of rows start to stop that are kept and lie within a radius of a query: query numbers, rows, distances.

    In no order but this: of one query, a lower row comes first.
    """
    n_queries, n_bytes = queries.shape
    n_planes, found = n_planes_of(n_bytes), 0
    asked, rows = np.empty(SPARE, dtype=np.int64), np.empty(SPARE, dtype=np.int64)
    distances = np.empty(SPARE, dtype=np.int32)
    listed, planes = np.empty(TILE, dtype=np.int64), np.empty(TILE * n_planes, dtype=np.uint8)
    spread_out = np.empty(n_planes * TOGETHER * LANES, dtype=np.uint8)
    limits, hits = np.empty(TOGETHER * LANES, dtype=np.uint8), np.empty(TOGETHER, dtype=np.uint64)
    limits[:] = min(radius, _FULL)
    while start < stop:
        n, start = list_rows(start, stop, kept, listed)
        if n:
            fill_planes(codes, listed, n, planes)
        for first in range(0, n_queries if n else 0, TOGETHER):
            fill_spread(queries, first, spread_out)
            for begin in range(0, n, LANES):
                if not block_hits(planes, begin * n_planes, n_planes, spread_out, limits, hits):
                    continue
                if found + TOGETHER * LANES > len(rows):
                    asked, rows, distances = longer(asked), longer(rows), longer(distances)
                for place in range(min(TOGETHER, n_queries - first)):
                    inside = hits[place]
                    while inside:
                        lane = begin + lowest(inside)
                        inside &= inside - np.uint64(1)
                        if lane < n:
                            distance = byte_distance(queries, first + place, codes, listed[lane])
                            asked[found], rows[found], distances[found] = first + place, listed[lane], distance
                            found += distance <= radius
    return asked[:found], rows[:found], distances[:found]


@allocating
def longer(array: Any) -> Any:
    """A copy with room for more: twice as long, and a block's worth of every query."""
    longer = np.empty(2 * len(array) + TOGETHER * LANES, dtype=array.dtype)
    longer[: len(array)] = array
    return longer
