"""Values read from a column's buffers are those that Arrow gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from crossbit.collection import Collection
from crossbit.collection.gather import items_at
from crossbit.collection.values import Columns, held_in, values_of
from crossbit.errors import DataError
from small_collections import add, hasher_of

COLUMNS = [
    pa.array(["", "a", None, "ä€𝄞", "x" * 300, None, "end"]),
    pa.array([0, -(2**63), None, 2**63 - 1, 7, 8, 9], pa.int64()),
    pa.array([0.0, -1.5, None, float("inf"), 1e-300, 5.0, None]),
    pa.array([True, False, None, True, True, None, False]),
    pa.array([True, False] * 20),
    pa.array(["no", "nulls", "here"]),
    pa.array([None, None], pa.string()),
    pa.array([None, None], pa.null()),
    pa.array([b"", b"\x00\xff", None], pa.large_binary()),
    pa.array([], pa.string()),
]


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: str(column.type))
def test_values_are_those_of_arrow_also_in_slices(column: Any) -> None:
    for start in range(len(column) + 1):
        for stop in range(start, len(column) + 1):
            part = column[start:stop]
            expected = part.to_pylist()
            read, held = values_of(part), held_in(part)
            assert [read(row) for row in range(len(part))] == expected
            assert [held(row) for row in range(len(part))] == [value is not None for value in expected]
            assert [type(read(row)) for row in range(len(part))] == [type(value) for value in expected]


def test_a_batch_is_read_by_the_names_of_its_columns() -> None:
    batch = pa.record_batch({"id": ["a", "b"], "thumbnail": pa.array([None, b"x"], pa.large_binary()), "n": [1, None]})
    columns = Columns.of(batch)
    assert [{name: read(row) for name, read in columns.values.items()} for row in (0, 1)] == batch.to_pylist()
    assert [columns.has_thumbnail(row) for row in (0, 1)] == [False, True]


def test_items_of_several_segments_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    place = Collection.create(tmp_path / "c", hasher_of())
    for part in range(3):
        add(place, [f"{part}-{row}" for row in range(4)], year=None if part == 1 else part)
        if part == 0:
            place.compact()
    rows = np.array([11, 0, 5, 5, 3])
    items, small = items_at(place.snapshot, rows)
    assert items == [place.snapshot.item(int(row)) for row in rows]
    assert [item.id for item in items] == ["2-3", "0-0", "1-1", "1-1", "0-3"]
    assert [item.metadata["year"] for item in items] == [2, 0, None, None, 0]
    assert small == [False] * 5
    for wrong in (-1, 12):
        with pytest.raises(DataError, match="rows 0 to 11"):
            items_at(place.snapshot, np.array([wrong]))
