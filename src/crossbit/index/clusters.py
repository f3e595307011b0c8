"""Codes in clusters: centres by binary k-means, and within each the codes in the order of their distance to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossbit.kernels import nearest

_SAMPLE = 32  # codes a centre that it is learned from
_ROUNDS = 4
_MOST = 4096  # centres; every query is compared with all of them


@dataclass(frozen=True, eq=False)
class Clusters:
    """centres: (c, bytes). codes: (n, bytes), cluster by cluster. rows: (n,) int32, the row that each code comes from.

    rings: (c, 8 bytes + 2) int32, where the codes of a cluster at each distance to its centre begin, and their end.
    """

    centres: NDArray[np.uint8]
    codes: NDArray[np.uint8]
    rows: NDArray[np.int32]
    rings: NDArray[np.int32]

    @classmethod
    def of(cls, packed: NDArray[np.uint8], *, seed: int, threads: int) -> Clusters:
        """Clusters of packed codes, fewer than 2^31."""
        n_bits = 8 * packed.shape[1]
        centres = _centres(packed, clusters_for(len(packed)), seed, threads)
        own = np.empty(len(packed), np.int64)
        for start in range(0, len(packed), 1 << 20):  # the distances of a million at a time, to save memory
            part = slice(start, start + (1 << 20))
            found, far = nearest(packed[part], centres, 1, threads=threads)
            own[part] = found[:, 0] * (n_bits + 1) + far[:, 0]
        rows = np.argsort(own, kind="stable").astype(np.int32)
        edges = np.zeros(len(centres) * (n_bits + 1) + 1, np.int64)
        np.cumsum(np.bincount(own, minlength=len(edges) - 1), out=edges[1:])
        starts = np.arange(len(centres))[:, None] * (n_bits + 1) + np.arange(n_bits + 2)[None]
        return cls(centres, packed[rows], rows, edges[starts].astype(np.int32))


def clusters_for(n: int) -> int:
    """How many clusters for n codes: about four times the root, 4,096 at most, and 16 codes in each or more."""
    return int(min(_MOST, 4 * np.sqrt(n), max(n // 16, 1)))


def _centres(packed: NDArray[np.uint8], n: int, seed: int, threads: int) -> NDArray[np.uint8]:
    """Binary k-means: each code goes to the nearest centre, and each bit of a centre to the majority."""
    rng = np.random.default_rng(seed)
    some = packed[np.sort(rng.choice(len(packed), min(_SAMPLE * n, len(packed)), replace=False))]
    centres = some[rng.permutation(len(some))[:n]]
    for _ in range(_ROUNDS):
        own = nearest(some, centres, 1, threads=threads)[0][:, 0]
        order = np.argsort(own, kind="stable")
        present, starts = np.unique(own[order], return_index=True)
        bits = np.unpackbits(some[order], axis=1).astype(np.int32)
        means = np.add.reduceat(bits, starts) / np.diff([*starts, len(some)])[:, None]
        centres[present] = np.packbits(means >= 0.5, axis=1)
    return centres
