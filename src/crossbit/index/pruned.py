"""Exact search that need not compare every code: clusters in rings, passed over by the triangle inequality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import SettingsError
from crossbit.index.built import Arrays, BuiltIndex, Nearest
from crossbit.index.clusters import Clusters
from crossbit.index.segment import Flags
from crossbit.kernels import nearest
from crossbit.kernels.search import as_bytes, flags_of, over_blocks

_MOST_ROWS = (1 << 31) - 1  # that a ring can number
_FEW = 4  # queries that a scan compares one by one
# What comparing a code costs here, a scan of several queries and a scan of few being 1: see benchmarks/speed/rings.py.
_TO_BATCH, _TO_FEW = 24, 4
_LEAST_BATCH = 32_000_000  # bytes of codes below which several queries are scanned: the centres alone cost as much
_AS_ROWS = 1 << 17  # rows whose scan is about as much work for a query, which tells when threads pay


class PrunedIndex(BuiltIndex[Clusters]):
    """An exact index for lone queries over many codes; see `Index`. Its hits are those of `ExactIndex`.

    Made by `PrunedIndex.build` or `load`. It holds the codes twice, and 4 bytes a code. How much it saves hangs on the
    codes: clusters help, k = 100 less than k = 10, and codes spread evenly not at all. A query that would have too
    much left to compare is answered by a scan. What is added after the build is scanned, so build again when it has
    become much. Any number of threads may search while one changes it.
    """

    file_format = "crossbit-pruned-1"

    @classmethod
    def build(
        cls,
        codes: Codes,
        ids: NDArray[np.integer[Any]] | None = None,
        *,
        seed: int = 0,
        threads: int | None = None,
    ) -> Self:
        """Clusters over codes; half a minute of one thread for 10 million codes of 64 bits.

        ids: as for `ExactIndex.over`. Raises SettingsError for 2^31 codes or more.
        """
        if len(codes) > _MOST_ROWS:
            raise SettingsError(f"At most {_MOST_ROWS:,} codes can be put into clusters; got {len(codes):,}.")
        index = cls(codes.n_bits, threads=threads)
        base = index._build_over(codes, ids)
        if base is not None:
            index._hold(base, Clusters.of(base.packed, seed=seed, threads=index._threads))
        return index

    def _nearest(
        self, built: Clusters, packed: NDArray[np.uint8], queries: NDArray[np.uint8], k: int, kept: Flags | None
    ) -> Nearest:
        return _nearest(packed, built, queries, k, kept, self._threads)

    def _stored(self, built: Clusters) -> tuple[dict[str, Any], Arrays]:
        return {}, {"centres": built.centres, "rows": built.rows, "rings": built.rings}

    @classmethod
    def _restored(cls, told: Mapping[str, Any], arrays: Arrays, packed: NDArray[np.uint8]) -> Clusters:
        return Clusters(arrays["centres"], packed[arrays["rows"]], arrays["rows"], arrays["rings"])


def _nearest(
    packed: NDArray[np.uint8], clusters: Clusters, queries: NDArray[np.uint8], k: int, kept: Any, threads: int
) -> Nearest:
    """As `crossbit.kernels.nearest`, by rings, and by a scan for the queries that have too much left to compare."""
    from crossbit.kernels.rings import scan_rings  # noqa: PLC0415 - brings the compiler, which is slow to import

    n_kept = len(packed) if kept is None else int(np.count_nonzero(kept))
    most = len(packed) // (_TO_FEW if len(queries) <= _FEW else _TO_BATCH)
    little = len(queries) > _FEW and packed.nbytes < _LEAST_BATCH
    if not len(queries) or k >= n_kept or n_kept < most or little:
        return nearest(queries, packed, k, kept=kept, threads=threads)
    arrays = as_bytes(clusters.codes), clusters.rows, as_bytes(clusters.centres), clusters.rings
    flags, asked = flags_of(kept), as_bytes(queries)

    def part(some: slice, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint8]]:
        return scan_rings(asked[some], *arrays, flags, k, most)

    answers = [one for block in over_blocks(part, len(queries), _AS_ROWS, threads) for one in block]
    rows, distances, given_up = (np.concatenate([one[column] for one in answers]) for column in range(3))
    left = np.flatnonzero(given_up)
    if len(left):
        rows[left], distances[left] = nearest(queries[left], packed, k, kept=kept, threads=threads)
    return rows, distances
