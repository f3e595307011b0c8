"""A source with its pictures encoded, some hundred items at a time; what cannot be used is named and stops nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from crossbit.encoders import Encoder, Skipped, encode_cached
from crossbit.encoders.cache import SHARD
from crossbit.files import write_whole
from crossbit.pairs import Features
from crossbit.progress import Progress, Step, silent
from crossbit.sources import Record, Source


@dataclass(frozen=True)
class LeftOut(Skipped):
    """An item of a source that is not used. row: its place there. id: its name, with which the reason begins."""

    id: str = ""

    @classmethod
    def of(cls, row: int, record: Record, why: str = "") -> LeftOut:
        """A record that is left out, for its problem or for another reason."""
        return cls(row, f"{record.id}: {why or record.problem}", record.id)


@dataclass(frozen=True, eq=False)
class Part:
    """k items that can be used. rows: (k,) their places in the source. records: without contents of pictures.

    image: (k, d) features, zeros for an item without a picture. has_image: (k,) which have one. left_out: the others
    of the same stretch of the source.
    """

    rows: NDArray[np.int64]
    records: tuple[Record, ...]
    image: Features
    has_image: NDArray[np.bool_]
    left_out: tuple[LeftOut, ...]


def picture_parts(
    source: Source, painter: Encoder, cache: Path | None = None, progress: Progress = silent
) -> Iterator[Part]:
    """The items of a source in order, their pictures encoded; memory is bounded by one part."""
    total = source.count()
    done = 0
    numbered = enumerate(source.records())
    while stretch := list(islice(numbered, SHARD)):
        done += len(stretch)
        yield _part(stretch, painter, cache)
        progress(Step("encode pictures", done, max(total or 0, done)))


def _part(stretch: Sequence[tuple[int, Record]], painter: Encoder, cache: Path | None) -> Part:
    left_out = {row: LeftOut.of(row, record) for row, record in stretch if record.problem}
    usable = [(row, record) for row, record in stretch if row not in left_out]
    painted = [(row, record) for row, record in usable if record.picture is not None]
    encoded = encode_cached(painter, [record.picture for _, record in painted], cache)
    for skip in encoded.skipped:
        row, record = painted[skip.row]
        left_out[row] = LeftOut.of(row, record, skip.reason)
    kept = [(row, record) for row, record in usable if row not in left_out]
    image = np.zeros((len(kept), painter.width), np.float32)
    has_image = np.array([record.picture is not None for _, record in kept], dtype=np.bool_)
    image[has_image] = encoded.features
    records = tuple(record if isinstance(record.picture, Path) else replace(record, picture=None) for _, record in kept)
    rows = np.array([row for row, _ in kept], dtype=np.int64)
    return Part(rows, records, image, has_image, tuple(left_out[row] for row in sorted(left_out)))


class Contents(Sequence[bytes]):
    """The picture files' contents of some items of a source, read again when asked for.

    Asked for in order, as a collection does, the source is read once; asked for out of order, it is read from there.
    An item without a picture gives b"".
    """

    def __init__(self, source: Source, rows: NDArray[np.int64]) -> None:
        """rows: places in the source."""
        self._source, self._rows = source, rows
        self._at = 0
        self._stream: Iterator[Record] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes]:
        """The content of one picture, or those of a part of the items."""
        if isinstance(place, slice):
            return Contents(self._source, self._rows[place])
        wanted = int(self._rows[place])
        if self._stream is None or wanted < self._at:
            self._stream, self._at = self._source.records(wanted), wanted
        for record in self._stream:
            self._at += 1
            if self._at > wanted:
                return record.picture.read_bytes() if isinstance(record.picture, Path) else record.picture or b""
        return b""  # the source has become shorter


def write_left_out(path: Path, left_out: Sequence[Skipped]) -> Path | None:
    """Write what was left out as JSON Lines, an object an item; None, and no file at `path`, where nothing was."""
    if not left_out:
        path.unlink(missing_ok=True)
        return None
    lines = []
    for item in left_out:
        name = item.id if isinstance(item, LeftOut) else str(item.row)
        about = {"row": item.row, "id": name, "reason": item.reason.removeprefix(f"{name}: ")}
        lines.append(json.dumps(about, ensure_ascii=False) + "\n")
    write_whole(path, "".join(lines).encode("utf-8", "replace"))
    return path
