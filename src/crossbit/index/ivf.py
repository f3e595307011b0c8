"""Approximate search for tens of millions of codes: FAISS's inverted lists, with filters, removals and ties in order.

FAISS's binary IVF cannot filter, and cannot be changed while it is searched. So removed codes are left out of what the
lists find, and where a filter keeps little, what it keeps is compared in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import MissingExtraError
from crossbit.index.built import Arrays, BuiltIndex, Nearest
from crossbit.index.protocol import check_at_least, check_codes
from crossbit.index.segment import Flags
from crossbit.index.tuning import Sample, check_recall, fewest, some_rows
from crossbit.kernels import nearest

_MOST_ASKED = 2048  # how many hits FAISS is asked for at most; beyond that a full comparison is no slower
_SCAN_IS_FASTER = 8  # a code compared in full costs this much less than one found in a list


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
class Lists:
    """FAISS's inverted lists (faiss.IndexBinaryIVF), and how they are searched."""

    faiss: Any
    settings: IvfSettings


class IvfIndex(BuiltIndex[Lists]):
    """An approximate index; see `Index`. Hits have their true distances; some of the nearest may be missing.

    Made by `IvfIndex.build` or `load`. `within` and a `search` whose filter keeps little compare in full and are
    exact. Of codes at the distance of the k-th hit any may be among the hits. What is added after the build is
    compared in full, so build again when it has become much (`build` on all codes). Needs faiss (`pip install
    crossbit[ann]`).
    """

    file_format = "crossbit-ivf-1"

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
        check_recall(target_recall)
        index, k = cls(codes.n_bits, threads=threads), check_at_least("k", k, 1)
        if queries is not None:
            check_codes(queries, codes.n_bits, "queries")
        base = index._build_over(codes, ids)
        if base is not None:
            lists = _trained(base.packed, lists_for(len(codes)), seed, index._threads)
            asked = None if queries is None else queries.packed
            sample = Sample.of(base.packed, asked, k, seed=seed, threads=index._threads)
            settings = _tuned(lists, sample, target_recall, index._threads)
            lists.nprobe = settings.n_probe
            index._hold(base, Lists(lists, settings))
        return index

    @staticmethod
    def check_installed() -> None:
        """Raise MissingExtraError where lists cannot be built, for callers who want to know before long work."""
        _faiss()

    @property
    def settings(self) -> IvfSettings | None:
        """How the lists were built; None where there are none."""
        built = self._held.built
        return None if built is None else built.settings

    def _nearest(
        self, built: Lists, packed: NDArray[np.uint8], queries: NDArray[np.uint8], k: int, kept: Flags | None
    ) -> Nearest:
        n, n_kept = len(packed), len(packed) if kept is None else int(np.count_nonzero(kept))
        ask = min(k if kept is None else (k + 8) * n * 5 // (4 * max(n_kept, 1)), n)
        looked_at = built.faiss.nprobe / built.faiss.nlist
        if ask > _MOST_ASKED or n_kept < n * looked_at * _SCAN_IS_FASTER or k >= n_kept:
            return nearest(queries, packed, k, kept=kept, threads=self._threads)
        rows, distances = _ask(built.faiss, queries, ask, self._threads)
        good = (rows >= 0) if kept is None else (rows >= 0) & kept[rows]
        rows, distances = np.where(good, rows, 0), np.where(good, distances, np.iinfo(np.int32).max)
        order = np.lexsort((rows, distances), axis=1)[:, :k]
        rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
        short = np.flatnonzero(good.sum(axis=1) < k)
        if len(short):  # the lists it looked into held too little of what the filter keeps
            rows[short], distances[short] = nearest(queries[short], packed, k, kept=kept, threads=self._threads)
        return rows, distances

    def _stored(self, built: Lists) -> tuple[dict[str, Any], Arrays]:
        return {"settings": asdict(built.settings)}, {"lists": _faiss().serialize_index_binary(built.faiss)}

    @classmethod
    def _restored(cls, told: Mapping[str, Any], arrays: Arrays, packed: NDArray[np.uint8]) -> Lists:
        return Lists(_faiss().deserialize_index_binary(arrays["lists"]), IvfSettings(**told["settings"]))


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
    some = some_rows(len(packed), 64 * n_lists, np.random.default_rng(seed))
    lists.train(np.ascontiguousarray(packed[some]))
    for start in range(0, len(packed), 1 << 20):
        lists.add(np.ascontiguousarray(packed[start : start + (1 << 20)]))
    return lists


def _ask(lists: Any, queries: NDArray[np.uint8], k: int, threads: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    _faiss().omp_set_num_threads(threads)
    distances, rows = lists.search(np.ascontiguousarray(queries), k)
    return rows, distances


def _tuned(lists: Any, sample: Sample, target: float, threads: int) -> IvfSettings:
    """The fewest lists that reach the target on a sample."""

    def recall(n_probe: int) -> float:
        lists.nprobe = n_probe
        return sample.recall(_ask(lists, sample.queries, sample.asked, threads)[1])

    n_probe, reached = fewest(recall, target, lists.nlist)
    return IvfSettings(lists.nlist, n_probe, sample.k, target, reached, len(sample.queries))


def _faiss() -> Any:
    try:
        import faiss  # noqa: PLC0415 - optional, so only where it is used
    except ImportError as error:
        raise MissingExtraError("Approximate search", "ann") from error
    return faiss
