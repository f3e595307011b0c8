"""Single values of a column, read straight from its buffers: Arrow's own scalars take ten times as long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

ValueAt = Callable[[int], Any]  # a row to its value, None where there is none


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a batch, to be read value by value. has_thumbnail: whether a row has a small picture."""

    values: Mapping[str, ValueAt]
    has_thumbnail: Callable[[int], bool]

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> Columns:
        """The columns of a batch that was checked in full."""
        pairs = zip(batch.schema.names, batch.columns, strict=True)
        return cls({name: values_of(column) for name, column in pairs}, held_in(batch.column("thumbnail")))


def values_of(column: pa.Array) -> ValueAt:
    """What gives the value of a row of a column, which must have been checked in full: nothing is checked here."""
    if column.null_count == len(column):
        return lambda row: None
    read = _plain(column)
    if not column.null_count:
        return read
    held = _held(column)
    return lambda row: read(row) if held(row) else None


def held_in(column: pa.Array) -> Callable[[int], bool]:
    """What says whether a row of a column has a value; the values are not looked at."""
    if not column.null_count:
        return lambda row: True
    return (lambda row: False) if column.null_count == len(column) else _held(column)


def _held(column: pa.Array) -> Callable[[int], bool]:
    bits, start = memoryview(column.buffers()[0]).cast("B"), column.offset
    return lambda row: bits[(row + start) >> 3] >> ((row + start) & 7) & 1 == 1


def _plain(column: pa.Array) -> ValueAt:
    """The values of a column as if none were missing."""
    start, end = column.offset, column.offset + len(column)
    if column.type == pa.string() and len(column):
        _, places, content = column.buffers()
        offsets = memoryview(places).cast("B")[: 4 * (end + 1)].cast("i")
        data = memoryview(content if content is not None else b"").cast("B")
        return lambda row: str(data[offsets[row + start] : offsets[row + start + 1]], "utf-8")
    if column.type == pa.int64() and len(column):
        whole = memoryview(column.buffers()[1]).cast("B")[: 8 * end].cast("q")
        return lambda row: whole[row + start]
    if column.type == pa.float64() and len(column):
        real = memoryview(column.buffers()[1]).cast("B")[: 8 * end].cast("d")
        return lambda row: real[row + start]
    if column.type == pa.bool_() and len(column):
        bits = memoryview(column.buffers()[1]).cast("B")
        return lambda row: bits[(row + start) >> 3] >> ((row + start) & 7) & 1 == 1
    return lambda row: column[row].as_py()
