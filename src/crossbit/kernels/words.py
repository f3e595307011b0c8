"""Codes and sets of labels as rows of 64-bit words, and the operations on single words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from crossbit.kernels.compilation import Bytes, Words, inlined


@intrinsic
def _count_ones(typing_context: Any, word: Any) -> Any:
    """The number of ones in a 64-bit word: one processor instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def _word_at(typing_context: Any, array: Any, offset: Any) -> Any:
    """The 8 bytes of a byte array that begin at an offset, wherever that is, as one word."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        begin = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        word = builder.load(builder.bitcast(builder.gep(begin, [arguments[1]]), ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return types.uint64(array, types.int64), generate


count_ones: Callable[[Any], int] = cast(Any, _count_ones)  # as compiled code calls it, without the typing context
word_at: Callable[[Bytes, int], Any] = cast(Any, _word_at)


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


@inlined
def distance(left: Words, row: int, right: Words, other: int) -> int:
    """The Hamming distance of two rows of words."""
    total = 0
    for word in range(left.shape[1]):
        total += count_ones(left[row, word] ^ right[other, word])
    return total


@inlined
def share(left: Words, row: int, right: Words, other: int) -> int:
    """1 when two rows of label words share a label, else 0."""
    for word in range(left.shape[1]):
        if left[row, word] & right[other, word]:
            return 1
    return 0


@inlined
def byte_distance(left: Bytes, row: int, right: Bytes, other: int) -> int:
    """The Hamming distance of two rows of bytes, of any width."""
    n_bytes = left.shape[1]
    total = 0
    for begin in range(0, n_bytes - 7, 8):
        total += count_ones(word_at(left, row * n_bytes + begin) ^ word_at(right, other * n_bytes + begin))
    for byte in range(n_bytes - n_bytes % 8, n_bytes):
        total += count_ones(np.uint64(left[row, byte] ^ right[other, byte]))
    return total
