"""The same searches in NumPy, for little work: they answer before the compiler would even be imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # what is compiled is not imported here
    from crossbit.kernels.compilation import Bytes, Distances, Rows

_LITTLE = 1 << 22  # bytes of codes, times queries: a few milliseconds in NumPy


def is_little(queries: Bytes, codes: Bytes) -> bool:
    """Whether NumPy answers sooner: there is little to compare, and nothing has imported the compiler yet.

    A `crossbit search` is such a process: half a second of imports for a scan of microseconds.
    """
    return "numba" not in sys.modules and len(queries) * codes.size <= _LITTLE


def plain_nearest(queries: Bytes, codes: Bytes, flags: Bytes, k: int) -> tuple[Rows, Distances]:
    """As `nearest`. flags: (n,), not 0 for the rows to look at; empty where these are all. k: at most their number."""
    rows = np.empty((len(queries), k), np.int64)
    distances = np.empty((len(queries), k), np.int32)
    looked_at = _looked_at(codes, flags)
    for place, query in enumerate(queries):
        found = _distances(query, codes)[looked_at]
        keys = found * len(codes) + looked_at  # in this order ties go to the lower row
        nearest = np.sort(np.partition(keys, k - 1)[:k])
        distances[place], rows[place] = np.divmod(nearest, len(codes))
    return rows, distances


def plain_within(queries: Bytes, codes: Bytes, flags: Bytes, radius: int) -> tuple[Rows, Rows, Distances]:
    """As `scan_within` over all rows: query numbers, rows, distances; of one query, a lower row comes first."""
    looked_at = _looked_at(codes, flags)
    found = [_distances(query, codes)[looked_at] for query in queries]
    inside = [np.flatnonzero(of_one <= radius) for of_one in found]
    asked = np.repeat(np.arange(len(queries)), [len(places) for places in inside])
    none = np.empty(0, np.int64)
    rows = np.concatenate([looked_at[places] for places in inside] or [none])
    distances = np.concatenate([of_one[places] for of_one, places in zip(found, inside, strict=True)] or [none])
    return asked, rows, distances.astype(np.int32)


def _looked_at(codes: Bytes, flags: Bytes) -> Rows:
    return np.flatnonzero(flags) if len(flags) else np.arange(len(codes))


def _distances(query: NDArray[Any], codes: Bytes) -> Rows:
    """The distances of all codes to one query, (n,)."""
    if codes.shape[1] % 8 == 0:
        query, codes = query.view(np.uint64), codes.view(np.uint64)
    ones: Rows = np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64)
    return ones
