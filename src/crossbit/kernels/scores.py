"""Asymmetric search: real-valued queries against stored bits, which loses only the codes' rounding and not the query's.

The score of a code is the inner product of the query's real outputs with the code's signs. Each query gets a table of
256 partial sums for every byte of a code (Gordo et al., "Asymmetric Distances for Binary Embeddings", TPAMI 2014), so
a code costs one look-up and one addition a byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import DataError, WidthError
from crossbit.kernels.compilation import Bytes, Rows, allocating, compiled
from crossbit.kernels.search import Kept, as_bytes, flags_of, over_blocks

Floats = NDArray[np.float32]

_CHUNK = 4096  # codes that one query is compared with before the next


@compiled
def byte_tables(queries: Floats) -> Floats:
    """For each query (q, n_bits) and each byte of a code, the sums of the 256 values it may have: (q, bytes, 256)."""
    n_queries, n_bits = queries.shape
    n_bytes = -(-n_bits // 8)
    tables = np.zeros((n_queries, n_bytes, 256), dtype=np.float32)
    for query in range(n_queries):
        for byte in range(n_bytes):
            for value in range(256):
                for bit in range(8 * byte, min(8 * byte + 8, n_bits)):
                    sign = 1 if value >> (bit - 8 * byte) & 1 else -1
                    tables[query, byte, value] += sign * queries[query, bit]
    return tables


@allocating
def _best(rows: Rows, scores: Floats, n: int, k: int) -> int:
    """Put the k highest of n scores first, highest first, ties by lower row; says how many there are."""
    order = np.argsort(-scores[:n], kind="mergesort")[:k]
    best_rows, best_scores = rows[:n][order], scores[:n][order]
    rows[: len(order)], scores[: len(order)] = best_rows, best_scores
    return len(order)


@compiled
def scan_scores(tables: Floats, codes: Bytes, kept: Bytes, start: int, stop: int, k: int) -> tuple[Rows, Floats]:
    """The k rows of highest score from start to stop that are kept; the columns left are -1 where there are fewer."""
    n_queries, n_bytes = tables.shape[0], codes.shape[1]
    width = min(2 * k + 256, stop - start)
    rows, scores = np.full((n_queries, width), -1, np.int64), np.empty((n_queries, width), np.float32)
    held, least = np.zeros(n_queries, np.int64), np.full(n_queries, -np.inf, np.float32)
    for chunk in range(start, stop, _CHUNK):
        for query in range(n_queries):
            for row in range(chunk, min(chunk + _CHUNK, stop)):
                score = np.float32(0)
                for byte in range(n_bytes):
                    score += tables[query, byte, codes[row, byte]]
                if score <= least[query] or (len(kept) and not kept[row]):
                    continue
                if held[query] == width:
                    held[query] = _best(rows[query], scores[query], width, k)
                    least[query] = scores[query, k - 1]
                    if score <= least[query]:
                        continue
                rows[query, held[query]], scores[query, held[query]] = row, score
                held[query] += 1
    found, found_scores = np.full((n_queries, k), -1, np.int64), np.full((n_queries, k), -np.inf, np.float32)
    for query in range(n_queries):
        n = _best(rows[query], scores[query], held[query], k)
        found[query, :n], found_scores[query, :n] = rows[query, :n], scores[query, :n]
    return found, found_scores


def highest_scores(
    queries: NDArray[Any], codes: NDArray[np.uint8], k: int, *, kept: Kept | None = None, threads: int = 1
) -> tuple[Rows, Floats]:
    """For each real-valued query (q, n_bits) the k codes of highest inner product with their signs, ties by lower row.

    codes: (n, bytes) packed. kept, threads and the shapes given: as for `nearest`; the scores are float32. Raises
    WidthError for codes of another length and DataError for queries that are not finite.
    """
    real = np.ascontiguousarray(queries, dtype=np.float32)
    if real.ndim != 2 or -(-real.shape[1] // 8) != codes.shape[1]:
        raise WidthError(f"Queries {real.shape} need codes of as many bits; got {codes.shape[1]} bytes a code.")
    if not np.isfinite(real).all():
        raise DataError("Real-valued queries hold NaN or infinity; look at the features they came from.")
    rows_of, flags = as_bytes(codes), flags_of(kept)
    k = min(k, len(codes) if kept is None else int(np.count_nonzero(kept)))
    if not k or not len(real):
        return np.empty((len(real), k), np.int64), np.empty((len(real), k), np.float32)

    def part(some: slice, start: int, stop: int) -> tuple[Rows, Floats]:
        return scan_scores(byte_tables(real[some]), rows_of, flags, start, stop, k)

    merged = [_merge(block, k) for block in over_blocks(part, len(real), len(codes), threads)]
    return np.concatenate([rows for rows, _ in merged]), np.concatenate([scores for _, scores in merged])


def _merge(parts: list[tuple[Rows, Floats]], k: int) -> tuple[Rows, Floats]:
    rows, scores = np.concatenate([one[0] for one in parts], axis=1), np.concatenate([one[1] for one in parts], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
