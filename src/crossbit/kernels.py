"""The compiled Hamming loops: counts per distance, nearest rows, rows within a radius.

All take codes as rows of 64-bit words (`code_words`) and sets of labels as rows of 64-bit words (`label_words`). They
run over the database in blocks that stay in the processor's cache, keep no (queries, items) matrix, and release the
interpreter lock. Nothing is compiled at import; the first call compiles and leaves the result on disk for next time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Counts = NDArray[np.int64]
Compiled = TypeVar("Compiled", bound=Callable[..., Any])

_BLOCK = 4096  # items a block: 32 KiB of 64-bit codes, the size of a first-level cache


def compiled(function: Compiled) -> Compiled:
    """The function as machine code, compiled at its first call, without the interpreter lock.

    The machine code is cached beside the source or in the user's cache folder; where neither can be written to, it
    is compiled anew in each process.
    """
    try:
        return cast(Compiled, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # no folder to cache in
        return cast(Compiled, numba.njit(nogil=True, error_model="numpy")(function))


@intrinsic
def _count_ones(typing_context: Any, word: Any) -> Any:
    """The number of ones in a 64-bit word: one processor instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


_ones: Callable[[np.uint64], int] = cast(Any, _count_ones)  # as compiled code calls it, without the typing context


def code_words(packed: NDArray[np.uint8]) -> Words:
    """Packed codes (n, bytes) as (n, ceil(bytes / 8)) words, filled up with zeros; read-only."""
    n, n_bytes = packed.shape
    width = -(-n_bytes // 8)
    if n_bytes != 8 * width:
        padded = np.zeros((n, 8 * width), dtype=np.uint8)
        padded[:, :n_bytes] = packed
        packed = padded
    # One memory layout and one write flag, so that numba compiles each loop once.
    words = np.ascontiguousarray(packed).view(np.uint64).reshape(n, width)
    words.flags.writeable = False
    return words


def label_words(labels: NDArray[np.bool_]) -> Words:
    """Labels (n, classes) as words, in which two rows share a label when their AND is not zero; read-only."""
    return code_words(np.packbits(labels, axis=1, bitorder="little"))


@compiled
def _distance(queries: Words, query: int, items: Words, item: int) -> int:
    total = 0
    for word in range(queries.shape[1]):
        total += _ones(queries[query, word] ^ items[item, word])
    return total


@compiled
def _share(left: Words, row: int, right: Words, other: int) -> int:
    for word in range(left.shape[1]):
        if left[row, word] & right[other, word]:
            return 1
    return 0


@compiled
def count_distances(
    queries: Words, items: Words, query_labels: Words, item_labels: Words, n_bits: int
) -> tuple[Counts, Counts]:
    """For each query, the items at each distance 0 to n_bits: all of them, and those that share a label with it."""
    found = np.zeros((len(queries), n_bits + 1), dtype=np.int64)
    relevant = np.zeros((len(queries), n_bits + 1), dtype=np.int64)
    for start in range(0, len(items), _BLOCK):
        stop = min(start + _BLOCK, len(items))
        for query in range(len(queries)):
            for item in range(start, stop):
                distance = _distance(queries, query, items, item)
                found[query, distance] += 1
                relevant[query, distance] += _share(query_labels, query, item_labels, item)
    return found, relevant


@compiled
def count_relevant(query_labels: Words, item_labels: Words) -> Counts:
    """For each query, the items that share a label with it."""
    relevant = np.zeros(len(query_labels), dtype=np.int64)
    for query in range(len(query_labels)):
        for item in range(len(item_labels)):
            relevant[query] += _share(query_labels, query, item_labels, item)
    return relevant


@compiled
def nearest(queries: Words, items: Words, k: int, n_bits: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """For each query the k nearest rows of items, nearest first, ties by lower row; k is at most the number of items.

    Two passes: the first counts distances, which tells where each distance begins in the answer and at which one it
    is full; the second puts the rows there. It needs no heap and no memory beyond the answer.
    """
    rows = np.empty((len(queries), k), dtype=np.int64)
    distances = np.empty((len(queries), k), dtype=np.int32)
    place = np.zeros(n_bits + 1, dtype=np.int64)
    for query in range(len(queries)):
        place[:] = 0
        for item in range(len(items)):
            place[_distance(queries, query, items, item)] += 1
        begin = 0
        for distance in range(n_bits + 1):
            count = place[distance]
            place[distance] = begin
            begin += count
        for item in range(len(items)):
            distance = _distance(queries, query, items, item)
            if place[distance] < k:
                rows[query, place[distance]] = item
                distances[query, place[distance]] = distance
                place[distance] += 1
    return rows, distances


@compiled
def within(queries: Words, items: Words, radius: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """The rows within a radius of each query, nearest first, ties by lower row.

    All queries' rows stand in one array, their distances in a second one; query i has [bounds[i] : bounds[i + 1]].
    """
    place = np.zeros((len(queries), radius + 1), dtype=np.int64)
    for query in range(len(queries)):
        for item in range(len(items)):
            distance = _distance(queries, query, items, item)
            if distance <= radius:
                place[query, distance] += 1
    bounds = np.zeros(len(queries) + 1, dtype=np.int64)
    begin = 0
    for query in range(len(queries)):
        for distance in range(radius + 1):
            count = place[query, distance]
            place[query, distance] = begin
            begin += count
        bounds[query + 1] = begin
    rows = np.empty(begin, dtype=np.int64)
    distances = np.empty(begin, dtype=np.int32)
    for query in range(len(queries)):
        for item in range(len(items)):
            distance = _distance(queries, query, items, item)
            if distance <= radius:
                at = place[query, distance]
                rows[at] = item
                distances[at] = distance
                place[query, distance] += 1
    return rows, distances, bounds


@compiled
def count_nearer(queries: Words, items: Words, rows: NDArray[np.int64]) -> tuple[Counts, Counts]:
    """For each query i, the items nearer than items[rows[i]], and the items exactly as near (itself included)."""
    nearer = np.zeros(len(queries), dtype=np.int64)
    equal = np.zeros(len(queries), dtype=np.int64)
    for query in range(len(queries)):
        own = _distance(queries, query, items, rows[query])
        for item in range(len(items)):
            distance = _distance(queries, query, items, item)
            nearer[query] += distance < own
            equal[query] += distance == own
    return nearer, equal
