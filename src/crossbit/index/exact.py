"""Exact search: every code is compared with every query."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of, check_n_bits
from crossbit.errors import DataError
from crossbit.index.protocol import Hits, Where, check_at_least, check_codes, check_ids, some_ids
from crossbit.index.segment import Segment, in_order, merged
from crossbit.kernels import all_threads

_MOST_REMOVED = 0.25  # the share of a segment's rows that may be removed ones before it is written anew


class ExactIndex:
    """An index that compares all codes, so that its hits are right by definition. See `Index`.

    n_bits: the code length, 1 to 4096. threads: how many a search may use; None for as many as there are processors.

    The codes stand in segments, packed, n_bits / 8 bytes each (rounded up), with 8 bytes an id. What is added makes a
    small segment; segments are merged when a later one has grown to half of the one before it, so that adding one by
    one costs each code a few copies and not one each time. Removed codes are marked, and left out at the next merge.
    A search sees the index as it was when the search began, also while another thread changes it; only one thread
    may change it at a time.
    """

    def __init__(self, n_bits: int, *, threads: int | None = None) -> None:
        check_n_bits(n_bits)
        self._n_bits = int(n_bits)
        self._threads = all_threads() if threads is None else check_at_least("threads", threads, 1)
        # Replaced as one and never written to: this is what makes searches safe in threads.
        self._segments: tuple[Segment, ...] = ()

    @classmethod
    def over(cls, codes: Codes, ids: NDArray[np.integer[Any]] | None = None, *, threads: int | None = None) -> Self:
        """An index over codes as they are, without a copy: they may be mapped from a file (np.load, mmap_mode="r").

        ids: (n,) whole numbers; None where code i has id i, which takes no memory. Only where the ids do not ascend
        are the codes copied, in the order of the ids. The codes must not be changed while the index is in use. Raises
        DataError for ids that are not unique or do not fit the codes.
        """
        index = cls(codes.n_bits, threads=threads)
        if len(codes):
            own = Segment(codes.packed) if ids is None else in_order(check_ids(ids, len(codes)), codes.packed)
            index._segments = (own,)
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
        new = check_ids(ids, len(codes))
        for segment in self._segments:
            known = segment.known(new)
            if known.any():
                raise DataError(f"Ids that are in the index already: {some_ids(new[known])}. Remove them first.")
        if len(new):
            self._segments = _settled((*self._segments, in_order(new, codes.packed.copy())))

    def remove(self, ids: NDArray[np.integer[Any]]) -> None:
        """Take out the codes of these ids; see `Index.remove`."""
        gone = check_ids(ids)
        known = np.zeros(len(gone), dtype=np.bool_)
        for segment in self._segments:
            known |= segment.known(gone)
        if not known.all():
            raise DataError(f"Ids that are not in the index: {some_ids(gone[~known])}. Nothing was removed.")
        self._segments = _settled(tuple(segment.without(gone) for segment in self._segments))

    def search(self, queries: Codes, k: int, *, where: Where | None = None) -> Hits:
        """The k nearest codes of each query, nearest first, ties by lower id; see `Index.search`."""
        check_codes(queries, self._n_bits, "queries")
        k = check_at_least("k", k, 1)
        segments = self._segments or (_nothing(self._n_bits),)
        found = [segment.nearest(queries.packed, k, where, self._threads) for segment in segments]
        if len(found) == 1:
            return Hits(*found[0])
        ids, distances = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
        order = np.lexsort((ids, distances), axis=1)[:, :k]
        return Hits(np.take_along_axis(ids, order, axis=1), np.take_along_axis(distances, order, axis=1))

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius, for each query Hits of one row; see `Index.within`."""
        check_codes(queries, self._n_bits, "queries")
        radius = min(check_at_least("radius", radius, 0), self._n_bits)
        segments = self._segments or (_nothing(self._n_bits),)
        found = [_rows_of_hits(*segment.within(queries.packed, radius, self._threads)) for segment in segments]
        return found[0] if len(found) == 1 else [_joined(parts) for parts in zip(*found, strict=True)]


def _settled(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """The segments after merging what is due: each is then more than twice as long as the next."""
    kept = [_written_anew(segment) for segment in segments if len(segment)]
    while len(kept) > 1 and 2 * len(kept[-1].packed) >= len(kept[-2].packed):
        second, first = kept.pop(), kept.pop()
        kept.append(merged(first, second))
    return tuple(kept)


def _written_anew(segment: Segment) -> Segment:
    """The segment, or one without the removed rows where these have become many."""
    if len(segment) >= (1 - _MOST_REMOVED) * len(segment.packed):
        return segment
    ids, packed = segment.rows_left()
    return Segment(packed, ids)


def _nothing(n_bits: int) -> Segment:
    return Segment(np.empty((0, bytes_of(n_bits)), np.uint8))


def _rows_of_hits(ids: NDArray[np.int64], distances: NDArray[np.int32], bounds: NDArray[np.int64]) -> list[Hits]:
    return [Hits(ids[start:stop][None], distances[start:stop][None]) for start, stop in pairwise(bounds)]


def _joined(parts: tuple[Hits, ...]) -> Hits:
    """The hits of one query from several segments as one row."""
    ids = np.concatenate([part.ids[0] for part in parts])
    distances = np.concatenate([part.distances[0] for part in parts])
    order = np.lexsort((ids, distances))
    return Hits(ids[order][None], distances[order][None])
