"""The scan for a few queries at a time: codes of 64, 128 or 256 bits are compared as they are stored.

A lone query is bound by reading the codes, so turning them into planes would cost more than it saves. Eight codes at a
time are XORed with the query, counted and added up; a block of 64 costs one look whether any lies within the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from crossbit.kernels.compilation import Bytes, Distances, Rows, compiled, inlined
from crossbit.kernels.scan import SPARE, in_order, longer, new_answers, offer
from crossbit.kernels.vectors import LANES, function_named, lowest
from crossbit.kernels.words import byte_distance

LONE_BYTES = (8, 16, 32)
_CHUNK = 4096  # codes that one query is compared with before the next

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_EIGHT = ir.VectorType(_I64, 8)


def _order(places: range) -> Any:
    return ir.Constant(ir.VectorType(_I32, len(places)), list(places))


def _ones(builder: Any, words: Any) -> Any:
    return builder.call(function_named(builder, "llvm.ctpop.v8i64", ir.FunctionType(_EIGHT, [_EIGHT])), [words])


def _add_pairs(builder: Any, counts: list[Any]) -> list[Any]:
    """Neighbouring entries added up: half as many vectors, in the same order."""
    return [
        builder.add(
            builder.shuffle_vector(left, right, _order(range(0, 16, 2))),
            builder.shuffle_vector(left, right, _order(range(1, 16, 2))),
        )
        for left, right in zip(counts[::2], counts[1::2], strict=True)
    ]


def _block_of_rows(n_words: int) -> Any:
    """Which of 64 codes of n_words words, from a byte offset on, lie under a limit: a word, one bit a code."""

    @intrinsic
    def under(typing_context: Any, codes: Any, at: Any, queries: Any, own: Any, limit: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            begin, asked = (
                context.make_array(signature.args[which])(context, builder, arguments[which]).data for which in (0, 2)
            )

            def load(base: Any, offset: Any, kind: Any) -> Any:
                loaded = builder.load(builder.bitcast(builder.gep(base, [offset]), kind.as_pointer()))
                loaded.align = 1
                return loaded

            query, limits = ir.Constant(_EIGHT, ir.Undefined), ir.Constant(_EIGHT, ir.Undefined)
            for place in range(8):
                offset = builder.add(arguments[3], ir.Constant(_I64, place % n_words * 8))
                query = builder.insert_element(query, load(asked, offset, _I64), ir.Constant(_I32, place))
                limits = builder.insert_element(limits, arguments[4], ir.Constant(_I32, place))
            found = ir.Constant(_I64, 0)
            for eight in range(LANES // 8):
                first = 64 * n_words * eight
                offsets = [builder.add(arguments[1], ir.Constant(_I64, first + 64 * w)) for w in range(n_words)]
                counts = [_ones(builder, builder.xor(load(begin, offset, _EIGHT), query)) for offset in offsets]
                while len(counts) > 1:
                    counts = _add_pairs(builder, counts)
                inside = builder.bitcast(builder.icmp_unsigned("<", counts[0], limits), ir.IntType(8))
                found = builder.or_(found, builder.shl(builder.zext(inside, _I64), ir.Constant(_I64, 8 * eight)))
            return found

        return types.uint64(codes, types.int64, queries, types.int64, types.int64), generate

    return under


_under_1: Callable[..., Any] = cast(Any, _block_of_rows(1))
_under_2: Callable[..., Any] = cast(Any, _block_of_rows(2))
_under_4: Callable[..., Any] = cast(Any, _block_of_rows(4))


@inlined
def rows_under(codes: Bytes, begin: int, queries: Bytes, query: int, limit: int) -> Any:
    """Which of the 64 codes from row `begin` on lie under a limit, one bit a code; all where no loop fits the width."""
    n_bytes = codes.shape[1]
    if n_bytes == 8:
        return _under_1(codes, begin * 8, queries, query * 8, limit)
    if n_bytes == 16:
        return _under_2(codes, begin * 16, queries, query * 16, limit)
    if n_bytes == 32:
        return _under_4(codes, begin * 32, queries, query * 32, limit)
    return ~np.uint64(0)


@compiled
def scan_few(queries: Bytes, codes: Bytes, kept: Bytes, start: int, stop: int, k: int) -> tuple[Rows, Distances]:
    """As `scan_nearest`, for a few queries and a filter that keeps much; codes are 8, 16 or 32 bytes wide."""
    n_queries, n_bytes = queries.shape
    rows, distances, counts, state = new_answers(n_queries, 8 * n_bytes + 1, min(2 * k + SPARE, stop - start))
    for chunk in range(start, stop, _CHUNK):
        end = min(chunk + _CHUNK, stop)
        for query in range(n_queries):
            for begin in range(chunk, end, LANES):
                below = state[query, 1]
                if end - begin < LANES:  # not a whole block
                    inside = (np.uint64(1) << np.uint64(end - begin)) - np.uint64(1)
                elif n_bytes == 8:
                    inside = _under_1(codes, begin * 8, queries, query * 8, below)
                elif n_bytes == 16:
                    inside = _under_2(codes, begin * 16, queries, query * 16, below)
                else:
                    inside = _under_4(codes, begin * 32, queries, query * 32, below)
                while inside:
                    row = begin + lowest(inside)
                    inside &= inside - np.uint64(1)
                    if len(kept) and not kept[row]:
                        continue
                    distance = byte_distance(queries, query, codes, row)
                    offer(query, row, distance, k, rows, distances, counts, state)
    return in_order(rows, distances, k, 8 * n_bytes + 1, state)


@compiled
def within_few(
    queries: Bytes, codes: Bytes, kept: Bytes, start: int, stop: int, radius: int
) -> tuple[Rows, Rows, Distances]:
    """As `scan_within`, for a few queries and a filter that keeps much; codes are 8, 16 or 32 bytes wide."""
    asked, rows = np.empty(SPARE, dtype=np.int64), np.empty(SPARE, dtype=np.int64)
    distances, found = np.empty(SPARE, dtype=np.int32), 0
    for chunk in range(start, stop, _CHUNK):
        end = min(chunk + _CHUNK, stop)
        for query in range(len(queries)):
            for begin in range(chunk, end, LANES):
                if end - begin < LANES:  # not a whole block
                    inside = (np.uint64(1) << np.uint64(end - begin)) - np.uint64(1)
                else:
                    inside = rows_under(codes, begin, queries, query, radius + 1)
                if inside and found + LANES > len(rows):
                    asked, rows, distances = longer(asked), longer(rows), longer(distances)
                while inside:
                    row = begin + lowest(inside)
                    inside &= inside - np.uint64(1)
                    distance = byte_distance(queries, query, codes, row)
                    asked[found], rows[found], distances[found] = query, row, distance
                    found += distance <= radius and (len(kept) == 0 or kept[row] != 0)
    return asked[:found], rows[:found], distances[:found]
