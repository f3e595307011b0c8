"""The items given to a collection: their ids, captions, pictures and further columns, checked and made columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crossbit.collection.block import Kept, Modality
from crossbit.collection.filters import KINDS
from crossbit.errors import DataError

BATCH = 16_384  # rows of a stored batch; every one but a segment's last has exactly so many
LONGEST_TEXT = 30_000  # characters: a batch of them stays below Arrow's 2 GiB
LONGEST_ID = 1_000
LONGEST_NAME = 200  # characters of a column's name
MOST_COLUMNS = 200

FIXED = pa.schema(
    [
        ("id", pa.string()),
        ("caption", pa.string()),
        ("picture", pa.string()),
        ("has_image", pa.bool_()),
        ("has_text", pa.bool_()),
        ("thumbnail", pa.large_binary()),
    ]
)
"""The columns that every collection has; metadata columns follow them."""

OWN_COLUMNS = frozenset(FIXED.names)
"""Names that no metadata column may have."""

Thumbnail = Callable[[int], bytes | None]
"""Gives the bytes of a small picture (PNG, JPEG or WebP) of an item by its row, or None."""


@dataclass(frozen=True)
class Items:
    """What a collection's items are called; row i of everything belongs to item i.

    ids: n different strings of 1 to 1,000 characters. captions: n texts of at most 30,000 characters, "" where an
    item has none. pictures: n paths or addresses of the pictures, "" where unknown; leave it out where there are none.
    thumbnail: gives a small picture by row. metadata: further columns by name, each of n values that are all text,
    whole numbers (64 bits), real numbers or booleans; None where an item has no value.
    """

    ids: Sequence[str]
    captions: Sequence[str]
    pictures: Sequence[str] = ()
    thumbnail: Thumbnail | None = None
    metadata: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.ids)
        if n == 0:
            raise DataError("There are no items; a collection needs at least one.")
        if len(self.captions) != n or (len(self.pictures) not in (0, n)):
            raise DataError(
                f"Items need one id, caption and picture each; got {n} ids, {len(self.captions)} captions and "
                f"{len(self.pictures)} pictures."
            )
        if len(set(self.ids)) != n:
            twice = next(name for name, times in Counter(self.ids).items() if times > 1)
            raise DataError(f"Item ids must differ; {twice!r} is given twice.")
        _check_names(self.metadata)
        for name, values in self.metadata.items():
            if len(values) != n:
                raise DataError(f"The metadata column {name!r} has {len(values)} values for {n} items.")

    def __len__(self) -> int:
        return len(self.ids)


def _check_names(metadata: Mapping[str, Sequence[Any]]) -> None:
    if len(metadata) > MOST_COLUMNS:
        raise DataError(f"A collection has at most {MOST_COLUMNS} metadata columns; got {len(metadata)}.")
    for name in metadata:
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            raise DataError(f"A metadata column's name is text of 1 to {LONGEST_NAME} characters; got {name!r}.")
        if name in OWN_COLUMNS:
            raise DataError(f"Every item has its own {name!r}; give the metadata column another name.")


def item_batches(
    items: Items, present: Mapping[Modality, Kept], kinds: Mapping[str, str], size: int = BATCH
) -> Iterator[pa.RecordBatch]:
    """The items as batches of columns, `size` rows each, made when asked for, so that pictures need not all fit.

    present: by modality, which items have a code. kinds: of the metadata columns that are known already.

    Raises DataError for ids and texts that cannot be stored, and columns of another or of mixed kinds.
    """
    given = {name: metadata_column(name, values, kinds.get(name)) for name, values in items.metadata.items()}
    columns: dict[str, Any] = {name: column for name, column in given.items() if column is not None}
    schema = pa.schema([*FIXED, *((name, column.type) for name, column in columns.items())])
    for start in range(0, len(items), size):
        stop = min(start + size, len(items))
        arrays = [
            _texts("id", items.ids[start:stop], 1, LONGEST_ID),
            _texts("caption", items.captions[start:stop], 0, LONGEST_TEXT),
            _texts("picture", items.pictures[start:stop] if items.pictures else [""] * (stop - start), 0, LONGEST_TEXT),
            pa.array(present["image"][start:stop]),
            pa.array(present["text"][start:stop]),
            pa.array([items.thumbnail(row) for row in range(start, stop)], pa.large_binary())
            if items.thumbnail
            else pa.nulls(stop - start, pa.large_binary()),
        ]
        parts = [_whole(column.slice(start, stop - start)) for column in columns.values()]
        yield pa.RecordBatch.from_arrays([*arrays, *parts], schema=schema)


def _texts(name: str, values: Sequence[Any], least: int, most: int) -> pa.Array:
    try:
        column = pa.array([str(value) for value in values], pa.string())
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"A {name} is no Unicode text ({error}); decode it before it is added.") from error
    lengths = pc.utf8_length(column)
    shortest, longest = pc.min(lengths).as_py(), pc.max(lengths).as_py()
    if shortest < least or longest > most:
        raise DataError(
            f"Each {name} has {least} to {most:,} characters; got one of {shortest if shortest < least else longest:,}."
        )
    return column


def metadata_column(name: str, values: Sequence[Any], kind: str | None) -> pa.Array | pa.ChunkedArray | None:
    """A metadata column as an Arrow array, or None where it holds no value at all.

    kind: what the collection's column of this name holds so far, if it has one. Raises DataError for other values.
    """
    try:
        column = pa.array(values, from_pandas=True)  # NaN is no value
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"The metadata column {name!r} cannot be stored: {error}. A column holds text, whole numbers of 64 bits, "
            "real numbers or booleans, and None where an item has no value."
        ) from error
    if column.null_count == len(column):
        return None
    if kind == "real" and pa.types.is_integer(column.type):
        kind = None
        column = column.cast(pa.float64(), safe=False)
    column = _of_our_types(name, column)
    given = KINDS[column.type]
    if kind is not None and given != kind:
        example = repr(column.drop_null()[0].as_py())
        raise DataError(f"The metadata column {name!r} holds {kind} values; got {given} ones, such as {example}.")
    if given == "real" and not all(math.isfinite(end) for end in pc.min_max(column).as_py().values()):
        raise DataError(f"The metadata column {name!r} holds infinity; leave such values out (None).")
    if given == "text" and pc.max(pc.utf8_length(column)).as_py() > LONGEST_TEXT:
        raise DataError(f"A text of the metadata column {name!r} has more than {LONGEST_TEXT:,} characters.")
    return column


def _of_our_types(name: str, column: Any) -> Any:
    kinds = (
        (pa.types.is_boolean, pa.bool_()),
        (pa.types.is_integer, pa.int64()),
        (pa.types.is_floating, pa.float64()),
        (lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind), pa.string()),
    )
    for is_kind, wanted in kinds:
        if is_kind(column.type):
            try:
                return column.cast(wanted)
            except pa.ArrowException as error:
                raise DataError(f"The metadata column {name!r} cannot be stored: {error}.") from error
    raise DataError(
        f"The metadata column {name!r} holds {column.type}; a column holds text, whole numbers, real numbers or "
        "booleans (give dates as text such as 2026-01-31: such text compares in the order of time)."
    )


def _whole(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def conform(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with exactly the columns of a schema, nulls where it lacks one."""
    if batch.schema.equals(schema):
        return batch
    places = {name: number for number, name in enumerate(batch.schema.names)}
    arrays = [
        batch.column(places[field.name]) if field.name in places else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(
        [a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays], schema=schema
    )


def metadata_kinds(schema: pa.Schema) -> dict[str, str]:
    """The metadata columns of a schema and what each holds."""
    return {field.name: KINDS[field.type] for field in schema if field.name not in FIXED.names}


def schema_of(kinds: Mapping[str, str]) -> pa.Schema:
    """The schema of a collection with these metadata columns."""
    types = {kind: arrow for arrow, kind in KINDS.items()}
    return pa.schema([*FIXED, *((name, types[kind]) for name, kind in kinds.items())])
