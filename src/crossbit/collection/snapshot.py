"""A collection at one moment: what its items are, where they stand, which of them are nearest to a query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.collection.block import MODALITIES, Kept, Modality
from crossbit.collection.conditions import Column, Plain
from crossbit.collection.engines import BuiltEngine, EngineName
from crossbit.collection.filters import as_mask, batch_column, kept_rows
from crossbit.collection.ids import Rows, hash_ids, id_column
from crossbit.collection.items import FIXED, metadata_kinds
from crossbit.collection.segment import Segment
from crossbit.collection.where import parse_where
from crossbit.errors import DataError, SettingsError
from crossbit.index import Hits

_OWN_KINDS = {"id": "text", "caption": "text", "picture": "text", "has_image": "boolean", "has_text": "boolean"}
_FILTERS = 8  # filters whose rows are kept at hand


@dataclass(frozen=True)
class Item:
    """An item. row: its place in the snapshot. picture: path or address, or "". metadata: its further columns."""

    row: int
    id: str
    caption: str
    picture: str
    has_image: bool
    has_text: bool
    metadata: Mapping[str, Plain]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The items of a collection at one moment; never changes, and may be read from many threads.

    segments: one after another they are the rows 0, 1, ... dead: by segment, which of its rows are removed, or None.
    """

    n_bits: int
    segments: tuple[Segment, ...]
    dead: tuple[Kept | None, ...]
    _filters: dict[str, tuple[Kept, ...]] = field(default_factory=dict)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The row at which each segment begins, and the row after the last."""
        return np.concatenate([[0], np.cumsum([len(segment) for segment in self.segments])]).astype(np.int64)

    @cached_property
    def _size(self) -> int:
        gone = sum(int(dead.sum()) for dead in self.dead if dead is not None)
        return int(self.starts[-1]) - gone

    @cached_property
    def _alive(self) -> tuple[Kept | None, ...]:
        return tuple(None if dead is None else ~dead for dead in self.dead)

    def __len__(self) -> int:
        return self._size

    @cached_property
    def kinds(self) -> dict[str, str]:
        """The metadata columns, by name: text, integer, real or boolean."""
        kinds: dict[str, str] = {}
        for segment in self.segments:
            kinds |= metadata_kinds(segment.items.schema)
        return kinds

    @cached_property
    def _counts(self) -> dict[Modality, int]:
        pairs = list(zip(self.segments, self.dead, strict=True))
        return {modality: sum(segment.count(modality, dead) for segment, dead in pairs) for modality in MODALITIES}

    def count(self, modality: Modality) -> int:
        """How many items have a modality."""
        return self._counts[modality]

    def rows_with(self, modality: Modality) -> Rows:
        """The rows of the items that have a modality."""
        triples = zip(self.segments, self.dead, self.starts, strict=False)
        parts = [segment.kept_codes(modality, dead)[0] + start for segment, dead, start in triples]
        return np.concatenate([np.empty(0, np.int64), *parts])

    def codes(self, modality: Modality) -> Codes:
        """The codes of the items that have a modality, in the order of `rows_with`; a copy in memory."""
        pairs = zip(self.segments, self.dead, strict=True)
        parts = [segment.kept_codes(modality, dead)[1] for segment, dead in pairs]
        return Codes(np.concatenate([np.empty((0, bytes_of(self.n_bits)), np.uint8), *parts]), self.n_bits)

    def place(self, row: int) -> tuple[Segment, int]:
        """The segment of a row and the row within it."""
        if not 0 <= row < self.starts[-1]:
            raise DataError(f"There is no row {row} in the collection; it has rows 0 to {int(self.starts[-1]) - 1}.")
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.segments[number], row - int(self.starts[number])

    def find(self, names: pa.Array) -> Rows:
        """The rows of the items with these ids (n,), -1 where there is none."""
        found = np.full(len(names), -1, np.int64)
        hashes = hash_ids(names)
        for number, segment in enumerate(self.segments):
            rows = segment.find(names, hashes, self.dead[number])
            found = np.where(rows >= 0, rows + self.starts[number], found)
        return found

    def row_of(self, item_id: str) -> int:
        """The row of an item by its id; raises DataError when there is none."""
        row = int(self.find(id_column([item_id]))[0])
        if row < 0:
            first = next(self.ids(), None)
            hint = "it is empty" if first is None else f"the first is {first!r}"
            raise DataError(f"There is no item {item_id!r} in the collection; {hint}.")
        return row

    def ids(self) -> Iterator[str]:
        """The ids of all items, in the order of their rows."""
        for segment, dead in zip(self.segments, self.dead, strict=True):
            for start, batch in segment.items:
                column = batch.column("id")
                if dead is not None:
                    column = column.filter(as_mask(~dead[start : start + batch.num_rows]))
                yield from column.to_pylist()

    def ids_where(self, where: str) -> list[str]:
        """The ids of the items that a filter keeps, in the order of their rows; raises SettingsError."""
        found: list[str] = []
        for segment, kept, alive in zip(self.segments, self.kept(where), self._alive, strict=True):
            rows = np.flatnonzero(kept if alive is None else kept & alive)
            found += segment.items.take("id", rows).to_pylist()
        return found

    def item(self, row: int) -> Item:
        """The item of a row."""
        segment, place = self.place(row)
        fixed = {name: segment.items.value(name, place) for name in FIXED.names if name != "thumbnail"}
        metadata = {name: segment.items.value(name, place) for name in self.kinds}
        return Item(row, **fixed, metadata=metadata)

    def thumbnail(self, row: int) -> bytes | None:
        """The bytes of an item's small picture, if it has one."""
        segment, place = self.place(row)
        value: bytes | None = segment.items.value("thumbnail", place)
        return value

    def code(self, row: int, modality: Modality) -> Codes | None:
        """The (1, n_bits) code of an item, or None where it lacks the modality."""
        segment, place = self.place(row)
        packed = segment.code(modality, place)
        return None if packed is None else Codes(packed, self.n_bits)

    def kept(self, where: str) -> tuple[Kept, ...]:
        """By segment, the rows that a filter keeps (removed ones may be among them); raises SettingsError."""
        held = self._filters.get(where)
        if held is not None:
            return held
        condition = parse_where(where, _OWN_KINDS | self.kinds)
        masks = []
        for segment in self.segments:
            parts = [kept_rows(condition, batch) for _, batch in segment.items]
            masks.append(np.concatenate([np.empty(0, np.bool_), *parts]))
        if len(self._filters) >= _FILTERS:
            self._filters.pop(next(iter(self._filters)), None)
        self._filters[where] = tuple(masks)
        return self._filters[where]

    def count_kept(self, where: str | None) -> int:
        """How many items a filter keeps; all of them for None."""
        if where is None:
            return len(self)
        pairs = zip(self.kept(where), self.dead, strict=True)
        return sum(int((kept if dead is None else kept & ~dead).sum()) for kept, dead in pairs)

    def engines(self) -> tuple[BuiltEngine, ...]:
        """What searches the codes, by segment and modality; segment "" is what stands in the log."""
        return tuple(
            segment.engine(modality)
            for segment in self.segments
            for modality in MODALITIES
            if len(segment.codes[modality])
        )

    def search(
        self, queries: Codes, k: int, modality: Modality, where: str | None = None, engine: EngineName = "auto"
    ) -> Hits:
        """The rows of the k nearest items that a filter keeps, nearest first, ties by row; see `Index.search`.

        engine: "auto" for those that are kept; another name for that one alone, or a full comparison where it is not.
        """
        masks = None if where is None else self.kept(where)
        ids, distances = [np.empty((len(queries), 0), np.int64)], [np.empty((len(queries), 0), np.int32)]
        for number, segment in enumerate(self.segments):
            if not len(segment.codes[modality]):
                continue
            alive = self._alive[number]
            mask = None if masks is None else masks[number]
            if alive is not None:
                mask = alive if mask is None else mask & alive
            hits = segment.index(modality, engine).search(queries, k, where=mask)
            ids.append(hits.ids + self.starts[number])
            distances.append(hits.distances)
        if len(ids) == 2:
            return Hits(ids[1], distances[1])
        all_ids, all_distances = np.concatenate(ids, axis=1), np.concatenate(distances, axis=1)
        # The parts come in the order of their rows, so a stable sort by distance leaves ties in that order.
        order = np.argsort(all_distances, axis=1, kind="stable")[:, :k]
        return Hits(np.take_along_axis(all_ids, order, axis=1), np.take_along_axis(all_distances, order, axis=1))

    def facets(self, column: str, where: str | None, limit: int) -> dict[Plain, int]:
        """The values of a column with how many items have each, most frequent first; see `Collection.facets`."""
        kinds = _OWN_KINDS | self.kinds
        if column not in kinds:
            raise SettingsError(f"There is no column {column!r}; there are {', '.join(sorted(kinds))}.")
        masks = None if where is None else self.kept(where)
        counted: dict[Plain, int] = {}
        for number, segment in enumerate(self.segments):
            dead = self.dead[number]
            for start, batch in segment.items:
                inside = slice(start, start + batch.num_rows)
                kept = np.ones(batch.num_rows, np.bool_) if dead is None else ~dead[inside]
                if masks is not None:
                    kept &= masks[number][inside]
                values = batch_column(batch, Column(column, kinds[column])).filter(as_mask(kept))
                for pair in pc.value_counts(values).to_pylist():
                    counted[pair["values"]] = counted.get(pair["values"], 0) + pair["counts"]
        ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0] is None, str(pair[0])))
        return dict(ranked[:limit])

    def without(self, rows: Rows) -> Snapshot:
        """This snapshot with these rows removed."""
        dead = list(self.dead)
        numbers = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(numbers).tolist():
            held = dead[number]
            mask = np.zeros(len(self.segments[number]), np.bool_) if held is None else held.copy()
            mask[rows[numbers == number] - self.starts[number]] = True
            dead[number] = mask
        return Snapshot(self.n_bits, self.segments, tuple(dead))

    def with_last(self, segment: Segment) -> Snapshot:
        """This snapshot with its last segment replaced by one that begins with the same rows."""
        dead = self.dead[-1]
        if dead is not None:
            dead = np.concatenate([dead, np.zeros(len(segment) - len(dead), np.bool_)])
        return Snapshot(self.n_bits, (*self.segments[:-1], segment), (*self.dead[:-1], dead))
