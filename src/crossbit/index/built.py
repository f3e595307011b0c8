"""What the engines share that are built over codes: their changes since, their filters and their files.

What was built is never changed. Removed codes are marked and left out of each search, and added codes stand beside it
in segments that are compared in full. So an engine says only how it searches what it was built over.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, check_n_bits
from crossbit.errors import FileFormatError
from crossbit.index.arrays_file import read_arrays, write_arrays
from crossbit.index.protocol import Hits, Where, check_at_least, check_codes
from crossbit.index.segment import Flags, Segment, segment_over
from crossbit.index.segments import Segments, nearest_of, new_segment, search_all, settled, within_all, without_ids
from crossbit.kernels import all_threads

Built = TypeVar("Built")
Nearest = tuple[NDArray[np.int64], NDArray[np.int32]]
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class _Held(Generic[Built]):
    """base: what was built over, removed codes marked; nothing before a build. built: over it. added: later."""

    base: Segments = ()
    built: Built | None = None
    added: Segments = ()

    @property
    def all(self) -> Segments:
        return (*self.base, *self.added)


class BuiltIndex(ABC, Generic[Built]):
    """An index with something built over its codes. See `Index`; one thread may change it while others search.

    Empty until `build` or `load`; what is added to it without a build is compared in full.
    """

    file_format: ClassVar[str]
    """What its files say they are."""

    def __init__(self, n_bits: int, *, threads: int | None = None) -> None:
        check_n_bits(n_bits)
        self._n_bits = int(n_bits)
        self._threads = all_threads() if threads is None else check_at_least("threads", threads, 1)
        # Replaced as one and never written to: this is what makes searches safe in threads.
        self._held: _Held[Built] = _Held()

    @abstractmethod
    def _nearest(
        self, built: Built, packed: NDArray[np.uint8], queries: NDArray[np.uint8], k: int, kept: Flags | None
    ) -> Nearest:
        """Rows and distances of the k nearest of the codes built over, of those kept; ties by row."""

    @abstractmethod
    def _stored(self, built: Built) -> tuple[dict[str, Any], Arrays]:
        """What a file keeps of it beside the codes: plain values and arrays."""

    @classmethod
    @abstractmethod
    def _restored(cls, told: Mapping[str, Any], arrays: Arrays, packed: NDArray[np.uint8]) -> Built:
        """What `_stored` gave, back from a file."""

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
        """The k nearest codes of each query, as far as the engine finds them; see `Index.search`."""
        check_codes(queries, self._n_bits, "queries")
        k = check_at_least("k", k, 1)
        held, found = self._held, []
        if held.built is not None:
            segment = held.base[0]
            rows, distances = self._nearest(held.built, segment.packed, queries.packed, k, segment.kept(where))
            found.append((segment.ids_of(rows), distances))
        if held.added or not found:
            found.append(search_all(held.added, queries, k, where, self._threads))
        return Hits(*nearest_of(found, k))

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius, exactly, for each query Hits of one row; see `Index.within`."""
        check_codes(queries, self._n_bits, "queries")
        radius = min(check_at_least("radius", radius, 0), self._n_bits)
        return within_all(self._held.all, queries, radius, self._threads)

    def save(self, path: str | Path, *, with_codes: bool = True, note: str = "") -> None:
        """Write everything into one file, whole or not at all.

        with_codes: also the codes it was built over; without them `load` must be given them. note: kept in the file.
        """
        held = self._held
        told: dict[str, Any] = {"n_bits": self._n_bits, "note": note}
        arrays: dict[str, NDArray[Any]] = {}
        if held.built is not None:
            base = held.base[0]
            own = {"packed": base.packed if with_codes else None, "ids": base.ids, "present": base.present}
            values, kept = self._stored(held.built)
            told |= {"n": len(base.packed), **values}
            arrays = {name: array for name, array in own.items() if array is not None} | dict(kept)
        for number, segment in enumerate(held.added):
            arrays[f"added_ids_{number}"], arrays[f"added_{number}"] = segment.rows_left()
        write_arrays(Path(path), self.file_format, told | {"built": held.built is not None}, arrays)

    @classmethod
    def load(cls, path: str | Path, *, codes: Codes | None = None, threads: int | None = None) -> Self:
        """Read what `save` wrote. codes: what it was built over, in the order of their ids, used as they are.

        Raises FileFormatError for a file that is none, was cut short or altered, or is not of these codes.
        """
        told, arrays = read_arrays(Path(path), cls.file_format)
        index = cls(told["n_bits"], threads=threads)
        held: _Held[Built] = _Held()
        if told.get("built", "packed" in arrays):
            packed = arrays.get("packed") if codes is None else codes.packed
            if packed is None:
                raise FileFormatError(f"{path} holds no codes, only what was built over them; give codes=.")
            if len(packed) != told.get("n", len(packed)) or (codes is not None and codes.n_bits != index.n_bits):
                raise FileFormatError(f"{path} was built over other codes than those given; build it again.")
            try:
                built = cls._restored(told, arrays, packed)
            except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
                raise FileFormatError(f"{path} holds no whole engine ({error}); build it again.") from error
            held = _Held((Segment(packed, arrays.get("ids"), arrays.get("present")),), built)
        names = sorted(name for name in arrays if name.startswith("added_ids_"))
        added = tuple(Segment(arrays[name.replace("_ids", "")], arrays[name]) for name in names)
        index._held = replace(held, added=added)
        return index

    def _build_over(self, codes: Codes, ids: Any) -> Segment | None:
        """The codes as the segment that is built over, None where there are none; ids as for `ExactIndex.over`."""
        base = segment_over(codes, ids)
        return base[0] if base else None

    def _hold(self, base: Segment, built: Built) -> None:
        self._held = _Held((base,), built)
