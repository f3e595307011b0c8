"""Exact search: every code is compared with every query."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, check_n_bits
from crossbit.index.protocol import Hits, Where, check_at_least, check_codes
from crossbit.index.segment import segment_over
from crossbit.index.segments import Segments, new_segment, search_all, settled, within_all, without_ids
from crossbit.kernels import all_threads


class ExactIndex:
    """An index that compares all codes, so that its hits are right by definition. See `Index`.

    n_bits: the code length, 1 to 4096. threads: how many a search may use; None for as many as there are processors.
    tables: whether `within` may keep tables of parts of the codes for small radii. It makes them once scans have cost
    as much as making them; they take 5 to 6 bytes for each code and each 4 bytes of it.

    The codes stand in segments, packed, n_bits / 8 bytes each (rounded up), with 8 bytes an id. What is added makes a
    small segment; segments are merged when a later one has grown to half of the one before it, so that adding one by
    one costs each code a few copies and not one each time. Removed codes are marked, and left out at the next merge.
    A search sees the index as it was when the search began, also while another thread changes it; only one thread
    may change it at a time.
    """

    def __init__(self, n_bits: int, *, threads: int | None = None, tables: bool = True) -> None:
        check_n_bits(n_bits)
        self._n_bits = int(n_bits)
        self._threads = all_threads() if threads is None else check_at_least("threads", threads, 1)
        self._tables = bool(tables)
        # Replaced as one and never written to: this is what makes searches safe in threads.
        self._segments: Segments = ()

    @classmethod
    def over(
        cls,
        codes: Codes,
        ids: NDArray[np.integer[Any]] | None = None,
        *,
        threads: int | None = None,
        tables: bool = True,
    ) -> Self:
        """An index over codes as they are, without a copy: they may be mapped from a file (np.load, mmap_mode="r").

        ids: (n,) whole numbers; None where code i has id i, which takes no memory. Only where the ids do not ascend
        are the codes copied, in the order of the ids. The codes must not be changed while the index is in use. Raises
        DataError for ids that are not unique or do not fit the codes.
        """
        index = cls(codes.n_bits, threads=threads, tables=tables)
        index._segments = segment_over(codes, ids)
        return index

    @property
    def n_bits(self) -> int:
        """The code length of everything in it."""
        return self._n_bits

    def __len__(self) -> int:
        return sum(len(segment) for segment in self._segments)

    def add(self, codes: Codes, ids: NDArray[np.integer[Any]]) -> None:
        """Take in n codes under n ids; see `Index.add`."""
        check_codes(codes, self._n_bits, "codes")
        self._segments = settled((*self._segments, *new_segment(self._segments, codes, ids)))

    def remove(self, ids: NDArray[np.integer[Any]]) -> None:
        """Take out the codes of these ids; see `Index.remove`."""
        self._segments = settled(without_ids(self._segments, ids))

    def search(self, queries: Codes, k: int, *, where: Where | None = None) -> Hits:
        """The k nearest codes of each query, nearest first, ties by lower id; see `Index.search`."""
        check_codes(queries, self._n_bits, "queries")
        k = check_at_least("k", k, 1)
        return Hits(*search_all(self._segments, queries, k, where, self._threads))

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius, for each query Hits of one row; see `Index.within`."""
        check_codes(queries, self._n_bits, "queries")
        radius = min(check_at_least("radius", radius, 0), self._n_bits)
        return within_all(self._segments, queries, radius, self._threads, tables=self._tables)
