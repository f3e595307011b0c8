"""Many items of a snapshot at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.collection.block import Modality
from crossbit.collection.conditions import Plain
from crossbit.collection.ids import Rows
from crossbit.collection.items import FIXED
from crossbit.collection.segment import Segment
from crossbit.collection.snapshot import Item, Snapshot
from crossbit.collection.values import Columns
from crossbit.errors import DataError

_NO_SUCH_ROW = "There are rows 0 to {} in the collection; got others."
_OWN = [name for name in FIXED.names if name != "thumbnail"]


def columns_at(snapshot: Snapshot, rows: Rows) -> Iterator[tuple[int, Columns, int]]:
    """Some rows in their order, each with the columns that it stands in and its place in them.

    Raises DataError for a row that is not there.
    """
    starts: list[int] = snapshot.starts.tolist()
    for row in rows.tolist():
        if not 0 <= row < starts[-1]:
            raise DataError(_NO_SUCH_ROW.format(starts[-1] - 1))
        number = bisect_right(starts, row) - 1
        columns, place = snapshot.segments[number].items.at(row - starts[number])
        yield row, columns, place


def items_at(snapshot: Snapshot, rows: Rows) -> tuple[list[Item], list[bool]]:
    """The items of some rows, in their order, and which of them have a small picture (that itself is not read).

    Raises DataError for a row that is not there.
    """
    found, small = [], []
    for row, columns, place in columns_at(snapshot, rows):
        own = {name: columns.values[name](place) for name in _OWN}
        found.append(Item(row, **own, metadata=metadata_at(snapshot, columns, place)))
        small.append(columns.has_thumbnail(place))
    return found, small


def metadata_at(snapshot: Snapshot, columns: Columns, place: int) -> dict[str, Plain]:
    """The values of all metadata columns of the snapshot; None where a row has none, or its batch no such column."""
    values = columns.values
    return {name: values[name](place) if name in values else None for name in snapshot.kinds}


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
        raise DataError(_NO_SUCH_ROW.format(int(snapshot.starts[-1]) - 1))
    numbers = np.searchsorted(snapshot.starts, rows, side="right") - 1
    for number in np.unique(numbers).tolist():
        places = np.flatnonzero(numbers == number)
        yield snapshot.segments[number], places, rows[places] - snapshot.starts[number]
