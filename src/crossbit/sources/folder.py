"""A folder of pictures, at any depth, with a text file of the same name beside each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from crossbit.errors import DataError
from crossbit.sources.cells import lines_of, metadata_of, tags_of, texts_of
from crossbit.sources.columns import TAGS, TEXT
from crossbit.sources.content import files_fingerprint
from crossbit.sources.places import ENDINGS, MAX_BYTES, Root
from crossbit.sources.record import Record, Value

_LARGEST_TEXT = 1 << 20  # bytes of a caption or a description


@dataclass(frozen=True)
class FolderSource:
    """Pictures with captions: photo.jpg with photo.txt, and with photo.json where there is one, as img2dataset writes.

    Each line of a text file is a caption. A picture without a text file is an item without text, a text file without a
    picture an item without picture. Hidden files and folders are left out; links are followed where they stay in the
    folder. Ids are paths below the folder. root: the folder that no link may leave.
    """

    name: str
    folder: Path
    root: Root

    @property
    def layout(self) -> str:
        """What is read, in words."""
        return "folder of pictures with .txt captions beside them (and .json beside, where there is one)"

    def count(self) -> int:
        """How many pictures and texts without a picture there are: the folder is listed for it."""
        return sum(1 for _ in _items(self.folder))

    def records(self, start: int = 0) -> Iterator[Record]:
        """The records in the order of their paths."""
        yield from (self._record(path, is_picture) for path, is_picture in islice(_items(self.folder), start, None))

    def fingerprint(self) -> str:
        """A hash of the files' paths below the folder, sizes and times of change."""
        files = (
            path
            for item, is_picture in _items(self.folder)
            for path in ((item, item.with_suffix(".txt"), item.with_suffix(".json")) if is_picture else (item,))
            if path.is_file()
        )
        return files_fingerprint(files, self.folder, "folder")

    def _record(self, path: Path, is_picture: bool) -> Record:
        written = path.relative_to(self.folder).as_posix()
        name = written.encode("utf-8", "replace").decode("utf-8")
        texts: tuple[str, ...] = ()
        tags: tuple[str, ...] = ()
        metadata: dict[str, Value] = {}
        problem = ""
        try:
            if not is_picture:
                return Record(name, None, lines_of(self._text(path, "it")))
            self._check(path)
            caption = path.with_suffix(".txt")
            if caption.exists():
                texts = lines_of(self._text(caption, f"its caption {caption.name}"))
            beside, tags, metadata = self._description(path.with_suffix(".json"))
            texts = texts or beside
        except DataError as error:
            problem = str(error)
        return Record(name, path if is_picture else None, texts, tags, metadata, problem)

    def _check(self, path: Path) -> None:
        if not self.root.holds(path):
            raise DataError("it is a link that leads out of the folder, and is not followed")
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"it is larger than {MAX_BYTES >> 20} MiB")

    def _text(self, path: Path, what: str) -> str:
        """The content of a text file, without blanks around."""
        try:
            if not self.root.holds(path):
                raise DataError(f"{what} is a link that leads out of the folder, and is not followed")
            if path.stat().st_size > _LARGEST_TEXT:
                raise DataError(f"{what} is larger than {_LARGEST_TEXT >> 20} MiB")
            return path.read_text("utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{what} cannot be read as UTF-8 text ({error})") from error

    def _description(self, path: Path) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Value]]:
        """Captions, tags and metadata of a JSON file beside a picture; nothing where there is no such file."""
        if not path.is_file():
            return (), (), {}
        try:
            about = json.loads(self._text(path, f"its description {path.name}"))
        except (ValueError, RecursionError) as error:
            raise DataError(f"its description {path.name} is no JSON ({error})") from error
        if not isinstance(about, dict):
            return (), (), {}
        return described(about)


def described(about: dict[str, object]) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Value]]:
    """Captions, tags and metadata of a JSON object that stands beside a picture."""
    text = next((name for name in TEXT if about.get(name)), None)
    tags = next((name for name in TAGS if about.get(name)), None)
    metadata = {
        str(name).encode("utf-8", "replace").decode(): metadata_of(value)
        for name, value in about.items()
        if name not in (text, tags)
    }
    return (
        texts_of(about[text]) if text else (),
        tags_of(about[tags]) if tags else (),
        metadata,
    )


def _items(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Pictures (True) and texts without a picture (False), folder by folder, in the order of their names."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be listed ({error.strerror or error}).") from error
    entries = [path for path in entries if not path.name.startswith(".")]
    captioned = {path.stem for path in entries if path.suffix.lower() in ENDINGS}
    for path in entries:
        ending = path.suffix.lower()
        if path.is_dir():
            if not path.is_symlink():  # a link to a folder above would never end
                yield from _items(path)
        elif ending in ENDINGS and path.is_file():
            yield path, True
        elif ending == ".txt" and path.stem not in captioned and path.is_file():
            yield path, False


def holds_pictures(folder: Path) -> bool:
    """Whether there is any picture at any depth."""
    return any(is_picture for _, is_picture in _items(folder))
