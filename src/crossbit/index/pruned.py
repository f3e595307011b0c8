"""Exact search that need not compare every code: clusters in rings, passed over by the triangle inequality."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, check_n_bits
from crossbit.errors import SettingsError
from crossbit.index.arrays_file import read_arrays, write_arrays
from crossbit.index.clusters import Clusters
from crossbit.index.protocol import Hits, Where, check_at_least, check_codes
from crossbit.index.segment import Segment, segment_over
from crossbit.index.segments import Segments, nearest_of, new_segment, search_all, settled, within_all, without_ids
from crossbit.kernels import all_threads, nearest
from crossbit.kernels.search import as_bytes, flags_of, over_blocks

_FORMAT = "crossbit-pruned-1"
_MOST_ROWS = (1 << 31) - 1  # that a ring can number
_FEW = 4  # queries that a scan compares one by one
# What comparing a code costs here, a scan of several queries and a scan of few being 1: see benchmarks/speed/rings.py.
_TO_BATCH, _TO_FEW = 24, 4
_LEAST_BATCH = 32_000_000  # bytes of codes below which several queries are scanned: the centres alone cost as much
_AS_ROWS = 1 << 17  # rows whose scan is about as much work for a query, which tells when threads pay

Nearest = tuple[NDArray[np.int64], NDArray[np.int32]]


@dataclass(frozen=True, eq=False)
class _Held:
    """base: what the clusters were made of, removed codes marked; nothing before a build. added: what came later."""

    base: Segments = ()
    clusters: Clusters | None = None
    added: Segments = ()

    @property
    def all(self) -> Segments:
        return (*self.base, *self.added)


class PrunedIndex:
    """An exact index for lone queries over many codes; see `Index`. Its hits are those of `ExactIndex`.

    Made by `PrunedIndex.build` or `load`. It holds the codes twice, and 4 bytes a code. How much it saves hangs on the
    codes: clusters help, k = 100 less than k = 10, and codes spread evenly not at all. A query that would have too
    much left to compare is answered by a scan. What is added after the build is scanned, so build again when it has
    become much. Any number of threads may search while one changes it.
    """

    def __init__(self, n_bits: int, *, threads: int | None = None) -> None:
        check_n_bits(n_bits)
        self._n_bits = int(n_bits)
        self._threads = all_threads() if threads is None else check_at_least("threads", threads, 1)
        # Replaced as one and never written to: this is what makes searches safe in threads.
        self._held = _Held()

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
        base = segment_over(codes, ids)
        if base:
            index._held = _Held(base, Clusters.of(base[0].packed, seed=seed, threads=index._threads))
        return index

    @property
    def n_bits(self) -> int:
        """The code length of everything in it."""
        return self._n_bits

    def __len__(self) -> int:
        return sum(len(segment) for segment in self._held.all)

    def add(self, codes: Codes, ids: NDArray[np.integer[Any]]) -> None:
        """Take in n codes under n ids; see `Index.add`."""
        check_codes(codes, self._n_bits, "codes")
        held = self._held
        self._held = replace(held, added=settled((*held.added, *new_segment(held.all, codes, ids))))

    def remove(self, ids: NDArray[np.integer[Any]]) -> None:
        """Take out the codes of these ids; see `Index.remove`."""
        held = self._held
        left = without_ids(held.all, ids)
        self._held = replace(held, base=left[: len(held.base)], added=settled(left[len(held.base) :]))

    def search(self, queries: Codes, k: int, *, where: Where | None = None) -> Hits:
        """The k nearest codes of each query, nearest first, ties by lower id; see `Index.search`."""
        check_codes(queries, self._n_bits, "queries")
        k = check_at_least("k", k, 1)
        held, found = self._held, []
        if held.clusters is not None:
            segment, kept = held.base[0], held.base[0].kept(where)
            rows, distances = _nearest(segment.packed, held.clusters, queries.packed, k, kept, self._threads)
            found.append((segment.ids_of(rows), distances))
        if held.added or not found:
            found.append(search_all(held.added, queries, k, where, self._threads))
        return Hits(*nearest_of(found, k))

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius, for each query Hits of one row; see `Index.within`."""
        check_codes(queries, self._n_bits, "queries")
        radius = min(check_at_least("radius", radius, 0), self._n_bits)
        return within_all(self._held.all, queries, radius, self._threads)

    def save(self, path: str | Path) -> None:
        """Write everything into one file, whole or not at all."""
        held = self._held
        arrays: dict[str, NDArray[Any]] = {}
        if held.clusters is not None:
            own, made = held.base[0], held.clusters
            arrays = {"packed": own.packed, "centres": made.centres, "rows": made.rows, "rings": made.rings}
            arrays |= {} if own.ids is None else {"ids": own.ids}
            arrays |= {} if own.present is None else {"present": own.present}
        for number, segment in enumerate(held.added):
            arrays[f"added_ids_{number}"], arrays[f"added_{number}"] = segment.rows_left()
        write_arrays(Path(path), _FORMAT, {"n_bits": self._n_bits}, arrays)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Self:
        """Read what `save` wrote; raises FileFormatError for a file that is none, was cut short or altered."""
        told, arrays = read_arrays(Path(path), _FORMAT)
        index = cls(told["n_bits"], threads=threads)
        base: Segments = ()
        clusters = None
        if "rows" in arrays:
            packed = arrays["packed"]
            base = (Segment(packed, arrays.get("ids"), arrays.get("present")),)
            clusters = Clusters(arrays["centres"], packed[arrays["rows"]], arrays["rows"], arrays["rings"])
        names = sorted(name for name in arrays if name.startswith("added_ids_"))
        added = tuple(Segment(arrays[name.replace("_ids", "")], arrays[name]) for name in names)
        index._held = _Held(base, clusters, added)
        return index


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
