"""Parquet files, and the Arrow files of a `datasets` folder: tables that know the types of their columns."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crossbit.errors import DataError, FileFormatError
from crossbit.sources.table import Row, Unreadable

_ROWS = 64  # turned into Python values at once: pictures are large


def picture_columns(schema: pa.Schema) -> tuple[str, ...]:
    """The columns that hold pictures by their type: a record of bytes and path (`datasets`), or bytes."""
    records = [f.name for f in schema if pa.types.is_struct(f.type) and {"bytes", "path"} <= {g.name for g in f.type}]
    contents = [f.name for f in schema if pa.types.is_binary(f.type) or pa.types.is_large_binary(f.type)]
    return (*records, *contents)


@dataclass(frozen=True)
class ParquetTable:
    """Parquet files with the same columns, one after the other."""

    files: tuple[Path, ...]
    schema: pa.Schema

    @classmethod
    def open(cls, files: Sequence[Path]) -> ParquetTable:
        """Read the schemas; raises FileFormatError for a damaged file, DataError where columns differ."""
        schemas = [_parquet(path).schema_arrow for path in files]
        for path, schema in zip(files, schemas, strict=True):
            if schema.names != schemas[0].names:
                differ = sorted(set(schema.names) ^ set(schemas[0].names))
                raise DataError(f"{path} has other columns than {files[0]}: they differ in {', '.join(differ)}.")
        return cls(tuple(files), schemas[0])

    @property
    def kind(self) -> str:
        """Parquet, and how many files."""
        return "Parquet file" if len(self.files) == 1 else f"{len(self.files)} Parquet files"

    def rows(self, start: int = 0, only: Collection[str] | None = None) -> Iterator[Row]:
        """The rows; row groups that lie wholly before `start` are not read."""
        wanted = None if only is None else [name for name in self.schema.names if name in only]
        for path in self.files:
            file = _parquet(path)
            for group in range(file.num_row_groups):
                n = file.metadata.row_group(group).num_rows
                if start < n:
                    yield from islice(_group_rows(path, file, group, wanted), start, None)
                start = max(0, start - n)


def _group_rows(path: Path, file: pq.ParquetFile, group: int, wanted: list[str] | None) -> Iterator[Row]:
    """The rows of a row group: as many as it should have, those that are lost as rows that cannot be read."""
    done = 0
    try:
        for batch in file.iter_batches(_ROWS, row_groups=[group], columns=wanted):
            yield from batch_rows(batch)
            done += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        lost = Unreadable(f"{path.name} is damaged in row group {group} ({_plain(error)})")
        yield from (lost for _ in range(done, file.metadata.row_group(group).num_rows))


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} is not a whole Parquet file ({_plain(error)}); restore a copy.") from error


def batch_rows(batch: pa.RecordBatch, start: int = 0) -> Iterator[Row]:
    """The rows of a batch; one that cannot be made into Python values is a row that cannot be read."""
    if batch.num_columns == 0:
        yield from ({} for _ in range(start, batch.num_rows))
        return
    for first in range(start, batch.num_rows, _ROWS):
        part = batch.slice(first, min(_ROWS, batch.num_rows - first))
        try:
            yield from part.to_pylist()
        except (UnicodeDecodeError, ValueError, OverflowError):
            yield from (_row_alone(part.slice(number, 1)) for number in range(part.num_rows))


def _row_alone(row: pa.RecordBatch) -> Row:
    try:
        (value,) = row.to_pylist()
    except UnicodeDecodeError as error:
        return Unreadable(f"its text is no UTF-8 ({error.reason} at byte {error.start})")
    except (ValueError, OverflowError) as error:
        return Unreadable(f"the row cannot be read ({_plain(error)})")
    return dict(value)


@dataclass(frozen=True)
class ArrowTable:
    """The Arrow files of folders that `Dataset.save_to_disk` wrote. parts: names of splits and their files.

    classes: names of classes by column, which stand in the rows instead of their numbers.
    """

    parts: tuple[tuple[str, Path], ...]
    schema: pa.Schema
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """A folder of `datasets`, and its splits where it has several."""
        splits = ", ".join(dict.fromkeys(split for split, _ in self.parts if split))
        return f"datasets folder ({splits})" if splits else "datasets folder"

    @property
    def files(self) -> tuple[Path, ...]:
        """The Arrow files."""
        return tuple(path for _, path in self.parts)

    def rows(self, start: int = 0, only: Collection[str] | None = None) -> Iterator[Row]:
        """The rows of all splits, with a column `split` where there are several."""
        for split, path in self.parts:
            try:
                for batch in arrow_batches(path):
                    if batch.num_rows <= start:
                        start -= batch.num_rows
                        continue
                    chosen = batch if only is None else batch.select([n for n in batch.schema.names if n in only])
                    for row in _sound_rows(chosen, start):
                        yield self._named(row, split)
                    start = 0
            except (pa.ArrowException, OSError) as error:
                yield Unreadable(f"{path.name} is damaged: what follows cannot be read ({_plain(error)})")

    def _named(self, row: Row, split: str) -> Row:
        if isinstance(row, Unreadable):
            return row
        named = dict(row)
        for column, names in self.classes.items():
            number = named.get(column)
            if isinstance(number, int) and 0 <= number < len(names):
                named[column] = names[number]
        return named | {"split": split} if split else named


def arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow file, of the stream or of the file format, mapped and not loaded."""
    with pa.memory_map(str(path)) as mapped:
        if path.stat().st_size >= 6 and mapped.read(6) == b"ARROW1":
            reader = pa.ipc.open_file(mapped)
            yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
        else:
            mapped.seek(0)
            yield from pa.ipc.open_stream(mapped)


def _sound_rows(batch: pa.RecordBatch, start: int) -> Iterator[Row]:
    """The rows of a batch whose offsets were checked: an altered file must not lead to memory that is not its own."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        for number in range(start, batch.num_rows):
            row = batch.slice(number, 1)
            try:
                row.validate(full=True)
            except pa.ArrowInvalid as error:
                yield Unreadable(f"the row is damaged or no UTF-8 ({_plain(error)})")
            else:
                yield _row_alone(row)
        return
    yield from batch_rows(batch, start)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a `datasets` folder; raises FileFormatError where the file holds none."""
    try:
        if path.stat().st_size > 1 << 26:
            raise FileFormatError(f"{path} is larger than a description of a data set can be.")
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} is not whole ({error}); save the data set again.") from error
    if not isinstance(value, dict):
        raise FileFormatError(f"{path} holds no JSON object; save the data set again.")
    return value


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
