"""From the cell of a table to what a record holds: a picture, texts, tags, metadata, or the reason why not."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossbit.errors import DataError
from crossbit.sources.places import MAX_BYTES, Root, shortened
from crossbit.sources.record import Value

MAX_TEXT = 1 << 20
"""The longest text of one item, in characters."""

MOST_CAPTIONS = 1000
"""The most captions that one item has."""

_WRITTEN = ("raw", "caption", "text", "sentence", "value")  # where a caption that is a record of its own has its words


def picture_of(cell: Any, root: Root) -> bytes | Path | None:
    """The picture that a cell names or holds, or None; raises DataError with the reason where it cannot be used.

    A cell is bytes, a path, a data: address, or a record of bytes and path, as the Image feature of `datasets` has it.
    """
    if isinstance(cell, Mapping):
        cell = cell.get("bytes") or cell.get("path")
    if cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and math.isnan(cell)):
        return None
    if isinstance(cell, bytes):
        if len(cell) > MAX_BYTES:
            raise DataError(f"its picture is larger than {MAX_BYTES >> 20} MiB")
        return cell or None
    if not isinstance(cell, str):
        raise DataError(f"its picture is expected as a path or as bytes; there is {type(cell).__name__}")
    text_of(cell)
    if cell.startswith("data:"):
        return _content_of_address(cell)
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", cell):
        raise DataError(
            f"its picture {shortened(cell)} is an address, which is not fetched; fetch the pictures first, "
            "with img2dataset for example"
        )
    return root.find(cell.strip())


def _content_of_address(cell: str) -> bytes:
    head, _, content = cell.partition(",")
    try:
        if not head.endswith(";base64"):
            raise DataError("its picture is a data: address that is not in base64")
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise DataError(f"its picture is a data: address that cannot be decoded ({error})") from error


def texts_of(cell: Any) -> tuple[str, ...]:
    """The texts in a cell: one, or a list of them; without blanks around. A text that is empty stays, as "".

    Raises DataError with the reason for text that cannot be used.
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ()
    if isinstance(cell, list | tuple):
        return tuple(text for inner in cell for text in texts_of(inner))
    if isinstance(cell, Mapping):
        inner = next((cell[name] for name in _WRITTEN if name in cell), None)
        if inner is None:
            raise DataError(f"its text is a record of {', '.join(map(str, list(cell)[:5]))}, without raw or text")
        return texts_of(inner)
    if isinstance(cell, bytes):
        try:
            cell = cell.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"its text is no UTF-8 ({error.reason} at byte {error.start})") from error
    return (text_of(str(cell)).strip(),)


def lines_of(text: str) -> tuple[str, ...]:
    """The captions of a text file: one a line, without blank lines and repetitions; "" alone where it says nothing.

    A file of more than 1,000 lines is prose and one text.
    """
    lines = tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    return (text.strip(),) if not lines or len(lines) > MOST_CAPTIONS else lines


def text_of(text: str) -> str:
    """The text itself; raises DataError where it is too long or holds what UTF-8 cannot."""
    if len(text) > MAX_TEXT:
        raise DataError(f"its text is longer than {MAX_TEXT} characters")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError("its text is no UTF-8; save the file as UTF-8") from error
    return text


def tags_of(cell: Any) -> tuple[str, ...]:
    """The tags in a cell: a list, or a text parted at commas, semicolons and bars, or at blanks where it has none."""
    texts = texts_of(cell)
    if isinstance(cell, list | tuple):
        return tuple(text for text in texts if text)
    parts = [re.split(r"[,;|]", text) if re.search(r"[,;|]", text) else text.split() for text in texts]
    return tuple(tag.strip() for part in parts for tag in part if tag.strip())


def metadata_of(cell: Any) -> Value:
    """A further column's value: lists and records as JSON, times and the like as text, None for bytes and NaN."""
    if isinstance(cell, bytes) or cell is None:
        return None
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else None
    if isinstance(cell, int):
        return cell if -(1 << 63) <= cell < 1 << 63 else str(cell)
    if isinstance(cell, list | dict):
        cell = json.dumps(cell, ensure_ascii=False, default=_plain)
    return str(cell).encode("utf-8", "replace").decode("utf-8")[:MAX_TEXT]


def _plain(value: Any) -> str | None:
    return None if isinstance(value, bytes) else str(value)
