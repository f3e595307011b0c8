"""JSON Lines: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from crossbit.errors import DataError
from crossbit.sources.table import Row, Unreadable

_LONGEST_LINE = 1 << 26  # bytes: a picture in base64 finds room
_SAMPLE = 200  # rows whose names are the table's columns


@dataclass(frozen=True)
class JsonLines:
    """A file of JSON objects, one a line, in UTF-8. header: the names in its first objects."""

    path: Path
    header: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> JsonLines:
        """Read the first rows; raises DataError where none is an object."""
        rows = list(islice(cls(path, ()).rows(), _SAMPLE))
        header = tuple(dict.fromkeys(name for row in rows if not isinstance(row, Unreadable) for name in row))
        if not header:
            first = next((row.reason for row in rows if isinstance(row, Unreadable)), "the file is empty")
            raise DataError(f"{path} has no line with a JSON object: {first}.")
        return cls(path, header)

    @property
    def kind(self) -> str:
        """JSON Lines."""
        return "JSON Lines"

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def rows(self, start: int = 0, only: Collection[str] | None = None) -> Iterator[Row]:
        """The objects; a line that is none is a row that cannot be read. Empty lines are left out."""
        number = -1
        for line_number, line in enumerate(self._lines(), start=1):
            if line is not None and not line.strip():
                continue
            number += 1
            if number >= start:
                yield _row(line, line_number)

    def _lines(self) -> Iterator[bytes | None]:
        """The lines; None for one that is too long."""
        with self.path.open("rb") as file:
            while line := file.readline(_LONGEST_LINE):
                if len(line) < _LONGEST_LINE or line.endswith(b"\n"):
                    yield line
                    continue
                while line and not line.endswith(b"\n"):
                    line = file.readline(_LONGEST_LINE)
                yield None


def _row(line: bytes | None, number: int) -> Row:
    if line is None:
        return Unreadable(f"line {number} is longer than {_LONGEST_LINE >> 20} MiB")
    try:
        value: Any = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Unreadable(f"line {number} is no UTF-8 ({error.reason} at byte {error.start})")
    except (ValueError, RecursionError) as error:
        return Unreadable(f"line {number} is no JSON ({error})")
    if not isinstance(value, dict):
        return Unreadable(f"line {number} is no JSON object, but {type(value).__name__}")
    return value
