"""Nearest rows and rows within a radius, over several threads: what the indexes and the evaluation call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossbit.kernels.plain import is_little, plain_nearest, plain_within

if TYPE_CHECKING:
    from crossbit.kernels.compilation import Bytes, Distances, Rows

Part = TypeVar("Part")
Kept = NDArray[np.bool_]

_QUERIES = 512  # queries of one task: what they hold stays in the cache
_ROWS = 1 << 18  # rows of one task where there are fewer queries than threads
_FEW = 4  # queries up to which codes are compared as they are stored
_WORTH_THREADS = 1 << 23  # comparisons below which one thread is as fast: about a millisecond


def nearest(
    queries: NDArray[Any], codes: NDArray[Any], k: int, *, kept: Kept | None = None, threads: int = 1
) -> tuple[Rows, Distances]:
    """For each query the k nearest rows of codes by Hamming distance, nearest first, ties by lower row.

    queries, codes: (q, width) and (n, width), both packed bytes (uint8) or both words (uint64); the codes may be
    mapped from a file and are not copied. kept: (n,) bool, the rows to look at; all if None. Gives rows (q, c) int64
    and distances (q, c) int32, c the smaller of k and the number of rows kept.
    """
    queries, codes = as_bytes(queries), as_bytes(codes)
    flags, n_kept = flags_of(kept), len(codes) if kept is None else int(np.count_nonzero(kept))
    k = min(k, n_kept)
    if not k or not len(queries):
        return np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.int32)
    if is_little(queries, codes):
        return plain_nearest(queries, codes, flags, k)
    from crossbit.kernels.lone import LONE_BYTES, scan_few  # noqa: PLC0415 - brings the compiler, which is slow to import
    from crossbit.kernels.scan import scan_nearest  # noqa: PLC0415

    # As they are stored, codes are compared before the filter is asked; that pays unless it keeps little.
    few = len(queries) <= _FEW and queries.shape[1] in LONE_BYTES and 4 * n_kept > len(codes)

    def part(some: slice, start: int, stop: int) -> tuple[Rows, Distances]:
        if few:
            return scan_few(queries[some], codes, flags, start, stop, k)
        return scan_nearest(queries[some], codes, flags, start, stop, k)

    answers = over_blocks(part, len(queries), len(codes), threads)
    merged = [_merge(block, k) for block in answers]
    return np.concatenate([rows for rows, _ in merged]), np.concatenate([distances for _, distances in merged])


def within(
    queries: NDArray[Any], codes: NDArray[Any], radius: int, *, kept: Kept | None = None, threads: int = 1
) -> tuple[Rows, Distances, Rows]:
    """The rows within a Hamming radius of each query, nearest first, ties by lower row; see `nearest`.

    All queries' rows stand in one array, their distances in a second one; query i has [bounds[i] : bounds[i + 1]].
    """
    queries, codes, flags = as_bytes(queries), as_bytes(codes), flags_of(kept)
    if is_little(queries, codes):
        return in_order_of([plain_within(queries, codes, flags, radius)], len(queries))
    return in_order_of(_scanned(queries, codes, flags, radius, threads), len(queries))


def in_order_of(answers: Sequence[tuple[Rows, Rows, Distances]], n_queries: int) -> tuple[Rows, Distances, Rows]:
    """What `within` gives, of query numbers, rows and distances that come in several pieces and in any order."""
    asked = np.concatenate([one[0] for one in answers] or [np.empty(0, np.int64)])
    rows = np.concatenate([one[1] for one in answers] or [np.empty(0, np.int64)])
    distances = np.concatenate([one[2] for one in answers] or [np.empty(0, np.int32)])
    order = np.lexsort((rows, distances, asked))
    bounds = np.searchsorted(asked[order], np.arange(n_queries + 1))
    return rows[order], distances[order], bounds.astype(np.int64)


def _scanned(
    queries: Bytes, codes: Bytes, flags: Bytes, radius: int, threads: int
) -> list[tuple[Rows, Rows, Distances]]:
    """What the compiled loop finds within a radius, a block at a time: query numbers, rows, distances."""
    from crossbit.kernels.lone import LONE_BYTES, within_few  # noqa: PLC0415 - brings the compiler, slow to import
    from crossbit.kernels.scan import scan_within  # noqa: PLC0415

    much = not len(flags) or 4 * int(np.count_nonzero(flags)) > len(flags)
    few = len(queries) <= _FEW and queries.shape[1] in LONE_BYTES and much

    def part(some: slice, start: int, stop: int) -> tuple[Rows, Rows, Distances]:
        scan = within_few if few else scan_within
        asked, rows, distances = scan(queries[some], codes, flags, start, stop, radius)
        return asked + some.start, rows, distances

    return [one for block in over_blocks(part, len(queries), len(codes), threads) for one in block]


def all_threads() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def as_bytes(array: NDArray[Any]) -> Bytes:
    """Rows of bytes or words as read-only rows of bytes: one memory layout, so that each loop is compiled once."""
    plain = np.ascontiguousarray(array).view(np.ndarray)
    view = (
        plain.view(np.uint8).reshape(len(plain), -1)
        if plain.size
        else np.empty((len(plain), plain.shape[1] * plain.itemsize), np.uint8)
    )
    view.flags.writeable = False
    return view


def flags_of(kept: Kept | None) -> Bytes:
    """A filter as read-only bytes; none at all where everything is kept."""
    flags = np.empty(0, np.uint8) if kept is None else np.ascontiguousarray(kept, dtype=np.bool_).view(np.uint8)
    flags.flags.writeable = False
    return flags


def over_blocks(part: Callable[[slice, int, int], Part], n_queries: int, n_rows: int, threads: int) -> list[list[Part]]:
    """Call part(queries, start, stop) for blocks of queries and, where those are too few, of rows.

    Threads take the next block when they have done one, so that a slow one holds nobody up. Gives, for each block of
    queries, its answers in the order of the rows.
    """
    threads = threads if n_queries * n_rows > _WORTH_THREADS else 1
    enough = 4 * threads if threads > 1 else 1
    size = min(_QUERIES, max(-(-n_queries // enough), 64))
    slices = [slice(start, min(start + size, n_queries)) for start in range(0, n_queries, size)]
    pieces = 1 if len(slices) >= enough else min(-(-enough // max(len(slices), 1)), max(n_rows // _ROWS, 1))
    edges = [n_rows * piece // pieces // 64 * 64 for piece in range(pieces)] + [n_rows]
    tasks = [(some, start, stop) for some in slices for start, stop in pairwise(edges)]
    if threads == 1 or len(tasks) == 1:
        answers = [part(*task) for task in tasks]
    else:
        with ThreadPoolExecutor(threads, thread_name_prefix="crossbit-scan") as pool:
            answers = list(pool.map(lambda task: part(*task), tasks))
    return [answers[begin : begin + pieces] for begin in range(0, len(answers), pieces)]


def _merge(parts: Sequence[tuple[Rows, Distances]], k: int) -> tuple[Rows, Distances]:
    """The k nearest of several pieces of rows, given in the order of the rows."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([part for part, _ in parts], axis=1)
    distances = np.concatenate([part for _, part in parts], axis=1)
    far = np.where(rows < 0, np.iinfo(np.int32).max, distances)
    order = np.argsort(far, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
