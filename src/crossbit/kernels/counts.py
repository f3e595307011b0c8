"""Counts per distance, for the evaluation: no (queries, items) matrix, and no sort.

The items stand on their side, a row for each byte of their codes and one for each byte of their sets of labels, so that
the compiler compares 32 or 64 items at once. Each comparison ends in one number, twice the distance and one more where
a label is shared, and these numbers are counted. Counting is most of the work: four are taken from one 64-bit word, and
go to four tables, so that none waits for the one before it to be written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from crossbit.kernels.compilation import Bytes, Counts, Words, compiled, inlined
from crossbit.kernels.search import over_blocks
from crossbit.kernels.words import distance

BLOCK = 4096  # items a block: what is kept of them stays in the first-level cache
_QUERIES = 64  # queries that share a block of items while it is in the cache
_BYTE_BITS = 255  # code lengths up to which a distance fits a byte

Distances = NDArray[Any]  # bytes, or 16 bits for longer codes


@intrinsic
def _ones_of_byte(typing_context: Any, byte: Any) -> Any:
    """The number of ones in a byte, as a byte, so that the compiler counts in bytes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint8(types.uint8), generate


_ones: Callable[[Any], int] = cast(Any, _ones_of_byte)  # as compiled code calls it, without the typing context


def count_distances(
    queries: Words, items: Words, query_labels: Words, item_labels: Words, n_bits: int, *, threads: int = 1
) -> tuple[Counts, Counts]:
    """For each query, the items at each distance 0 to n_bits: all of them, and those that share a label with it.

    All take codes as rows of 64-bit words (`code_words`) and sets of labels as rows of 64-bit words (`label_words`).
    Gives two (q, n_bits + 1) arrays, the same for any number of threads.
    """
    n_bytes = -(-n_bits // 8)
    codes, sets = _on_its_side(items, n_bytes), _on_its_side(item_labels, 8 * item_labels.shape[1])
    asked, wanted = _bytes_of(queries, n_bytes), _bytes_of(query_labels, 8 * query_labels.shape[1])
    kind = np.uint8 if n_bits <= _BYTE_BITS else np.uint16

    def part(some: slice, start: int, stop: int) -> Counts:
        scratch = np.empty(BLOCK, dtype=kind)
        return tally_distances(asked[some], codes, wanted[some], sets, n_bits, start, stop, scratch)

    parts = over_blocks(part, len(queries), len(items), threads)
    if not parts:
        return (np.zeros((0, n_bits + 1), np.int64),) * 2
    counts = np.concatenate([np.sum(pieces, axis=0) for pieces in parts])
    relevant = counts[:, 1::2].copy()
    return counts[:, ::2] + relevant, relevant


def _bytes_of(words: Words, n_bytes: int) -> Bytes:
    """The first bytes of each row of words; read-only, as all that the loops are given."""
    rows = np.ascontiguousarray(words.view(np.uint8).reshape(len(words), -1)[:, :n_bytes])
    rows.flags.writeable = False
    return rows


def _on_its_side(words: Words, n_bytes: int) -> Bytes:
    """A row for each byte, a column for each item."""
    turned = np.ascontiguousarray(words.view(np.uint8).reshape(len(words), -1)[:, :n_bytes].T)
    turned.flags.writeable = False
    return turned


@inlined
def _measure(codes: Bytes, begin: int, end: int, query: Bytes, apart: Distances) -> None:
    """The distances of items begin to end to a query."""
    n = end - begin
    for item in range(n):
        apart[item] = 0
    for byte in range(codes.shape[0]):
        row, own = codes[byte, begin:end], query[byte]
        for item in range(n):
            apart[item] += _ones(row[item] ^ own)


@inlined
def _share(sets: Bytes, begin: int, end: int, labels: Bytes, shared: Bytes) -> None:
    """A byte for each of items begin to end, which is not 0 where it shares a label with a query."""
    n = end - begin
    for item in range(n):
        shared[item] = 0
    for byte in range(sets.shape[0]):
        own = labels[byte]
        if own == 0:  # a query of one label looks at one byte of the sets, however many classes there are
            continue
        row = sets[byte, begin:end]
        for item in range(n):
            shared[item] |= row[item] & own


@inlined
def _tally(apart: Distances, shared: Bytes, n: int, places: NDArray[np.uint16], tables: NDArray[np.uint32]) -> None:
    """Count n items at their places, in four tables."""
    for item in range(n):
        places[item] = 2 * np.uint16(apart[item]) + np.uint16(shared[item] != 0)
    one, two, three, four = tables[0], tables[1], tables[2], tables[3]
    low, once = np.uint64(0xFFFF), np.uint32(1)
    words = places.view(np.uint64)
    for number in range(n // 4):
        word = words[number]
        one[word & low] += once
        two[(word >> np.uint64(16)) & low] += once
        three[(word >> np.uint64(32)) & low] += once
        four[word >> np.uint64(48)] += once
    for item in range(n - n % 4, n):
        one[places[item]] += once


@compiled
def tally_distances(
    queries: Bytes,
    codes: Bytes,
    query_labels: Bytes,
    sets: Bytes,
    n_bits: int,
    start: int,
    stop: int,
    apart: Distances,
) -> Counts:
    """For each query (q, bytes) the counts of items start to stop: entry 2 d has those at distance d that share no
    label, entry 2 d + 1 those that do.

    codes, sets: (bytes, n). apart: (BLOCK,) to work in, of a type that holds a distance.
    """
    n_places = 2 * (n_bits + 1)
    counts = np.zeros((len(queries), n_places), dtype=np.int64)
    shared, places = np.empty(BLOCK, dtype=np.uint8), np.empty(BLOCK, dtype=np.uint16)
    tables = np.zeros((4, n_places), dtype=np.uint32)
    for first in range(0, len(queries), _QUERIES):
        for begin in range(start, stop, BLOCK):
            end = min(begin + BLOCK, stop)
            for query in range(first, min(first + _QUERIES, len(queries))):
                _measure(codes, begin, end, queries[query], apart)
                _share(sets, begin, end, query_labels[query], shared)
                _tally(apart, shared, end - begin, places, tables)
                for place in range(n_places):
                    total = np.int64(0)
                    for table in range(4):
                        total += tables[table, place]
                        tables[table, place] = 0
                    counts[query, place] += total
    return counts


def count_relevant(query_labels: Words, item_labels: Words) -> Counts:
    """For each query, the items that share a label with it."""
    n_bytes = 8 * item_labels.shape[1]
    return tally_relevant(_bytes_of(query_labels, n_bytes), _on_its_side(item_labels, n_bytes))


@compiled
def tally_relevant(query_labels: Bytes, sets: Bytes) -> Counts:
    """For each query (q, bytes), the items that share a label with it; sets: (bytes, n)."""
    relevant = np.zeros(len(query_labels), dtype=np.int64)
    shared = np.empty(BLOCK, dtype=np.uint8)
    for begin in range(0, sets.shape[1], BLOCK):
        end = min(begin + BLOCK, sets.shape[1])
        for query in range(len(query_labels)):
            _share(sets, begin, end, query_labels[query], shared)
            total = np.int64(0)
            for item in range(end - begin):
                total += np.int64(shared[item] != 0)
            relevant[query] += total
    return relevant


@compiled
def count_nearer(queries: Words, items: Words, rows: NDArray[np.int64]) -> tuple[Counts, Counts]:
    """For each query i, the items nearer than items[rows[i]], and the items exactly as near (itself included)."""
    nearer = np.zeros(len(queries), dtype=np.int64)
    equal = np.zeros(len(queries), dtype=np.int64)
    for query in range(len(queries)):
        own = distance(queries, query, items, rows[query])
        for item in range(len(items)):
            other = distance(queries, query, items, item)
            nearer[query] += other < own
            equal[query] += other == own
    return nearer, equal
