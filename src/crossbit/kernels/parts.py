"""Tables of parts of codes: what lies within a small radius is found by looking up a few parts, not by a scan.

Every code within a radius of a query stands under one of the parts that `flips_for` lists. Each candidate is compared
in full, so collisions of the hash cost time and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.kernels.compilation import Bytes, Counts, Distances, Rows, Words, allocating, compiled, inlined
from crossbit.kernels.flips import flips_for, part_edges
from crossbit.kernels.words import byte_distance, count_ones

_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Knuth's multiplicative hash
_ROOM = 64

Places = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PartTables:
    """The rows of n codes by each of their m parts.

    edges: (m + 1,), the bytes at which the parts begin and end. starts: (m, buckets + 1), where each bucket begins in
    rows. rows: (m, n), the rows by the bucket of their part, ascending within it.
    """

    edges: NDArray[np.int64]
    starts: Places
    rows: Places

    @classmethod
    def of(cls, codes: Bytes) -> PartTables:
        """The tables of (n, bytes) packed codes, n below 2^31: 5 to 6 bytes a part and code."""
        n, n_bytes = codes.shape
        edges = part_edges(n_bytes)
        bits = min(max(int(n).bit_length() - 2, 8), 28)
        starts = np.zeros((len(edges) - 1, (1 << bits) + 1), np.int32)
        rows = np.empty((len(edges) - 1, n), np.int32)
        for part in range(len(edges) - 1):
            _sort_by_part(codes, edges[part], edges[part + 1], 64 - bits, starts[part], rows[part])
        return cls(edges, starts, rows)

    def count(self, queries: Bytes, radius: int) -> Counts:
        """How many codes a look-up within a radius would compare with each query."""
        flips, bounds, _ = flips_for(int(self.edges[-1]), radius)
        return _count(queries, self.edges, self.starts, flips, bounds)

    def find(self, queries: Bytes, codes: Bytes, kept: Bytes, radius: int) -> tuple[Rows, Rows, Distances]:
        """All rows that are kept (all where kept is empty) within a radius of a query: query numbers, rows, distances.

        In no order. codes: those that the tables were made of.
        """
        flips, bounds, near = flips_for(int(self.edges[-1]), radius)
        return _find(queries, codes, kept, radius, self.edges, self.starts, self.rows, flips, bounds, near)


@inlined
def _part(codes: Bytes, row: int, begin: int, end: int) -> Any:
    word = np.uint64(0)
    for byte in range(begin, end):
        word |= np.uint64(codes[row, byte]) << np.uint64(8 * (byte - begin))
    return word


@inlined
def _bucket(word: Any, shift: int) -> int:
    return int((word * _SPREAD) >> np.uint64(shift))


@compiled
def _sort_by_part(codes: Bytes, begin: int, end: int, shift: int, starts: Places, rows: Places) -> None:
    """A counting sort of all rows by the bucket of one part."""
    for row in range(len(codes)):
        starts[_bucket(_part(codes, row, begin, end), shift) + 1] += 1
    for bucket in range(1, len(starts)):
        starts[bucket] += starts[bucket - 1]
    for row in range(len(codes)):
        bucket = _bucket(_part(codes, row, begin, end), shift)
        rows[starts[bucket]] = row
        starts[bucket] += 1
    for bucket in range(len(starts) - 1, 0, -1):  # each start has moved to its end, which is the next one's start
        starts[bucket] = starts[bucket - 1]
    starts[0] = 0


@compiled
def _count(queries: Bytes, edges: Rows, starts: Places, flips: Words, bounds: Counts) -> Counts:
    shift, counts = 64 - _bits(starts), np.zeros(len(queries), dtype=np.int64)
    for query in range(len(queries)):
        for part in range(len(starts)):
            word = _part(queries, query, edges[part], edges[part + 1])
            for flip in range(bounds[part], bounds[part + 1]):
                bucket = _bucket(word ^ flips[flip], shift)
                counts[query] += starts[part, bucket + 1] - starts[part, bucket]
    return counts


@compiled
def _find(
    queries: Bytes,
    codes: Bytes,
    kept: Bytes,
    radius: int,
    edges: Rows,
    starts: Places,
    listed: Places,
    flips: Words,
    bounds: Counts,
    near: Rows,
) -> tuple[Rows, Rows, Distances]:
    shift, found = 64 - _bits(starts), 0
    asked, rows = np.empty(_ROOM, dtype=np.int64), np.empty(_ROOM, dtype=np.int64)
    distances = np.empty(_ROOM, dtype=np.int32)
    for query in range(len(queries)):
        for part in range(len(starts)):
            word = _part(queries, query, edges[part], edges[part + 1])
            for flip in range(bounds[part], bounds[part + 1]):
                sought = word ^ flips[flip]
                bucket = _bucket(sought, shift)
                for place in range(starts[part, bucket], starts[part, bucket + 1]):
                    row = int(listed[part, place])
                    distance = byte_distance(queries, query, codes, row)
                    if distance > radius or (len(kept) and not kept[row]):
                        continue
                    # Another part of another bucket may share this one, and an earlier part may have found the row.
                    if _part(codes, row, edges[part], edges[part + 1]) != sought:
                        continue
                    if _found_before(queries, query, codes, row, edges, near, part):
                        continue
                    if found == len(rows):
                        asked, rows, distances = _twice(asked), _twice(rows), _twice(distances)
                    asked[found], rows[found], distances[found] = query, row, distance
                    found += 1
    return asked[:found], rows[:found], distances[:found]


@inlined
def _bits(starts: Places) -> int:
    """The bits of a bucket's number."""
    bits = 0
    while (1 << bits) < starts.shape[1] - 1:
        bits += 1
    return bits


@inlined
def _found_before(queries: Bytes, query: int, codes: Bytes, row: int, edges: Rows, near: Rows, part: int) -> bool:
    for other in range(part):
        one, two = edges[other], edges[other + 1]
        if count_ones(_part(queries, query, one, two) ^ _part(codes, row, one, two)) <= near[other]:
            return True
    return False


@allocating
def _twice(array: Any) -> Any:
    longer = np.empty(2 * len(array), dtype=array.dtype)
    longer[: len(array)] = array
    return longer
