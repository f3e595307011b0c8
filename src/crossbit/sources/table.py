"""Any table whose rows are items: the rows of a file become records, whatever kind of file it is."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from crossbit.errors import DataError
from crossbit.sources.cells import MOST_CAPTIONS, metadata_of, picture_of, tags_of, text_of, texts_of
from crossbit.sources.columns import Columns
from crossbit.sources.content import common_folder, files_fingerprint
from crossbit.sources.places import Root
from crossbit.sources.record import Record
from crossbit.sources.seen import SeenNames


@dataclass(frozen=True)
class Unreadable:
    """A row that cannot be read, and why."""

    reason: str


Row = Mapping[str, Any] | Unreadable


class Table(Protocol):
    """A file, or several alike, with rows of named cells."""

    @property
    def kind(self) -> str:
        """What it is, for a person: "CSV table"."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """The files it is read from."""
        ...

    def rows(self, start: int = 0, only: Collection[str] | None = None) -> Iterator[Row]:
        """The rows from row number `start` on. only: the columns that are needed; None for all."""
        ...


@dataclass(frozen=True)
class _Group:
    """Rows that stand together and are one item. name: its id. end: the number of the row after them."""

    name: str
    rows: tuple[Row, ...]
    end: int
    problem: str


@dataclass(frozen=True)
class TableSource:
    """A table as a source. columns: which are read. root: where relative paths of pictures start.

    by_path: whether pictures are named by their paths, and do not lie in the table itself.

    Rows that stand together and name the same picture file (and the same id, where there are ids) are one item with
    several captions. An id that was there before is a record with a problem. ids are those of the id column, else the
    paths of pictures as written, else row numbers.
    """

    name: str
    table: Table
    columns: Columns
    root: Root
    by_path: bool = True

    @property
    def layout(self) -> str:
        """What was found and what is read, in words."""
        return f"{self.table.kind}: {self.columns.told()}"

    def count(self) -> int:
        """How many records there are; the columns with ids and paths are read for it."""
        return sum(1 for _ in self._groups(SeenNames(), only=self._keys()))

    def records(self, start: int = 0) -> Iterator[Record]:
        """The records from number `start` on; of those before, only ids and paths are read."""
        seen, row = SeenNames(), 0
        if start and not self._keys():
            row = start  # every row is an item, named by its number
        elif start:
            before = list(islice(self._groups(seen, only=self._keys()), start - 1, start))
            if not before:
                return
            row = before[0].end
        yield from (self._record(group) for group in self._groups(seen, row))

    def fingerprint(self) -> str:
        """A hash of the names, sizes and times of the files and of the pictures they name, and of the columns."""
        files = self.table.files
        own = files_fingerprint(files, common_folder(files), self.table.kind, self.columns)
        if not self.by_path or self.columns.image is None:
            return own
        digest = hashlib.sha256(own.encode())
        for row in self.table.rows(0, [self.columns.image]):
            digest.update(self._known(row))
        return digest.hexdigest()[:16]

    def _known(self, row: Row) -> bytes:
        """Size and time of the picture that a row names; nothing where there is none."""
        key = self._key(row)
        try:
            known = None if key is None else (self.root.folder / key[1]).stat()
        except (OSError, ValueError):
            known = None
        return b"-" if known is None else f"{known.st_size} {known.st_mtime_ns}\n".encode()

    def _keys(self) -> frozenset[str]:
        """The columns by which rows belong together."""
        return frozenset(name for name in (self.columns.id, self.columns.image if self.by_path else None) if name)

    def _groups(self, seen: SeenNames, start: int = 0, only: Collection[str] | None = None) -> Iterator[_Group]:
        """The items' rows from a row on, in order, each item with an id of its own."""
        waiting: list[Row] = []
        first, key = start, None
        for number, row in enumerate(self.table.rows(start, only), start):
            own = self._key(row)
            if waiting and (own is None or own != key):
                yield self._group(waiting, first, number, seen)
                waiting = []
            if not waiting:
                first, key = number, own
            # Captions beyond what an item can hold are not gathered: a file of one path must not fill the memory.
            if len(waiting) < MOST_CAPTIONS:
                waiting.append(row)
            end = number + 1
        if waiting:
            yield self._group(waiting, first, end, seen)

    def _key(self, row: Row) -> tuple[str, str] | None:
        """What rows of one item share: their id and path; None for a row that is an item of its own."""
        if isinstance(row, Unreadable) or self.columns.image is None or not self.by_path:
            return None
        path = row.get(self.columns.image)
        if not isinstance(path, str) or not path.strip() or path.startswith("data:"):
            return None
        return self._written_id(row), path.strip()

    def _written_id(self, row: Mapping[str, Any]) -> str:
        cell = row.get(self.columns.id) if self.columns.id else None
        if isinstance(cell, bytes):
            cell = cell.decode("utf-8", "replace")
        return "" if cell is None else str(cell).strip()[:_LONGEST_ID].encode("utf-8", "replace").decode()

    def _group(self, rows: list[Row], number: int, end: int, seen: SeenNames) -> _Group:
        row = rows[0]
        if isinstance(row, Unreadable):
            name, problem = "", row.reason
        else:
            key = self._key(row)
            name, problem = self._written_id(row) or (key[1] if key else ""), ""
        name = name[:_LONGEST_ID].encode("utf-8", "replace").decode() or str(number)
        if not seen.add(name):
            what = "its id" if self.columns.id else "its picture"
            problem = problem or (
                f"{what} {name!r} was there before; rows of one item must stand together (sort the table)"
            )
            name = next(other for other in _others(name, number) if seen.add(other))
        return _Group(name, tuple(rows), end, problem)

    def _record(self, group: _Group) -> Record:
        picture: bytes | Path | None = None
        texts: tuple[str, ...] = ()
        tags: tuple[str, ...] = ()
        problem = group.problem
        metadata = {}
        row = group.rows[0]
        if not isinstance(row, Unreadable):
            columns = self.columns
            read = columns.named()
            metadata = {text_key(name): metadata_of(cell) for name, cell in row.items() if name not in read}
            try:
                texts = tuple(dict.fromkeys(self._texts(group)))
                tags = tags_of(row.get(columns.tags)) if columns.tags else ()
                picture = picture_of(row.get(columns.image), self.root) if columns.image else None
                if picture is None and not any(texts) and not tags:
                    problem = problem or _nothing(row)
            except DataError as error:
                problem = problem or str(error)
        return Record(group.name, picture, texts, tags, metadata, problem)

    def _texts(self, group: _Group) -> Iterator[str]:
        for row in group.rows:
            if not isinstance(row, Unreadable):
                for column in self.columns.text:
                    yield from texts_of(row.get(column))


_LONGEST_ID = 1000  # characters


def _others(name: str, number: int) -> Iterator[str]:
    """Names for an item whose own is taken."""
    yield f"{name} (row {number})"
    count = 2
    while True:
        yield f"{name} (row {number}, {count})"
        count += 1


def text_key(name: str) -> str:
    """A column's name as it can be written anywhere."""
    try:
        return text_of(name)
    except DataError:
        return name[:200].encode("utf-8", "replace").decode("utf-8")


def _nothing(row: Mapping[str, Any]) -> str:
    """Why a row has neither picture nor text: what img2dataset says of it, where the table is its output."""
    status, message = row.get("status"), row.get("error_message")
    if isinstance(status, str) and status != "success":
        return f"img2dataset did not get its picture ({status}: {str(message)[:200]})"
    return "it has neither picture nor text"
