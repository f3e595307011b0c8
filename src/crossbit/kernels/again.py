"""Ranking a few chosen rows of each query by the whole codes: the second half of a search from coarse to fine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossbit.kernels.compilation import Distances, Rows, compiled
from crossbit.kernels.search import as_bytes, over_blocks
from crossbit.kernels.words import byte_distance

_AS_ROWS = 1 << 14  # rows whose scan is about as much work as ranking a thousand scattered ones


@compiled
def _rank(queries: NDArray[np.uint8], codes: NDArray[np.uint8], rows: Rows, k: int) -> tuple[Rows, Distances]:
    """See `nearest_among`; a row of -1 is none."""
    n_queries, n_chosen = rows.shape
    n_distances = 8 * codes.shape[1] + 1
    found, found_distances = np.full((n_queries, k), -1, np.int64), np.full((n_queries, k), -1, np.int32)
    distances, keys = np.empty(n_chosen, np.int64), np.empty(n_chosen, np.int64)
    for query in range(n_queries):
        counts = np.zeros(n_distances, np.int64)
        for place in range(n_chosen):
            distances[place] = -1
            if rows[query, place] >= 0:
                distances[place] = byte_distance(queries, query, codes, rows[query, place])
                counts[distances[place]] += 1
        limit, below = 0, counts[0]
        while below < k and limit < n_distances - 1:
            limit += 1
            below += counts[limit]
        held = 0
        for place in range(n_chosen):
            if 0 <= distances[place] <= limit:  # the distance first, then the row
                keys[held] = distances[place] << 40 | rows[query, place]
                held += 1
        ordered = np.sort(keys[:held])
        for place in range(min(k, held)):
            found[query, place] = ordered[place] & ((1 << 40) - 1)
            found_distances[query, place] = ordered[place] >> 40
    return found, found_distances


def nearest_among(
    queries: NDArray[np.uint8], codes: NDArray[np.uint8], rows: Rows, k: int, *, threads: int = 1
) -> tuple[Rows, Distances]:
    """For each query the k nearest of its own rows (q, m) of codes, nearest first, ties by lower row.

    queries, codes: (q, bytes) and (n, bytes) packed; the codes may be mapped from a file, of which only these rows are
    read. Gives rows (q, c) int64 and distances (q, c) int32, c the smaller of k and m.
    """
    asked, stored = as_bytes(queries), as_bytes(codes)
    k = min(k, rows.shape[1])
    if not k or not len(asked):
        return np.empty((len(asked), k), np.int64), np.empty((len(asked), k), np.int32)

    def part(some: slice, start: int, stop: int) -> tuple[Rows, Distances]:
        return _rank(asked[some], stored, np.ascontiguousarray(rows[some]), k)

    answers = [one for block in over_blocks(part, len(asked), _AS_ROWS, threads) for one in block]
    return np.concatenate([one[0] for one in answers]), np.concatenate([one[1] for one in answers])
