"""CSV and TSV files, read a line at a time."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from crossbit.errors import DataError, FileFormatError
from crossbit.sources.table import Row, Unreadable

_LONGEST_LINE = 1 << 20  # characters; what is longer is read in pieces, each a row that does not fit
_PARTING = ",\t;|"


@dataclass(frozen=True)
class DelimitedTable:
    """A text file with a first line that names the columns. delimiter: what parts them."""

    path: Path
    delimiter: str
    header: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> DelimitedTable:
        """Read the first line; raises FileFormatError or DataError where it names no columns."""
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise FileFormatError(f"{path} is UTF-16 text; save it as UTF-8.")
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            line = file.readline(_LONGEST_LINE)
            while line and not line.strip():
                line = file.readline(_LONGEST_LINE)
        if not line:
            raise DataError(f"{path} is empty; a table's first line names its columns.")
        if "\0" in line or any("\udc80" <= sign <= "\udcff" for sign in line):
            raise FileFormatError(f"{path} does not begin with a line of UTF-8 text; it is no CSV or TSV file.")
        delimiter = "\t" if path.suffix.lower() == ".tsv" else max(_PARTING, key=line.count)
        header = next(csv.reader([line], delimiter=delimiter))
        names = tuple(name.strip() or f"column {number + 1}" for number, name in enumerate(header))
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError(f"{path} names the column {twice!r} twice; give each column a name of its own.")
        return cls(path, delimiter, names)

    @property
    def kind(self) -> str:
        """TSV or CSV."""
        return "TSV table" if self.delimiter == "\t" else "CSV table"

    @property
    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def rows(self, start: int = 0, only: Collection[str] | None = None) -> Iterator[Row]:
        """The rows below the first line, empty lines left out. Bytes that are no UTF-8 stay to be found."""
        number = -1
        for row in self._rows():
            number += 1
            if number >= start:
                yield row

    def _rows(self) -> Iterator[Row]:
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reader = csv.reader(iter(lambda: file.readline(_LONGEST_LINE), ""), delimiter=self.delimiter)
            header_read = False
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Unreadable(f"line {reader.line_num} cannot be read ({error})")
                    continue
                if len(cells) <= 1 and not "".join(cells).strip():
                    continue
                if not header_read:
                    header_read = True
                elif len(cells) != len(self.header):
                    yield Unreadable(
                        f"line {reader.line_num} has {len(cells)} cells where the first line names "
                        f"{len(self.header)} columns"
                    )
                else:
                    yield dict(zip(self.header, cells, strict=True))
