"""Coarse to fine: search the first bits of all codes, and rank what that finds by the whole codes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, check_n_bits, check_prefix
from crossbit.errors import SettingsError
from crossbit.index.arrays_file import read_arrays, write_arrays
from crossbit.index.protocol import Hits, Where, check_at_least, check_codes
from crossbit.index.segment import Segment, segment_over
from crossbit.index.segments import Segments, nearest_of, new_segment, search_all, settled, within_all, without_ids
from crossbit.kernels import all_threads, nearest

_FORMAT = "crossbit-prefix-1"
_SAMPLE = 500  # queries that the recall is measured on
_MOST = 1 << 14  # candidates a query at most: beyond that a full comparison is no slower


@dataclass(frozen=True)
class PrefixSettings:
    """What was chosen when the prefixes were cut off, and what it gives.

    prefix_bits: how many of the first bits are searched. candidates: how many codes of each query are ranked again, for
    k hits. recall: the share of hits as near as the exact k-th on `n_sample` queries. target: the recall asked for.
    """

    prefix_bits: int
    candidates: int
    k: int
    target: float
    recall: float
    n_sample: int


@dataclass(frozen=True, eq=False)
class _Held:
    """base: what first and settings were made of, removed codes marked; nothing before a build. first: the prefixes
    (n, bytes) of base. added: what came later."""

    base: Segments = ()
    first: NDArray[np.uint8] | None = None
    settings: PrefixSettings | None = None
    added: Segments = ()

    @property
    def all(self) -> Segments:
        return (*self.base, *self.added)


class PrefixIndex:
    """An approximate index for codes whose first bits are codes of their own (KDCMH's `prefixes`); see `Index`.

    Made by `PrefixIndex.build` or `load`. The prefixes are held in memory; the whole codes may stay in a file, of which
    a search reads the candidates alone. Hits have their true distances; some of the nearest may be missing. `within`
    compares in full and is exact. What is added after the build is compared in full, so build again when it has become
    much.
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
        prefix_bits: int | None = None,
        target_recall: float = 0.95,
        k: int = 10,
        queries: Codes | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> Self:
        """Cut the first bits off all codes, and find the fewest candidates that reach the recall asked for.

        prefix_bits: half of the code length if None. queries: what is searched for in use, a sample of a few hundred;
        some of the codes themselves (which are then not counted as their own hits) if None. ids: as for
        `ExactIndex.over`. Where no number of candidates up to 16,384 reaches the target, that many are taken and
        `settings.recall` says what they reach. Raises WidthError for a prefix longer than the codes, SettingsError for
        a target outside 0 to 1.
        """
        if not 0 < target_recall <= 1:
            raise SettingsError(f"target_recall is a share above 0 and up to 1; got {target_recall!r}.")
        index, k = cls(codes.n_bits, threads=threads), check_at_least("k", k, 1)
        prefix_bits = (
            max(codes.n_bits // 2, 1) if prefix_bits is None else check_at_least("prefix_bits", prefix_bits, 1)
        )
        if queries is not None:
            check_codes(queries, codes.n_bits, "queries")
        check_prefix(prefix_bits, codes.n_bits)
        base = segment_over(codes, ids)
        if base:
            first = _cut(base[0].packed, prefix_bits)
            sample = None if queries is None else queries.packed
            settings = _tuned(base[0].packed, first, prefix_bits, sample, k, target_recall, seed, index._threads)
            index._held = _Held(base, first, settings)
        return index

    @property
    def settings(self) -> PrefixSettings | None:
        """How it was built; None where there is nothing."""
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
        self._held = replace(held, added=settled((*held.added, *new_segment(held.all, codes, ids))))

    def remove(self, ids: NDArray[np.integer[Any]]) -> None:
        """Take out the codes of these ids; see `Index.remove`."""
        held = self._held
        left = without_ids(held.all, ids)
        self._held = replace(held, base=left[: len(held.base)], added=settled(left[len(held.base) :]))

    def search(self, queries: Codes, k: int, *, where: Where | None = None) -> Hits:
        """About the k nearest codes of each query, nearest first, equal distances by id; see `Index.search`."""
        check_codes(queries, self._n_bits, "queries")
        k = check_at_least("k", k, 1)
        held, found = self._held, []
        if held.first is not None and held.settings is not None:
            segment, kept = held.base[0], held.base[0].kept(where)
            candidates = max(held.settings.candidates, -(-held.settings.candidates * k // held.settings.k))
            first = _cut(queries.packed, held.settings.prefix_bits)
            rows, distances = _coarse_to_fine(
                queries.packed, first, segment.packed, held.first, k, candidates, kept, self._threads
            )
            found.append((segment.ids_of(rows), distances))
        if held.added or not found:
            found.append(search_all(held.added, queries, k, where, self._threads))
        return Hits(*nearest_of(found, k))

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius, exactly; see `Index.within`."""
        check_codes(queries, self._n_bits, "queries")
        radius = min(check_at_least("radius", radius, 0), self._n_bits)
        return within_all(self._held.all, queries, radius, self._threads)

    def save(self, path: str | Path) -> None:
        """Write everything into one file, whole or not at all."""
        held = self._held
        arrays: dict[str, NDArray[Any]] = {}
        if held.first is not None:
            own = held.base[0]
            arrays = {"packed": own.packed, "first": held.first}
            arrays |= {} if own.ids is None else {"ids": own.ids}
            arrays |= {} if own.present is None else {"present": own.present}
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
        if "first" in arrays:
            base = (Segment(arrays["packed"], arrays.get("ids"), arrays.get("present")),)
        names = sorted(name for name in arrays if name.startswith("added_ids_"))
        added = tuple(Segment(arrays[name.replace("_ids", "")], arrays[name]) for name in names)
        settings = PrefixSettings(**told["settings"]) if told["settings"] else None
        index._held = _Held(base, arrays.get("first"), settings, added)
        return index


def _cut(packed: NDArray[np.uint8], prefix_bits: int) -> NDArray[np.uint8]:
    return Codes(packed, 8 * packed.shape[1]).prefix(prefix_bits).packed


def _coarse_to_fine(
    queries: NDArray[np.uint8],
    first_of_queries: NDArray[np.uint8],
    codes: NDArray[np.uint8],
    first: NDArray[np.uint8],
    k: int,
    candidates: int,
    kept: NDArray[np.bool_] | None,
    threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """As `crossbit.kernels.nearest` of whole codes, among the candidates that are nearest by the prefix."""
    from crossbit.kernels.again import nearest_among  # noqa: PLC0415 - brings the compiler, which is slow to import

    if candidates > _MOST and k * 4 > candidates:
        return nearest(queries, codes, k, kept=kept, threads=threads)
    rows, _ = nearest(first_of_queries, first, candidates, kept=kept, threads=threads)
    return nearest_among(queries, codes, rows, k, threads=threads)


def _tuned(
    packed: NDArray[np.uint8],
    first: NDArray[np.uint8],
    prefix_bits: int,
    queries: NDArray[np.uint8] | None,
    k: int,
    target: float,
    seed: int,
    threads: int,
) -> PrefixSettings:
    """The fewest candidates, doubled from k on, that reach the target on a sample."""
    own = queries is None
    some = packed if queries is None else queries
    sample = np.ascontiguousarray(some[np.sort(np.random.default_rng(seed).permutation(len(some))[:_SAMPLE])])
    k = min(k, max(len(packed) - own, 1))
    _, exact = nearest(sample, packed, min(k + own, len(packed)), threads=threads)
    cut, most = _cut(sample, prefix_bits), min(_MOST, len(packed))
    candidates = min(exact.shape[1], most)
    while True:
        _, found = _coarse_to_fine(sample, cut, packed, first, exact.shape[1], candidates, None, threads)
        # A code of the sample finds itself at distance 0: its first hit is left out on both sides.
        recall = float((found <= exact[:, -1:])[:, own:].mean()) if exact.shape[1] > own else 1.0
        if recall >= target or candidates >= most:
            return PrefixSettings(prefix_bits, candidates, k, target, recall, len(sample))
        candidates = min(2 * candidates, most)
