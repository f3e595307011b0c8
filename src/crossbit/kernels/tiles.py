"""Tiles: a few thousand codes, turned into blocks of byte planes on the fly, to be compared with many queries.

The codes themselves stay as they are stored, n rows of packed bytes, so that a file mapped into memory is searched
without a copy. Turning a tile over costs as much as comparing it with about five queries. Only rows that a filter
keeps enter a tile, so a filter that keeps a tenth of the rows saves nine tenths of the comparing.
"""

from __future__ import annotations

import numpy as np

from crossbit.kernels.compilation import Bytes, Rows, inlined
from crossbit.kernels.vectors import LANES, TOGETHER, eight_to_planes, lowest, planes_per_byte, spread
from crossbit.kernels.words import word_at

TILE = 4096  # codes a tile: 32 KiB of 64-bit codes, the size of a first-level cache


@inlined
def n_planes_of(n_bytes: int) -> int:
    """The planes of a block: even in number, filled up with one of zeros."""
    n_planes = n_bytes * planes_per_byte()
    return n_planes + n_planes % 2


@inlined
def list_rows(start: int, stop: int, kept: Bytes, listed: Rows) -> tuple[int, int]:
    """Write the next rows into listed, up to its length: those kept, or all where kept is empty.

    Gives how many there are, and the row to go on from.
    """
    n, row = 0, start
    if not len(kept):
        n = min(len(listed), stop - start)
        for place in range(n):
            listed[place] = start + place
        return n, start + n
    while row < stop and n < len(listed):
        if row % 8 == 0 and row + 8 <= stop and n + 8 <= len(listed):
            word = word_at(kept, row)  # eight rows at once, each 0 or 1
            while word:
                listed[n] = row + lowest(word) // 8
                n += 1
                word &= word - np.uint64(1)
            row += 8
        else:
            if kept[row]:
                listed[n] = row
                n += 1
            row += 1
    return n, row


@inlined
def fill_planes(codes: Bytes, listed: Rows, n: int, planes: Bytes) -> None:
    """Turn the first n listed codes into blocks of planes; places beyond n in the last block repeat a code."""
    n_bytes = codes.shape[1]
    each, n_planes = planes_per_byte(), n_planes_of(n_bytes)
    n_filled = n + (-n) % LANES
    listed[n:n_filled] = listed[n - 1]
    for eight in range(0, n_filled, 8):
        begin = eight // LANES * n_planes * LANES + eight % LANES
        for byte in range(0, n_bytes - 7, 8):
            eight_to_planes(codes, listed, eight, byte, n_bytes, planes, begin + byte * each * LANES)
    for place in range(n_filled if n_bytes % 8 else 0):
        begin = place // LANES * n_planes * LANES + place % LANES
        for byte in range(n_bytes - n_bytes % 8, n_bytes):
            value = codes[listed[place], byte]
            if each == 1:
                planes[begin + byte * LANES] = value
            else:
                planes[begin + 2 * byte * LANES] = value & 15
                planes[begin + (2 * byte + 1) * LANES] = value >> 4
    if n_bytes * each < n_planes:
        for block in range(n_filled // LANES):
            end = (block + 1) * n_planes * LANES
            planes[end - LANES : end] = 0


@inlined
def fill_spread(queries: Bytes, first: int, spread_out: Bytes) -> None:
    """Write the bytes of up to eight queries, from number `first` on, in every lane; a missing one repeats the last."""
    n_bytes = queries.shape[1]
    each = planes_per_byte()
    for place in range(TOGETHER):
        query = min(first + place, len(queries) - 1)
        for byte in range(n_bytes):
            at = (byte * each * TOGETHER + place) * LANES
            spread(queries[query, byte], spread_out, at, TOGETHER * LANES)
    if n_bytes * each < n_planes_of(n_bytes):
        spread_out[n_bytes * each * TOGETHER * LANES :] = 0
