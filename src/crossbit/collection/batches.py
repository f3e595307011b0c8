"""The items of a segment as batches of columns: mapped from disk, read and checked when first asked for."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crossbit.collection.filters import KINDS, as_places
from crossbit.collection.items import BATCH, FIXED
from crossbit.collection.values import Columns
from crossbit.errors import FileFormatError


class Batches:
    """n rows of columns in batches. A batch from disk is checked in full (offsets, UTF-8) before it is first used.

    So a damaged file cannot lead a read outside the file, and opening reads nothing but the file's end.
    """

    def __init__(self, schema: pa.Schema, lengths: Sequence[int], load: Callable[[int], pa.RecordBatch]) -> None:
        self.schema = schema
        self.starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
        self._load = load
        self._edges: list[int] = self.starts.tolist()
        self._held: list[pa.RecordBatch | None] = [None] * len(lengths)
        self._columns: list[Columns | None] = [None] * len(lengths)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> Batches:
        """Batches that are in memory."""
        return cls(schema, [batch.num_rows for batch in batches], lambda number: batches[number])

    @classmethod
    def open(cls, path: Path, n: int) -> Batches:
        """Map an Arrow file of n rows; raises FileFormatError, naming the file, where it is not such a file."""
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path)))
            schema = reader.schema
            fits = pa.schema(list(schema)[: len(FIXED)]).equals(FIXED) and len(set(schema.names)) == len(schema)
            fits &= all(field.type in KINDS for field in list(schema)[len(FIXED) :])
            fits &= reader.num_record_batches == -(-n // BATCH)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FileFormatError(f"{path} cannot be read: {error}. {WHAT_TO_DO}") from error
        if not fits:
            raise FileFormatError(f"{path} does not hold the {n} items of a collection. {WHAT_TO_DO}")

        lengths = [min(BATCH, n - start) for start in range(0, n, BATCH)]

        def load(number: int) -> pa.RecordBatch:
            try:
                batch = reader.get_batch(number)
                batch.validate(full=True)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise FileFormatError(f"{path} is damaged: {error}. {WHAT_TO_DO}") from error
            if batch.num_rows != lengths[number]:
                raise FileFormatError(f"{path} is damaged: its batch {number} has {batch.num_rows} rows. {WHAT_TO_DO}")
            return batch

        return cls(schema, lengths, load)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __iter__(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Each batch with the row that it starts at."""
        for number in range(len(self._held)):
            yield int(self.starts[number]), self.batch(number)

    def batch(self, number: int) -> pa.RecordBatch:
        """One batch."""
        held = self._held[number]
        if held is None:
            with self._lock:  # Arrow's reader is for one thread at a time
                held = self._held[number]
                if held is None:
                    held = self._held[number] = self._load(number)
        return held

    def at(self, row: int) -> tuple[Columns, int]:
        """Where a row stands: the columns of its batch, and its place in them."""
        number = bisect_right(self._edges, row) - 1
        columns = self._columns[number]
        if columns is None:
            columns = self._columns[number] = Columns.of(self.batch(number))
        return columns, row - self._edges[number]

    def value(self, column: str, row: int) -> Any:
        """One value; None where there is none, also where there is no such column."""
        columns, place = self.at(row)
        read = columns.values.get(column)
        return None if read is None else read(place)

    def take(self, column: str, rows: NDArray[np.integer[Any]]) -> pa.Array:
        """The values of some rows of a column, in their order."""
        numbers = np.searchsorted(self.starts, rows, side="right") - 1
        order = np.argsort(numbers, kind="stable")
        parts = []
        for number in np.unique(numbers):
            inside = rows[order[numbers[order] == number]] - self.starts[number]
            parts.append(self.batch(int(number)).column(column).take(as_places(inside)))
        if not parts:
            return pa.nulls(0, self.schema.field(column).type)
        back = np.empty(len(rows), np.int64)
        back[order] = np.arange(len(rows))
        return pa.concat_arrays(parts).take(as_places(back))


WHAT_TO_DO = "Look with  crossbit check  and mend with  crossbit check --repair, or restore a copy."
