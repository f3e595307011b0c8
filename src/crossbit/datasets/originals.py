"""The files of a public data set as its site ships them: found under a folder, read whatever their line ends are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossbit.errors import DataError, FileFormatError
from crossbit.sources.places import ENDINGS

_LINE_END = re.compile(r"\r\n|\n|\r")  # not str.splitlines: in Latin-1 the letter 0x85 would end a line too
_DEEPEST = 3  # folders between the one given and a file: archives unpack into folders of their own


@dataclass(frozen=True)
class Originals:
    """A folder with the unpacked downloads of one data set.

    folder: as given. title: what the data set is called. page: where its official page is, for messages. Files that
    archives of a Mac leave behind (`._name`, `__MACOSX`) are never seen.
    """

    folder: Path
    title: str
    page: str

    def find(self, *names: str) -> Path:
        """The file or folder of one of the names, which may be paths, at most three folders down.

        Raises DataError, naming what is missing and where its official page is described.
        """
        found = self.look_for(*names)
        if found is None:
            others = f" (nor {', '.join(names[1:])})" if len(names) > 1 else ""
            raise DataError(
                f"{self.title} is not whole in {self.folder}: there is no {names[0]}{others}, there or up to "
                f"{_DEEPEST} folders down. Get it from its official page, {self.page}, and unpack it there; "
                "nothing is downloaded here."
            )
        return found

    def look_for(self, *names: str) -> Path | None:
        """What `find` gives, or None where it is missing."""
        for name in names:
            for depth in range(_DEEPEST + 1):
                pattern = "*/" * depth + name
                found = next((path for path in sorted(self.folder.glob(pattern)) if self.is_own(path)), None)
                if found is not None:
                    return found
        return None

    def is_own(self, path: Path) -> bool:
        """Whether a path belongs to the data set, and not to what a Mac leaves in archives."""
        parts = path.relative_to(self.folder).parts
        return not any(part.startswith("._") or part in ("__MACOSX", ".DS_Store") for part in parts)

    def files(self, folder: Path, pattern: str) -> list[Path]:
        """The files of a folder whose names fit a pattern, in the order of their names."""
        return [path for path in sorted(folder.glob(pattern)) if path.is_file() and self.is_own(path)]

    def pictures(self, folder: Path) -> frozenset[str]:
        """The picture files at any depth below a folder, as paths below the folder of all originals, with slashes."""
        return frozenset(
            path.relative_to(self.folder).as_posix()
            for path in folder.rglob("*")
            if path.suffix.lower() in ENDINGS and self.is_own(path)
        )

    def below(self, path: Path) -> str:
        """A path as it is written in tables: below the folder of all originals, with slashes."""
        return path.relative_to(self.folder).as_posix()


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a mark at its start, or else in Latin-1, as older archives have it."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, whatever ends them, without blanks around; the last one may lack its end."""
    lines = [line.strip() for line in _LINE_END.split(read_text(path))]
    return lines[:-1] if lines and not lines[-1] else lines


def whole_number(text: str, path: Path, line: int, first: int, last: int) -> int:
    """A number of a line within a range; raises FileFormatError naming the file, the line and what stands there."""
    if not text.isdecimal() or not first <= int(text) <= last:
        raise FileFormatError(
            f"{path}, line {line}: a whole number from {first} to {last} is expected; there is {text[:60]!r}. "
            "Restore the file from its archive."
        )
    return int(text)


def fields(text: str, n: int, path: Path, line: int, what: str) -> Sequence[str]:
    """The n fields of a line, parted by blanks; raises FileFormatError naming the file and the line."""
    found = text.split()
    if len(found) != n:
        raise FileFormatError(f"{path}, line {line}: {what} are expected; there is {text[:60]!r}.")
    return found
