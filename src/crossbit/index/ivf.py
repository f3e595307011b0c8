"""Approximate search for tens of millions of codes: FAISS's inverted lists, with filters, removals and ties in order.

FAISS's binary IVF cannot filter, and cannot be changed while it is searched. So the lists here are never changed:
removed codes are marked and left out of what the lists find, added codes stand beside them and are compared in full,
and where a filter keeps little, what it keeps is compared in full too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, check_n_bits
from crossbit.errors import MissingExtraError, SettingsError
from crossbit.index.arrays_file import read_arrays, write_arrays
from crossbit.index.protocol import Hits, Where, check_at_least, check_codes
from crossbit.index.segment import Segment, segment_over
from crossbit.index.segments import Segments, nearest_of, new_segment, search_all, settled, within_all, without_ids
from crossbit.kernels import all_threads, nearest

_MOST_ASKED = 2048  # how many hits FAISS is asked for at most; beyond that a full comparison is no slower
_SCAN_IS_FASTER = 8  # a code compared in full costs this much less than one found in a list
_SAMPLE = 500  # queries that the recall is measured on


@dataclass(frozen=True)
class IvfSettings:
    """What was chosen when the lists were built, and what it gives.

    n_lists: inverted lists. n_probe: lists that a query looks into. k: for which number of hits. recall: the share of
    hits as near as the exact k-th on `n_sample` queries. target: the recall asked for.
    """

    n_lists: int
    n_probe: int
    k: int
    target: float
    recall: float
    n_sample: int


@dataclass(frozen=True, eq=False)
class _Held:
    """base: what the lists were built over, removed codes marked; nothing before a build. added: what came later."""

    base: Segments = ()
    lists: Any = None
    settings: IvfSettings | None = None
    added: Segments = ()

    @property
    def all(self) -> Segments:
        return (*self.base, *self.added)


class IvfIndex:
    """An approximate index; see `Index`. Hits have their true distances; some of the nearest may be missing.

    Made by `IvfIndex.build` or `load`. `within` and a `search` whose filter keeps little compare in full and are
    exact. Of codes at the distance of the k-th hit any may be among the hits. What is added after the build is
    compared in full, so build again when it has become much (`build` on all codes). Needs faiss (`pip install
    crossbit[ann]`).
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
        target_recall: float = 0.95,
        k: int = 10,
        queries: Codes | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> Self:
        """Lists over codes, and the fewest lists a query must look into for the recall asked for.

        queries: what is searched for in use, a sample of a few hundred; some of the codes themselves (which are then
        not counted as their own hits) if None. ids: as for `ExactIndex.over`. Raises SettingsError for a target
        outside 0 to 1, MissingExtraError without faiss.
        """
        if not 0 < target_recall <= 1:
            raise SettingsError(f"target_recall is a share above 0 and up to 1; got {target_recall!r}.")
        index = cls(codes.n_bits, threads=threads)
        k, packed = check_at_least("k", k, 1), codes.packed
        if queries is not None:
            check_codes(queries, codes.n_bits, "queries")
        base = segment_over(codes, ids)
        if base:
            lists = _trained(base[0].packed, lists_for(len(packed)), seed, index._threads)
            sample = None if queries is None else queries.packed
            settings = _tuned(lists, base[0].packed, sample, k, target_recall, seed, index._threads)
            lists.nprobe = settings.n_probe
            index._held = _Held(base, lists, settings)
        return index

    @property
    def settings(self) -> IvfSettings | None:
        """How the lists were built; None where there are none."""
        return self._held.settings

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
        added = settled((*held.added, *new_segment(held.all, codes, ids)))
        self._held = replace(held, added=added)

    def remove(self, ids: NDArray[np.integer[Any]]) -> None:
        """Take out the codes of these ids; see `Index.remove`."""
        held = self._held
        left = without_ids(held.all, ids)
        n_base = len(held.base)
        self._held = replace(held, base=left[:n_base], added=settled(left[n_base:]))

    def search(self, queries: Codes, k: int, *, where: Where | None = None) -> Hits:
        """About the k nearest codes of each query, nearest first, equal distances by id; see `Index.search`."""
        check_codes(queries, self._n_bits, "queries")
        k = check_at_least("k", k, 1)
        held = self._held
        found = [self._search_base(held.base[0], held.lists, queries.packed, k, where)] if held.base else []
        if held.added or not found:
            found.append(search_all(held.added, queries, k, where, self._threads))
        return Hits(*nearest_of(found, k))

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius, exactly; see `Index.within`."""
        check_codes(queries, self._n_bits, "queries")
        radius = min(check_at_least("radius", radius, 0), self._n_bits)
        return within_all(self._held.all, queries, radius, self._threads)

    def _search_base(
        self, segment: Segment, lists: Any, queries: NDArray[np.uint8], k: int, where: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        kept = segment.kept(where)
        n, n_kept = len(segment.packed), len(segment.packed) if kept is None else int(np.count_nonzero(kept))
        ask = min(k if kept is None else (k + 8) * n * 5 // (4 * max(n_kept, 1)), n)
        looked_at = lists.nprobe / lists.nlist
        if ask > _MOST_ASKED or n_kept < n * looked_at * _SCAN_IS_FASTER or k >= n_kept:
            rows, distances = nearest(queries, segment.packed, k, kept=kept, threads=self._threads)
            return segment.ids_of(rows), distances
        rows, distances = _ask(lists, queries, ask, self._threads)
        good = (rows >= 0) if kept is None else (rows >= 0) & kept[rows]
        rows, distances = np.where(good, rows, 0), np.where(good, distances, np.iinfo(np.int32).max)
        order = np.lexsort((rows, distances), axis=1)[:, :k]
        rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
        short = np.flatnonzero(good.sum(axis=1) < k)
        if len(short):  # the lists it looked into held too little of what the filter keeps
            rows[short], distances[short] = nearest(queries[short], segment.packed, k, kept=kept, threads=self._threads)
        return segment.ids_of(rows), distances

    def save(self, path: str | Path) -> None:
        """Write everything into one file, whole or not at all."""
        held = self._held
        arrays: dict[str, NDArray[Any]] = {}
        if held.base:
            segment = held.base[0]
            lists = _faiss().serialize_index_binary(held.lists)
            own = {"packed": segment.packed, "lists": lists, "ids": segment.ids, "present": segment.present}
            arrays = {name: array for name, array in own.items() if array is not None}
        for number, segment in enumerate(held.added):
            arrays[f"added_ids_{number}"], arrays[f"added_{number}"] = segment.rows_left()
        settings = asdict(held.settings) if held.settings else None
        write_arrays(Path(path), _FORMAT, {"n_bits": self._n_bits, "settings": settings}, arrays)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Self:
        """Read what `save` wrote; raises FileFormatError for a file that is none, was cut short or altered."""
        told, arrays = read_arrays(Path(path), _FORMAT)
        index = cls(told["n_bits"], threads=threads)
        base: Segments = ()
        lists = None
        if "lists" in arrays:
            base = (Segment(arrays["packed"], arrays.get("ids"), arrays.get("present")),)
            lists = _faiss().deserialize_index_binary(arrays["lists"])
        names = sorted(name for name in arrays if name.startswith("added_ids_"))
        added = tuple(Segment(arrays[name.replace("_ids", "")], arrays[name]) for name in names)
        index._held = _Held(base, lists, IvfSettings(**told["settings"]) if told["settings"] else None, added)
        return index


_FORMAT = "crossbit-ivf-1"


def lists_for(n: int) -> int:
    """How many lists: about four times the root of the number of codes, a power of two, 39 codes a list or more."""
    most = max(n // 39, 1)
    return int(min(2 ** round(np.log2(4 * np.sqrt(n))), most)) if n > 1 else 1


def _trained(packed: NDArray[np.uint8], n_lists: int, seed: int, threads: int) -> Any:
    faiss = _faiss()
    n_bits = 8 * packed.shape[1]
    lists = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(n_bits), n_bits, n_lists)
    lists.cp.seed, lists.cp.niter, lists.cp.max_points_per_centroid = seed + 1, 10, 64
    faiss.omp_set_num_threads(threads)
    some = np.sort(np.random.default_rng(seed).permutation(len(packed))[: 64 * n_lists])
    lists.train(np.ascontiguousarray(packed[some]))
    for start in range(0, len(packed), 1 << 20):
        lists.add(np.ascontiguousarray(packed[start : start + (1 << 20)]))
    return lists


def _ask(lists: Any, queries: NDArray[np.uint8], k: int, threads: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    _faiss().omp_set_num_threads(threads)
    distances, rows = lists.search(np.ascontiguousarray(queries), k)
    return rows, distances


def _tuned(
    lists: Any,
    packed: NDArray[np.uint8],
    queries: NDArray[np.uint8] | None,
    k: int,
    target: float,
    seed: int,
    threads: int,
) -> IvfSettings:
    """The fewest lists, of powers of two and then halfway between them, that reach the target on a sample."""
    own = queries is None
    rng = np.random.default_rng(seed)
    some = packed if queries is None else queries
    sample = np.ascontiguousarray(some[np.sort(rng.permutation(len(some))[:_SAMPLE])])
    k = min(k, max(len(packed) - own, 1))
    _, exact = nearest(sample, packed, min(k + own, len(packed)), threads=threads)
    measured: dict[int, float] = {}

    def recall(n_probe: int) -> float:
        lists.nprobe = n_probe
        _, distances = _ask(lists, sample, exact.shape[1], threads)
        # A code of the sample finds itself at distance 0: its first hit is left out on both sides.
        measured[n_probe] = float(((distances <= exact[:, -1:]) & (distances >= 0))[:, own:].mean())
        return measured[n_probe]

    low, high = 0, 1
    while recall(high) < target and high < lists.nlist:
        low, high = high, min(2 * high, lists.nlist)
    while high - low > max(high // 8, 1):
        middle = (low + high) // 2
        low, high = (low, middle) if recall(middle) >= target else (middle, high)
    return IvfSettings(lists.nlist, high, k, target, measured[high], len(sample))


def _faiss() -> Any:
    try:
        import faiss  # noqa: PLC0415 - optional, so only where it is used
    except ImportError as error:
        raise MissingExtraError("Approximate search", "ann") from error
    return faiss
