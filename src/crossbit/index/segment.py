"""A run of codes in the order of their ids, which is never written to: what an exact index is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.index.near import NearTables
from crossbit.index.protocol import Ids, check_ids, kept_by, rows_kept_by
from crossbit.kernels import nearest, within

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Segment:
    """packed: (n, bytes) codes, in memory or mapped from a file. ids: (n,) ascending; None where row i has id i.

    present: (n,) which rows have not been removed; None where none was. near: the tables for small radii, which go
    by the codes alone and are made when they pay.
    """

    packed: NDArray[np.uint8]
    ids: Ids | None = None
    present: Flags | None = None
    near: NearTables = field(default_factory=NearTables)

    def __len__(self) -> int:
        """How many codes it holds, removed ones not counted."""
        return len(self.packed) if self.present is None else int(np.count_nonzero(self.present))

    def ids_of(self, rows: NDArray[np.int64]) -> Ids:
        """The ids of some rows."""
        return rows if self.ids is None else self.ids[rows]

    def known(self, ids: Ids) -> Flags:
        """Which of the ids it holds."""
        rows, known = self._rows_of(ids)
        if self.present is not None:
            known[known] = self.present[rows[known]]
        return known

    def without(self, ids: Ids) -> Segment:
        """The same codes less those of these ids, of which some may be elsewhere."""
        rows, known = self._rows_of(ids)
        if not known.any():
            return self
        present = np.ones(len(self.packed), np.bool_) if self.present is None else self.present.copy()
        present[rows[known]] = False
        return replace(self, present=present)

    def rows_left(self) -> tuple[Ids, NDArray[np.uint8]]:
        """Ids and codes of what was not removed."""
        rows = np.arange(len(self.packed)) if self.present is None else np.flatnonzero(self.present)
        return self.ids_of(rows), self.packed if self.present is None else self.packed[rows]

    def kept(self, where: Any) -> Flags | None:
        """Which rows a search looks at: those that a filter keeps and that were not removed; None for all."""
        if where is None:
            return self.present
        kept = rows_kept_by(where, len(self.packed)) if self.ids is None else kept_by(where, self.ids)
        return kept if self.present is None else kept & self.present

    def nearest(self, queries: NDArray[np.uint8], k: int, where: Any, threads: int) -> tuple[Ids, NDArray[np.int32]]:
        """Ids and distances of the k nearest codes of each query that a filter keeps; fewer where there are fewer."""
        rows, distances = nearest(queries, self.packed, k, kept=self.kept(where), threads=threads)
        return self.ids_of(rows), distances

    def within(
        self, queries: NDArray[np.uint8], radius: int, threads: int, *, tables: bool = True
    ) -> tuple[Ids, NDArray[np.int32], NDArray[np.int64]]:
        """Ids and distances of all codes within a radius; query i has [bounds[i] : bounds[i + 1]] of them.

        tables: whether tables of parts may be made, where the radius is small and they pay.
        """
        find = self.near.within if tables else within
        rows, distances, bounds = find(queries, self.packed, radius, kept=self.present, threads=threads)
        return self.ids_of(rows), distances, bounds

    def _rows_of(self, ids: Ids) -> tuple[NDArray[np.int64], Flags]:
        """The row of each id, and whether it stands there; removed rows still count."""
        if self.ids is None:
            return ids, (ids >= 0) & (ids < len(self.packed))
        rows = np.searchsorted(self.ids, ids)
        known = rows < len(self.ids)
        known[known] = self.ids[rows[known]] == ids[known]
        return rows, known


def merged(first: Segment, second: Segment) -> Segment:
    """One segment of what two hold."""
    parts = first.rows_left(), second.rows_left()
    ids, packed = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    return in_order(ids, packed)


def segment_over(codes: Codes, ids: Any) -> tuple[Segment, ...]:
    """Codes as they are in one segment, or none where there are none; see `ExactIndex.over`."""
    if not len(codes):
        return ()
    return (Segment(codes.packed) if ids is None else in_order(check_ids(ids, len(codes)), codes.packed),)


def in_order(ids: Ids, packed: NDArray[np.uint8]) -> Segment:
    """A segment of codes under ids that come in any order."""
    if (ids[1:] < ids[:-1]).any():
        order = np.argsort(ids, kind="stable")
        ids, packed = ids[order], packed[order]
    return Segment(packed, ids)
