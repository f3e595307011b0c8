"""What a source of items gives, whatever it is stored in: one record an item, read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

Value = str | int | float | bool | None
"""What a metadata column holds."""


@dataclass(frozen=True)
class Record:
    """One item of a source. id: its name, different from all others of the source.

    picture: the content of a picture file, or its path; None for an item without a picture. texts: its captions, none
    for an item without text. tags: single words or short names that also describe it. metadata: further columns by
    name. problem: why the item cannot be used as it stands (a missing file, text that is no UTF-8), or "".
    """

    id: str
    picture: bytes | Path | None = None
    texts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Value] = field(default_factory=dict)
    problem: str = ""


class Source(Protocol):
    """A collection of items that can be read from the beginning as often as wanted, one record at a time.

    Records come in the same order each time, and memory stays bounded whatever the number of items. Nothing that is
    wrong with a single item raises: it is a record with a problem.
    """

    @property
    def name(self) -> str:
        """What to call the source in messages and tables."""
        ...

    def count(self) -> int | None:
        """How many records there are, or None where only reading them all would tell."""
        ...

    def records(self, start: int = 0) -> Iterator[Record]:
        """The records in order, from record number `start` on; raises DataError where the source cannot be read."""
        ...

    def fingerprint(self) -> str:
        """A short name of the content as far as it is cheaply known: file names, sizes and times, or a digest."""
        ...
