"""Many items of a snapshot at once: a look-up a batch of columns, not one for each item and column."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.collection.block import Modality
from crossbit.collection.filters import as_places
from crossbit.collection.ids import Rows
from crossbit.collection.items import FIXED
from crossbit.collection.segment import Segment
from crossbit.collection.snapshot import Item, Snapshot
from crossbit.errors import DataError

_OWN = [name for name in FIXED.names if name != "thumbnail"]


def items_at(snapshot: Snapshot, rows: Rows) -> tuple[list[Item], list[bool]]:
    """The items of some rows, in their order, and which of them have a small picture (that itself is not read).

    Raises DataError for a row that is not there.
    """
    found: list[Item | None] = [None] * len(rows)
    small = [False] * len(rows)
    kinds = snapshot.kinds
    for segment, places, inside in _by_segment(snapshot, rows):
        wanted = [name for name in segment.items.schema.names if name != "thumbnail"]
        absent = dict.fromkeys(name for name in kinds if name not in wanted)
        starts = segment.items.starts
        numbers = np.searchsorted(starts, inside, side="right") - 1
        for number in np.unique(numbers).tolist():
            here = np.flatnonzero(numbers == number)
            at = inside[here] - starts[number]
            batch = segment.items.batch(number)
            valid = _valid(batch.column("thumbnail"), at)
            taken = batch.select(wanted).take(as_places(at)).to_pylist()
            for place, values, has in zip(places[here].tolist(), taken, valid, strict=True):
                own = {name: values.pop(name) for name in _OWN}
                small[place] = has
                metadata = {name: values.get(name) for name in kinds} if absent else values
                found[place] = Item(int(rows[place]), **own, metadata=metadata)
    return [item for item in found if item is not None], small


def codes_at(snapshot: Snapshot, rows: Rows, modality: Modality) -> Codes:
    """The codes of some rows, in their order; all of them must have the modality. Raises DataError otherwise."""
    packed = np.zeros((len(rows), bytes_of(snapshot.n_bits)), np.uint8)
    for segment, places, inside in _by_segment(snapshot, rows):
        held, codes = segment.rows[modality], segment.codes[modality]
        at = inside if held is None else np.searchsorted(held, inside)
        if len(codes) <= int(at.max()) or (held is not None and (held[at] != inside).any()):
            raise DataError(f"An item has no {modality} code.")
        packed[places] = codes[at]
    return Codes(packed, snapshot.n_bits)


def alive_among(snapshot: Snapshot, rows: Rows) -> Rows:
    """Those of some rows that were not removed."""
    kept = np.ones(len(rows), np.bool_)
    numbers = np.searchsorted(snapshot.starts, rows, side="right") - 1
    for number in np.unique(numbers).tolist():
        dead = snapshot.dead[number]
        if dead is not None:
            inside = numbers == number
            kept[inside] = ~dead[rows[inside] - snapshot.starts[number]]
    return rows[kept]


def _by_segment(snapshot: Snapshot, rows: Rows) -> Iterator[tuple[Segment, NDArray[np.int64], Rows]]:
    """For each segment that some rows stand in: the places of these rows in the list, and the rows in the segment."""
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < int(snapshot.starts[-1]):
        raise DataError(f"There are rows 0 to {int(snapshot.starts[-1]) - 1} in the collection; got others.")
    numbers = np.searchsorted(snapshot.starts, rows, side="right") - 1
    for number in np.unique(numbers).tolist():
        places = np.flatnonzero(numbers == number)
        yield snapshot.segments[number], places, rows[places] - snapshot.starts[number]


def _valid(column: pa.Array, rows: Rows) -> list[bool]:
    """Where a column has a value; of its values only the bitmap of the missing ones is looked at."""
    if column.null_count in (0, len(column)):
        return [column.null_count == 0] * len(rows)
    flags: list[bool] = column.is_valid().to_numpy(zero_copy_only=False)[rows].tolist()
    return flags
