"""The exact scan of fewer codes: clusters in rings, of which the triangle inequality leaves some.

The codes of a cluster stand in the order of their distance to its centre. If the k-th hit so far is at distance L and
the centre at distance d, then only codes at d - L to d + L from the centre can be among the k nearest: one run of
places. A query visits the nearest centres first, so that L is soon small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.kernels.compilation import Bytes, Distances, Rows, allocating, compiled, inlined
from crossbit.kernels.lone import rows_under
from crossbit.kernels.scan import SPARE
from crossbit.kernels.vectors import LANES, lowest
from crossbit.kernels.words import byte_distance

_FIRST = 16  # clusters that a query visits before what is left is counted
_ROW_BITS = 40  # of a key: the distance above, the row below

Places = NDArray[np.int32]


@compiled
def scan_rings(
    queries: Bytes, codes: Bytes, rows: Places, centres: Bytes, rings: Places, kept: Bytes, k: int, most: int
) -> tuple[Rows, Distances, Bytes]:
    """The k nearest rows of each query, nearest first, ties by lower row; and 1 for each query that was given up.

    codes: (n, bytes), by cluster, within it by distance to the centre, within that by row. rows: (n,), the row of each.
    rings: (clusters, 8 bytes + 2), where the codes at each distance to the centre begin, and last where they end.
    kept: (n,) which rows count; all where empty. k: at most their number. most: a query that has more codes than this
    left to compare, after the nearest clusters, is given up, for a plain scan is faster.
    """
    n_queries, n_bytes = queries.shape
    found, found_distances = np.full((n_queries, k), -1, np.int64), np.full((n_queries, k), -1, np.int32)
    given_up = np.zeros(n_queries, np.uint8)
    keys, counts = np.empty(2 * k + SPARE, np.int64), np.empty(8 * n_bytes + 1, np.int64)
    state = np.empty(4, np.int64)
    far, order = np.empty(len(centres), np.int64), np.empty(len(centres), np.int64)
    for query in range(n_queries):
        _by_distance(queries, query, centres, far, order)
        counts[:] = 0
        state[0], state[1], state[2], state[3] = 0, 8 * n_bytes, 0, np.iinfo(np.int64).max
        for number in range(len(order)):
            if number == _FIRST and _left(order, far, rings, state[1]) > most:
                given_up[query] = 1
                break
            own = order[number]
            begin, end = _ring(rings, own, far[own], state[1])
            while begin < end:
                inside = _under(codes, begin, min(end - begin, LANES), queries, query, state[1])
                while inside:
                    place = begin + lowest(inside)
                    inside &= inside - np.uint64(1)
                    row = int(rows[place])
                    if len(kept) and not kept[row]:
                        continue
                    _take(byte_distance(queries, query, codes, place), row, k, keys, counts, state)
                begin += LANES
        if not given_up[query]:
            keys[: state[0]].sort()
            for place in range(min(k, state[0])):
                found[query, place] = keys[place] & ((1 << _ROW_BITS) - 1)
                found_distances[query, place] = keys[place] >> _ROW_BITS
    return found, found_distances, given_up


@allocating
def _by_distance(queries: Bytes, query: int, centres: Bytes, far: Rows, order: Rows) -> None:
    """Write the distance of every centre, and the centres in their order."""
    places = np.zeros(8 * centres.shape[1] + 2, np.int64)
    for centre in range(len(centres)):
        far[centre] = byte_distance(queries, query, centres, centre)
        places[far[centre] + 1] += 1
    for distance in range(1, len(places)):
        places[distance] += places[distance - 1]
    for centre in range(len(centres)):
        order[places[far[centre]]] = centre
        places[far[centre]] += 1


@inlined
def _ring(rings: Places, cluster: int, far: int, limit: int) -> tuple[int, int]:
    """The places of a cluster's codes that may lie within a limit of a query, whose centre lies so far."""
    last = rings.shape[1] - 2
    return int(rings[cluster, max(far - limit, 0)]), int(rings[cluster, min(far + limit, last) + 1])


@inlined
def _left(order: Rows, far: Rows, rings: Places, limit: int) -> int:
    """How many codes of the clusters after the first are left to compare."""
    total = 0
    for number in range(_FIRST, len(order)):
        begin, end = _ring(rings, order[number], far[order[number]], limit)
        total += end - begin
    return total


@inlined
def _under(codes: Bytes, begin: int, n: int, queries: Bytes, query: int, limit: int) -> Any:
    """Which of n codes, 64 at most, to look at, one bit a code: those within the limit, or all of them."""
    wanted = ~np.uint64(0) >> np.uint64(LANES - n)
    if begin + LANES > len(codes):  # the end of the codes: no whole block to load
        return wanted
    return rows_under(codes, begin, queries, query, limit + 1) & wanted


@allocating
def _keep_first(k: int, keys: Rows, counts: Rows, state: Rows) -> None:
    """Of what a query holds, keep the k nearest; see `_take`."""
    keys.sort()
    counts[:] = 0
    for place in range(k):
        counts[keys[place] >> _ROW_BITS] += 1
    state[0], state[1], state[2], state[3] = k, keys[k - 1] >> _ROW_BITS, k, keys[k - 1]


@allocating
def _take(distance: int, row: int, k: int, keys: Rows, counts: Rows, state: Rows) -> None:
    """Take a row in unless it is too far. Rows come in any order.

    keys: what a query holds. counts: how many it has taken in at each distance. state: how many it holds; the limit,
    the least distance within which it has k; how many it has within that; the key that a row must stay under.
    """
    key = (distance << _ROW_BITS) | row
    if distance > state[1] or key >= state[3]:
        return
    if state[0] == len(keys):
        _keep_first(k, keys, counts, state)
        if key >= state[3]:
            return
    keys[state[0]] = key
    counts[distance] += 1
    state[0] += 1
    state[2] += 1
    while state[2] - counts[state[1]] >= k:
        state[2] -= counts[state[1]]
        state[1] -= 1
