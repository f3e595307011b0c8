"""Which parts of codes to look up for all that lies within a radius of a query.

A code is cut into m parts of whole bytes. If two codes differ in at most r = m q + a bits, then one of their first
a + 1 parts differs in at most q bits or another one in at most q - 1 (Norouzi, Punjani and Fleet, "Fast exact search
in Hamming space with multi-index hashing", 2014).
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

MOST_FLIPS = 2  # bits of a part that a look-up may flip: 3 of 32 would make 5,489 look-ups a part
_WIDEST = 4  # bytes of a part


def part_edges(n_bytes: int) -> NDArray[np.int64]:
    """The bytes at which the parts of a code begin and end: two parts or more, none wider than 4 bytes."""
    n_parts = min(max(-(-n_bytes // _WIDEST), 2), n_bytes)
    return np.array([n_bytes * part // n_parts for part in range(n_parts + 1)], dtype=np.int64)


@cache
def flips_for(n_bytes: int, radius: int) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """What is XORed into each part of a query to look up all that lies within a radius; not to be written to.

    The flips of all parts in one array; where those of each part begin; and how many bits they flip at most, -1 for a
    part that is not looked up.
    """
    edges = part_edges(n_bytes)
    q, a = divmod(radius, len(edges) - 1)
    near = np.array([q if part <= a else q - 1 for part in range(len(edges) - 1)], dtype=np.int64)
    lists = [_masks(8 * int(width), int(one)) for width, one in zip(np.diff(edges), near, strict=True)]
    return np.concatenate(lists), np.cumsum([0, *map(len, lists)]), near


def _masks(n_bits: int, most: int) -> NDArray[np.uint64]:
    """All words of n_bits bits with at most so many ones, fewest first."""
    some = [sum(1 << bit for bit in bits) for n in range(most + 1) for bits in combinations(range(n_bits), n)]
    return np.array(some, dtype=np.uint64)
