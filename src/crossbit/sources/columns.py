"""Which columns of a table hold the picture, the texts, the tags and the id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from crossbit.errors import DataError

IMAGE = (
    *("image", "picture", "img", "photo", "jpg", "jpeg", "png", "webp", "image_bytes", "picture_bytes", "bytes"),
    *("image_path", "img_path", "picture_path", "file_name", "filename", "file_path", "filepath", "image_file"),
    *("image_name", "path", "file", "images"),
)
TEXT = (
    *("caption", "captions", "text", "texts", "sentence", "sentences", "description", "title", "alt_text", "alt"),
    *("comment", "raw"),
)
TAGS = ("tags", "keywords", "hashtags", "tag")
ID = ("id", "key", "__key__", "item_id", "uid", "sample_id")
_NUMBERED = re.compile(r"(caption|text|sentence|description|comment)s?[ _-]?\d+")


@dataclass(frozen=True)
class Columns:
    """The names of columns. image: paths or contents of pictures. text: captions, one or several. tags. id.

    As a wish, None and () mean: find them by their usual names. As a choice, they mean: there is none.
    """

    image: str | None = None
    text: tuple[str, ...] = ()
    tags: str | None = None
    id: str | None = None

    def given(self) -> bool:
        """Whether any column is named."""
        return self != Columns()

    def named(self) -> frozenset[str]:
        """All names."""
        return frozenset(name for name in (self.image, self.tags, self.id, *self.text) if name)

    def told(self) -> str:
        """What is taken from where, in words."""
        texts = ", ".join(self.text) or "no column"
        return (
            f"pictures from {self.image or 'no column'}, text from {texts}, tags from {self.tags or 'no column'}, "
            f"ids from {self.id or 'paths or row numbers'}"
        )


def choose_columns(found: Sequence[str], pictures: Sequence[str], wished: Columns, where: str) -> Columns:
    """The columns to read: those wished for, and for the rest those with a usual name, whatever its case.

    found: all columns, in order. pictures: those that hold contents of pictures by their type. where: for messages.

    Raises DataError, naming the columns found, for a wish that is not there and where neither picture nor text is.
    """
    for name in wished.named():
        if name not in found:
            raise DataError(f"{where} has no column {name!r}; its columns are {_listed(found)}.")
    free = [name for name in found if name not in wished.named()]
    image = wished.image or _usual(free, IMAGE) or next((name for name in pictures if name in free), None)
    tags = wished.tags or _usual(free, TAGS)
    own_id = wished.id or _usual(free, ID)
    text = wished.text
    if not text:
        numbered = tuple(name for name in free if _NUMBERED.fullmatch(name.casefold()))
        usual = _usual(free, TEXT)
        text = (usual,) if usual else numbered
    if image is None and not text:
        raise DataError(
            f"{where} has no column of a usual name for pictures or texts; its columns are {_listed(found)}. "
            "Say which to read with --image-column and --text-column (the first line of a CSV file names its columns)."
        )
    return Columns(image, text, tags, own_id)


def _usual(found: Sequence[str], names: Sequence[str]) -> str | None:
    """The first column that has one of the names, in the order of the names."""
    known = {name.strip().casefold(): name for name in reversed(found)}
    return next((known[name] for name in names if name in known), None)


def _listed(found: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:60]) for name in found[:30])
    return f"{shown} and {len(found) - 30} more" if len(found) > 30 else shown or "none"
