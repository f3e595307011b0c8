"""Whether a name was there before, in eight bytes a name."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

_FRESH = 1 << 16  # names held as a set before they are sorted into an array


class SeenNames:
    """The names met so far, known by 64 bits of a hash: two of 100 million share one with a chance of 1 in 3,700."""

    def __init__(self) -> None:
        self._fresh: set[int] = set()
        self._sorted: list[NDArray[np.uint64]] = []

    def add(self, name: str) -> bool:
        """Note a name; False where it was there before."""
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        key = int.from_bytes(digest, "big")
        if key in self._fresh or any(_holds(block, key) for block in self._sorted):
            return False
        self._fresh.add(key)
        if len(self._fresh) >= _FRESH:
            self._settle()
        return True

    def _settle(self) -> None:
        """Sort the fresh names into a block; blocks of like length are joined, so that there are never many."""
        block = np.sort(np.fromiter(self._fresh, np.uint64, len(self._fresh)))
        self._fresh = set()
        while self._sorted and len(self._sorted[-1]) <= len(block):
            block = np.sort(np.concatenate([self._sorted.pop(), block]))
        self._sorted.append(block)


def _holds(block: NDArray[np.uint64], key: int) -> bool:
    place = int(np.searchsorted(block, np.uint64(key)))
    return place < len(block) and int(block[place]) == key
