"""A source with its pictures encoded, a shard at a time; what cannot be used is named and stops nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from crossbit.encoders import EncodedStore, Encoder, Skipped, default_cache_folder, encode_stream
from crossbit.encoders.shards import Shard
from crossbit.errors import FileFormatError, MismatchError
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
    """The items of a source in order, their pictures encoded; memory is bounded by one part.

    Features are kept under `cache` (default: the user's cache folder) for this source, as it stands, and this
    encoder: the same again is read, and what was stopped goes on. progress: steps of the encoding.
    """
    numbered = enumerate(source.records())
    for shard in _encoded(source, painter, cache, progress).shards():
        yield _part(numbered, shard, painter.width)


def _encoded(source: Source, painter: Encoder, cache: Path | None, progress: Progress) -> EncodedStore:
    """The features of a source's pictures on disk; what is damaged there is made again."""
    about = "\0".join((source.name, source.fingerprint(), painter.fingerprint()))
    key = hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    folder = (cache or default_cache_folder()) / "sources" / key

    def told(step: Step) -> None:
        progress(replace(step, stage="encode pictures"))

    try:
        return encode_stream(source, {"image": painter}, folder, progress=told)
    except (FileFormatError, MismatchError):
        shutil.rmtree(folder, ignore_errors=True)
        return encode_stream(source, {"image": painter}, folder, progress=told)


def _part(numbered: Iterator[tuple[int, Record]], shard: Shard, width: int) -> Part:
    """The next items of a source with the shard of their features; contents of pictures are let go one by one."""
    feature_row = {int(row): place for place, row in enumerate(shard.rows["image"])}
    reasons = {left.row: left.reason for left in shard.skipped if left.what == "image"}
    rows: list[int] = []
    records: list[Record] = []
    left_out: list[LeftOut] = []
    for row, record in islice(numbered, len(shard)):
        if record.problem or row in reasons:
            left_out.append(LeftOut.of(row, record, reasons.get(row, "")))
        else:
            rows.append(row)
            records.append(record if isinstance(record.picture, Path) else replace(record, picture=None))
    has_image = np.array([row in feature_row for row in rows], dtype=np.bool_)
    image = np.zeros((len(rows), width), np.float32)
    image[has_image] = shard.features["image"][[feature_row[row] for row in rows if row in feature_row]]
    return Part(np.array(rows, dtype=np.int64), tuple(records), image, has_image, tuple(left_out))


def paths_of(records: Sequence[Record]) -> tuple[Path | None, ...]:
    """Where the pictures of records are files of their own."""
    return tuple(record.picture if isinstance(record.picture, Path) else None for record in records)


class Contents(Sequence[bytes]):
    """The picture files' contents of some items of a source, read again when asked for.

    A picture that is a file of its own is read from there. One that lies in the source itself is cheap when asked for
    in order, as a collection does; out of order, the source is read from there on. b"" for an item without a picture,
    and where it is gone.
    """

    def __init__(self, source: Source, rows: NDArray[np.int64], paths: Sequence[Path | None]) -> None:
        """rows: places in the source. paths: of those pictures that are files, else None."""
        self._source, self._rows, self._paths = source, rows, paths
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
            return Contents(self._source, self._rows[place], self._paths[place])
        path = self._paths[place]
        if path is not None:
            try:
                return path.read_bytes()
            except OSError:  # gone since it was encoded
                return b""
        wanted = int(self._rows[place])
        if self._stream is None or wanted < self._at:
            self._stream, self._at = self._source.records(wanted), wanted
        for record in self._stream:
            self._at += 1
            if self._at > wanted:
                return record.picture if isinstance(record.picture, bytes) else b""
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
