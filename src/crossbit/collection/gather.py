"""Many items of a snapshot at once: a look-up a batch of columns, not one for each item and column."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.collection.block import Kept, Modality
from crossbit.collection.ids import Rows
from crossbit.collection.items import FIXED
from crossbit.collection.segment import Segment
from crossbit.collection.snapshot import Item, Snapshot
from crossbit.errors import DataError


def items_at(snapshot: Snapshot, rows: Rows) -> list[Item]:
    """The items of some rows, in their order; raises DataError for a row that is not there."""
    found: list[Item | None] = [None] * len(rows)
    fixed = [name for name in FIXED.names if name != "thumbnail"]
    for segment, places, inside in _by_segment(snapshot, rows):
        columns = {name: segment.items.take(name, inside).to_pylist() for name in fixed}
        further = {
            name: segment.items.take(name, inside).to_pylist()
            for name in snapshot.kinds
            if segment.items.schema.get_field_index(name) >= 0
        }
        for number, place in enumerate(places.tolist()):
            metadata = {name: further[name][number] if name in further else None for name in snapshot.kinds}
            own = {name: values[number] for name, values in columns.items()}
            found[place] = Item(int(rows[place]), **own, metadata=metadata)
    return [item for item in found if item is not None]


def with_thumbnail(snapshot: Snapshot, rows: Rows) -> Kept:
    """Which of some rows have a small picture, (n,) bool; the pictures themselves are not read."""
    found = np.zeros(len(rows), np.bool_)
    for segment, places, inside in _by_segment(snapshot, rows):
        found[places] = _valid(segment, "thumbnail", inside)
    return found


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


def _valid(segment: Segment, column: str, rows: Rows) -> Kept:
    """Where a column has a value; of its values only the bitmap of the missing ones is looked at."""
    valid = np.zeros(len(rows), np.bool_)
    is_valid: Callable[[pa.Array], pa.Array] = pc.is_valid
    for start, number in _batches_of(segment, rows):
        batch = segment.items.batch(number)
        inside = (rows >= start) & (rows < start + batch.num_rows)
        flags = is_valid(batch.column(column)).to_numpy(zero_copy_only=False)
        valid[inside] = flags[rows[inside] - start]
    return valid


def _batches_of(segment: Segment, rows: Rows) -> Iterator[tuple[int, int]]:
    """The batches that some rows stand in, each as its first row and its number."""
    starts = segment.items.starts
    for number in np.unique(np.searchsorted(starts, rows, side="right") - 1).tolist():
        yield int(starts[number]), number
