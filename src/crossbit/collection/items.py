"""The items of a collection: their ids, captions and pictures, in one Parquet file."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from crossbit.errors import DataError, FileFormatError

_GROUP = 512  # items in a row group: one thumbnail is read by reading the group it stands in
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("caption", pa.string()),
        ("picture", pa.string()),
        ("has_image", pa.bool_()),
        ("has_text", pa.bool_()),
        ("thumbnail", pa.binary()),
    ]
)

Thumbnail = Callable[[int], bytes | None]
"""Gives the bytes of a small picture (PNG, JPEG or WebP) of an item by its row, or None."""


@dataclass(frozen=True)
class Items:
    """What a collection's items are called; row i of everything belongs to item i.

    ids: n different strings. captions: n texts, "" where an item has none. pictures: n paths or addresses of the
    pictures, "" where unknown; leave it out where there are none. thumbnail: gives a small picture by row.
    """

    ids: Sequence[str]
    captions: Sequence[str]
    pictures: Sequence[str] = ()
    thumbnail: Thumbnail | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        if n == 0:
            raise DataError("There are no items; a collection needs at least one.")
        if len(self.captions) != n or (len(self.pictures) not in (0, n)):
            raise DataError(
                f"Items need one id, caption and picture each; got {n} ids, {len(self.captions)} captions and "
                f"{len(self.pictures)} pictures."
            )
        seen: set[str] = set()
        for name in self.ids:
            if name in seen:
                raise DataError(f"Item ids must differ; {name!r} is given twice.")
            seen.add(name)

    def __len__(self) -> int:
        return len(self.ids)


def write_items(path: Path, items: Items, has_image: NDArray[np.bool_], has_text: NDArray[np.bool_]) -> None:
    """Write the items to a Parquet file, a group of rows at a time, so that memory stays bounded."""
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for start in range(0, len(items), _GROUP):
            rows = range(start, min(start + _GROUP, len(items)))
            columns = {
                "id": [str(items.ids[row]) for row in rows],
                "caption": [str(items.captions[row]) for row in rows],
                "picture": [str(items.pictures[row]) if items.pictures else "" for row in rows],
                "has_image": [bool(has_image[row]) for row in rows],
                "has_text": [bool(has_text[row]) for row in rows],
                "thumbnail": [items.thumbnail(row) if items.thumbnail else None for row in rows],
            }
            writer.write_table(pa.table(columns, schema=_SCHEMA), row_group_size=_GROUP)


class StoredItems:
    """The items of an opened collection. Names are held in memory; thumbnails are read when asked for."""

    def __init__(self, path: Path) -> None:
        """Read the items' names; raises FileFormatError naming the file when it is not what `write_items` wrote."""
        self._path = path
        try:
            # Held open, so that thumbnails can be read even after another build has replaced the file.
            self._file = pq.ParquetFile(io.BytesIO(path.read_bytes()) if path.stat().st_size < 1 << 26 else path)
            if not self._file.schema_arrow.equals(_SCHEMA):
                raise FileFormatError(f"{path} does not hold the columns of a collection's items. Build it again.")
            self._table = self._file.read(columns=[name for name in _SCHEMA.names if name != "thumbnail"])
        except (pa.ArrowException, OSError) as error:
            raise FileFormatError(f"{path} cannot be read: {error}. Build the collection again.") from error

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def id(self, row: int) -> str:
        """An item's id."""
        return self._value("id", row)

    def caption(self, row: int) -> str:
        """An item's caption, or ""."""
        return self._value("caption", row)

    def picture(self, row: int) -> str:
        """The path or address of an item's picture, or ""."""
        return self._value("picture", row)

    def thumbnail(self, row: int) -> bytes | None:
        """The bytes of an item's small picture, if it has one."""
        group = self._file.read_row_group(row // _GROUP, columns=["thumbnail"])
        value: bytes | None = group.column("thumbnail")[row % _GROUP].as_py()
        return value

    def rows_with(self, modality: str) -> NDArray[np.int64]:
        """The rows of the items that have a code of this modality."""
        mask: NDArray[Any] = self._table.column(f"has_{modality}").to_numpy()
        return np.flatnonzero(mask).astype(np.int64)

    def row_of(self, item_id: str) -> int:
        """The row of an item by its id; raises DataError when there is none."""
        row = self._rows.get(item_id)
        if row is None:
            raise DataError(f"There is no item {item_id!r} in the collection; the first is {self.id(0)!r}.")
        return row

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._table.column("id").to_pylist())}

    def _value(self, column: str, row: int) -> str:
        return str(self._table.column(column)[row].as_py())
