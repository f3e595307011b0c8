"""Opening what a person has as a source, by looking at it."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from crossbit.errors import DataError, SettingsError
from crossbit.sources.columnar import ParquetTable, picture_columns
from crossbit.sources.columns import Columns, choose_columns
from crossbit.sources.delimited import DelimitedTable
from crossbit.sources.folder import FolderSource, holds_pictures
from crossbit.sources.jsonl import JsonLines
from crossbit.sources.places import Root
from crossbit.sources.record import Source
from crossbit.sources.saved_datasets import is_saved_dataset, open_saved_dataset
from crossbit.sources.shards import ShardSource, open_archive
from crossbit.sources.table import Table, TableSource

KINDS = (
    "a folder of pictures with .txt captions, a CSV, TSV, JSON Lines or Parquet file, WebDataset shards (.tar), "
    "the output of img2dataset or a folder of the package datasets"
)
_METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


class OpenedSource(Source, Protocol):
    """A source that `open_source` gives."""

    @property
    def layout(self) -> str:
        """What was found and what is read from where, in words."""
        ...


def open_source(
    path: str | Path, *, columns: Columns | None = None, image_folder: str | Path | None = None
) -> OpenedSource:
    """What lies at a path as a source, told by its content: see docs/own-data.md for the kinds.

    path: a file, a folder, or a pattern of shards such as "shards/*.tar". columns: which columns of a table to read;
    by default those with a usual name. image_folder: where relative paths of pictures start and which folder no path
    may leave; by default the folder of the table.

    Raises DataError for what is missing, empty or of no known kind and for columns that are not there (naming those
    found), FileFormatError for a damaged file, SettingsError for an option that the kind of source does not have.
    """
    wished = columns or Columns()
    place = Path(path)
    if image_folder is not None and not Path(image_folder).is_dir():
        raise DataError(f"There is no folder {image_folder} where pictures could lie.")
    if not place.exists() and glob.has_magic(str(path)):
        return _open_files(sorted(Path(found) for found in glob.glob(str(path))), str(path), wished, image_folder)
    if place.is_dir():
        return _open_folder(place, wished, image_folder)
    if place.is_file():
        return _open_files([place], str(path), wished, image_folder)
    raise DataError(f"There is nothing at {str(path)!r}; expected {KINDS}.")


def _open_folder(folder: Path, wished: Columns, image_folder: str | Path | None) -> OpenedSource:
    name = folder.resolve().name
    if is_saved_dataset(folder):
        return _table(open_saved_dataset(folder), name, wished, Path(image_folder or folder))
    if shards := _below(folder, "*.tar"):
        return _shards(shards, name, wished)
    described = next((folder / file for file in _METADATA if (folder / file).is_file()), None)
    if described is not None:
        return _open_files([described], str(described), wished, image_folder or folder)
    if holds_pictures(folder):
        if wished.given():
            raise SettingsError(
                f"{folder} is a folder of pictures and has no columns to name; leave those options out."
            )
        return FolderSource(name, folder, Root(Path(image_folder or folder)))
    if files := _below(folder, "*.parquet"):
        return _table(ParquetTable.open(files), name, wished, Path(image_folder or folder))
    raise DataError(
        f"{folder} holds no pictures, no .tar shards and no Parquet files; expected {KINDS}. "
        "(Name a CSV or JSON Lines file itself, not its folder.)"
    )


def _below(folder: Path, pattern: str) -> list[Path]:
    """Files at any depth, in order, without hidden ones and without what links lead to outside."""
    root = Root(folder)
    return [
        path
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
        and root.holds(path)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _open_files(files: Sequence[Path], written: str, wished: Columns, image_folder: str | Path | None) -> OpenedSource:
    if not files:
        raise DataError(f"No file is named like {written!r}; expected {KINDS}.")
    kinds = {_kind(path) for path in files}
    name = files[0].stem if len(files) == 1 else files[0].parent.resolve().name
    folder = Path(image_folder or files[0].parent)
    if kinds == {"tar"}:
        return _shards(files, name, wished)
    if kinds == {"parquet"}:
        return _table(ParquetTable.open(files), name, wished, folder)
    if len(files) > 1:
        raise DataError(
            f"{written!r} names {len(files)} files; several are read of .tar shards and Parquet files only."
        )
    openers: dict[str, Callable[[Path], Table]] = {"jsonl": JsonLines.open, "text": DelimitedTable.open}
    (kind,) = kinds
    if kind not in openers:
        raise DataError(f"{written} is {kind}; expected {KINDS}.")
    return _table(openers[kind](files[0]), name, wished, folder)


def _kind(path: Path) -> str:
    """What a file is by its first bytes, or in words what it is that cannot be read."""
    with path.open("rb") as file:
        head = file.read(600)
    if not head:
        raise DataError(f"{path} is empty.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head[257:262] == b"ustar" or path.suffix == ".tar":
        return "tar"
    if head.startswith((b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "a compressed file or archive (unpack it first)"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{"):
        return "jsonl"
    if start.startswith(b"["):
        return "one JSON array (write one object a line, JSON Lines)"
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "a binary file of no known kind"
    return "text"


def _shards(files: Sequence[Path], name: str, wished: Columns) -> ShardSource:
    if wished.id:
        raise SettingsError("Items of shards are called by their names in the archive; leave --id-column out.")
    for path in files[:1]:
        with open_archive(path):
            pass  # the first must be one; a later one that is damaged is a record with a problem
    return ShardSource(name, tuple(files), wished)


def _table(table: Table, name: str, wished: Columns, folder: Path) -> TableSource:
    schema = getattr(table, "schema", None)
    pictures = () if schema is None else picture_columns(schema)
    header: Sequence[str] = schema.names if schema is not None else getattr(table, "header", ())
    chosen = choose_columns(header, pictures, wished, f"{name} ({table.kind})")
    return TableSource(name, table, chosen, Root(folder), by_path=chosen.image not in pictures)
