"""Codes for the search benchmarks: signs of random projections of a mixture of Gaussians, by seed.

64 dimensions, 20,000 clusters of Zipf-like sizes and unequal radii; held-out queries are drawn from the same mixture.
The 64-bit codes are the first half of the 128-bit ones, so both have the same neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes

DIMENSIONS, CLUSTERS, N_BITS = 64, 20_000, 128


def clustered_codes(n: int, n_queries: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """n codes and n_queries held-out ones of 128 bits, packed."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLUSTERS, DIMENSIONS), dtype=np.float32)
    radii = rng.uniform(0.2, 0.8, CLUSTERS).astype(np.float32)
    sizes = 1 / np.arange(1, CLUSTERS + 1)
    edges = np.cumsum(sizes / sizes.sum())
    projection = rng.standard_normal((DIMENSIONS, N_BITS), dtype=np.float32)

    def draw(count: int) -> NDArray[np.uint8]:
        packed = np.empty((count, N_BITS // 8), np.uint8)
        for start in range(0, count, 100_000):
            stop = min(start + 100_000, count)
            own = np.minimum(np.searchsorted(edges, rng.random(stop - start)), CLUSTERS - 1)
            noise = rng.standard_normal((stop - start, DIMENSIONS), dtype=np.float32)
            packed[start:stop] = Codes.from_real((centres[own] + radii[own, None] * noise) @ projection).packed
        return packed

    queries = draw(n_queries)
    return draw(n), queries


def of_bits(packed: NDArray[np.uint8], n_bits: int) -> NDArray[np.uint8]:
    """The first n_bits of packed codes, on their own."""
    return np.ascontiguousarray(packed[:, : n_bits // 8])
