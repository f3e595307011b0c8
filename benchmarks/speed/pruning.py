"""Measure what exact pruning could save a scan for the nearest codes, at best, before anybody builds it.

    python benchmarks/speed/pruning.py        about a minute; written to pruning.json

Three ways, all given the exact distance of the k-th hit from the start, which no real search knows:

- clusters with triangle bounds: a cluster is passed over when the query's distance to its centre, less its radius, is
  beyond the k-th hit. Counted is the share of codes in clusters that are left.
- rings: of a cluster, only codes are left whose distance to the centre is within the k-th hit of the query's.
- prefix first: a block of 64 codes is passed over when its codes differ in too many of the first bits already.
  Counted is the share of blocks left after a half and after three quarters of the bits, codes in random order and
  sorted by cluster.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from clustered import clustered_codes, of_bits  # noqa: E402  # beside this file

from crossbit.files import write_whole  # noqa: E402
from crossbit.kernels import nearest  # noqa: E402

N, N_QUERIES, N_CENTRES, ROUNDS, K = 1_000_000, 100, 4096, 6, 10


def centres_of(packed: np.ndarray, seed: int = 0) -> np.ndarray:
    """Binary k-means: the nearest centre of each code, and then the majority of each bit."""
    rng = np.random.default_rng(seed)
    some = packed[rng.permutation(len(packed))[: 64 * N_CENTRES]]
    centres = some[:N_CENTRES].copy()
    for _ in range(ROUNDS):
        own = nearest(some, centres, 1)[0][:, 0]
        order = np.argsort(own, kind="stable")
        present, starts = np.unique(own[order], return_index=True)
        bits = np.unpackbits(some[order], axis=1).astype(np.int32)
        means = np.add.reduceat(bits, starts) / np.diff([*starts, len(some)])[:, None]
        centres[present] = np.packbits(means >= 0.5, axis=1)
    return centres


def share_of_clusters(queries: np.ndarray, limits: np.ndarray, centres: np.ndarray, own: np.ndarray,
                      far: np.ndarray) -> float:  # fmt: skip
    """The share of codes in clusters that the triangle bound leaves."""
    radii, sizes = np.zeros(len(centres), np.int64), np.bincount(own, minlength=len(centres))
    np.maximum.at(radii, own, far)
    distances = np.bitwise_count(queries[:, None] ^ centres[None]).sum(axis=2, dtype=np.int64)
    left = distances - radii[None] <= limits[:, None]
    return float((left * sizes).sum() / len(queries) / sizes.sum())


def share_of_rings(queries: np.ndarray, limits: np.ndarray, centres: np.ndarray, own: np.ndarray,
                   far: np.ndarray) -> float:  # fmt: skip
    """The share of codes whose distance to their centre does not rule them out."""
    n_bits = 8 * centres.shape[1]
    held = np.bincount(own * (n_bits + 1) + far, minlength=len(centres) * (n_bits + 1)).reshape(-1, n_bits + 1)
    before = np.pad(np.cumsum(held, axis=1), ((0, 0), (1, 0)))
    left = 0
    for query, limit in zip(queries, limits, strict=True):
        distances = np.bitwise_count(query ^ centres).sum(axis=1, dtype=np.int64)
        ends = np.minimum(distances + limit, n_bits) + 1
        each = np.arange(len(centres))
        left += int((before[each, ends] - before[each, np.maximum(distances - limit, 0)]).sum())
    return left / len(queries) / len(own)


def share_of_blocks(queries: np.ndarray, limits: np.ndarray, packed: np.ndarray, n_bytes: int) -> float:
    """The share of blocks of 64 codes with one that may still be a hit after the first n_bytes."""
    whole = len(packed) // 64 * 64
    left = [
        (np.bitwise_count(packed[:whole, :n_bytes] ^ query[:n_bytes]).sum(axis=1).reshape(-1, 64) <= limit).any(axis=1)
        for query, limit in zip(queries, limits, strict=True)
    ]
    return float(np.mean(left))


def rows() -> list[dict[str, Any]]:
    packed_128, queries_128 = clustered_codes(N, N_QUERIES)
    told = []
    for n_bits in (64, 128):
        packed, queries = of_bits(packed_128, n_bits), of_bits(queries_128, n_bits)
        limits = nearest(queries, packed, K)[1][:, -1]
        centres = centres_of(packed)
        own, far = (part[:, 0] for part in nearest(packed, centres, 1))
        shared = {"n": N, "n_bits": n_bits, "k": K, "n_centres": N_CENTRES}
        share = share_of_clusters(queries, limits, centres, own, far)
        told.append({"way": "clusters with triangle bounds", **shared, "share_left": round(share, 4)})
        share = share_of_rings(queries, limits, centres, own, far)
        told.append({"way": "rings in clusters", **shared, "share_left": round(share, 4)})
        ordered = packed[np.argsort(own, kind="stable")]
        for name, codes in (("random order", packed), ("sorted by cluster", ordered)):
            for n_bytes in (n_bits // 16, n_bits * 3 // 32):
                left = share_of_blocks(queries[:30], limits[:30], codes, n_bytes)
                way = f"first {8 * n_bytes} bits, {name}"
                told.append({"way": way, **shared, "share_left": round(left, 4)})
    return told


def main() -> int:
    """Measure, print and store."""
    told = rows()
    for row in told:
        print(json.dumps(row))
    stored = {"data": "clustered.py, seed 0", "cores": os.cpu_count(), "numpy": np.__version__,
              "date": datetime.now(UTC).date().isoformat(), "rows": told}  # fmt: skip
    write_whole(HERE / "pruning.json", (json.dumps(stored, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
