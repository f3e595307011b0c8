"""What a source holds and what of it cannot be used, found out before any encoding."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossbit.datasets.parts import LeftOut
from crossbit.datasets.reading import Reading
from crossbit.encoders.decoding import PictureReaders
from crossbit.encoders.pictures import open_picture, read_bytes
from crossbit.encoders.preparation import Preparation
from crossbit.errors import DataError, SettingsError
from crossbit.progress import Progress, Step, silent
from crossbit.sources import OpenedSource, Record
from crossbit.sources.seen import SeenNames

EXAMPLES = 100  # items left out that are named
SAMPLE = 33  # pictures and texts kept to time an encoder on
_SAMPLE_BYTES = 1 << 22  # the largest picture among them
_AHEAD = 8  # pictures asked for in advance, a process
_TOLD = 50  # items between two steps of progress


@dataclass
class SourceCheck:
    """What was found. name, layout: the source, and how it is read. records: all items.

    pairs: with a picture that opens and a text. pictures_alone, texts_alone: usable items without a partner.
    unreadable: pictures that do not open. problems: items that cannot be used for another reason. empty_texts: items
    whose captions are there and blank. duplicates: pairs whose picture and texts both stood before. repeated_pictures:
    pictures with the content of an earlier one. several_captions: items with more than one. picture_bytes: the size
    of all pictures. left_out: the first items that cannot be used. sample_pictures, sample_texts: to time encoders on.
    """

    name: str
    layout: str
    records: int = 0
    pairs: int = 0
    pictures_alone: int = 0
    texts_alone: int = 0
    unreadable: int = 0
    problems: int = 0
    empty_texts: int = 0
    duplicates: int = 0
    repeated_pictures: int = 0
    several_captions: int = 0
    texts: int = 0
    picture_bytes: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    sample_pictures: list[bytes | Path] = field(default_factory=list)
    sample_texts: list[str] = field(default_factory=list)

    @property
    def can_fit(self) -> bool:
        """Whether there are two pairs that differ."""
        return self.pairs - self.duplicates >= 2

    @property
    def can_index(self) -> bool:
        """Whether a fitted hasher finds anything to code."""
        return self.pairs + self.pictures_alone + self.texts_alone > 0


def check_source(
    source: OpenedSource, reading: Reading | None = None, *, workers: int | None = None, progress: Progress = silent
) -> SourceCheck:
    """Read all of a source and open every picture; nothing is encoded, and memory stays bounded.

    workers: processes that open pictures, by default one a core; 0 opens them here. progress: steps in items.

    Raises what the source raises as a whole, and SettingsError for a negative number of workers.
    """
    workers = (os.cpu_count() or 1) if workers is None else workers
    if workers < 0:
        raise SettingsError(f"workers is 0 or more; got {workers}.")
    run = _Run(SourceCheck(source.name, source.layout), reading or Reading())
    total = source.count() or 0
    with ExitStack() as opened:
        ask: Ask = _opened_here
        if workers:
            ask = opened.enter_context(PictureReaders(Preparation(side=8), workers)).submit
        for record, outcome in _ahead(source.records(), ask, _AHEAD * max(workers, 1)):
            told = None if outcome is None else outcome.result()
            run.add(record, told if isinstance(told, str) else "")
            if run.found.records % _TOLD == 0:
                progress(Step("check", run.found.records, max(total, run.found.records)))
    progress(Step("check", run.found.records, max(total, run.found.records)))
    return run.found


Ask = Callable[[bytes | Path], Future[Any]]
"""Opens a picture now or later; the outcome is the reason why it cannot be opened, or anything but text."""


def _opened_here(picture: bytes | Path) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        open_picture(picture)
        future.set_result(None)
    except DataError as error:
        future.set_result(str(error))
    return future


def _ahead(records: Iterator[Record], ask: Ask, ahead: int) -> Iterator[tuple[Record, Future[Any] | None]]:
    """The records, each with its picture asked for some places before it is needed."""
    waiting: deque[tuple[Record, Future[Any] | None]] = deque()
    for record in records:
        wanted = record.picture if not record.problem else None
        waiting.append((record, None if wanted is None else ask(wanted)))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


@dataclass
class _Run:
    """One check under way."""

    found: SourceCheck
    reading: Reading
    pairs_seen: SeenNames = field(default_factory=SeenNames)
    pictures_seen: SeenNames = field(default_factory=SeenNames)

    def add(self, record: Record, reason: str) -> None:
        """Count an item. reason: why its picture does not open, or ""."""
        found = self.found
        row = found.records
        found.records += 1
        texts = self.reading.texts(record, joined=False)
        if record.problem or reason:
            found.problems += bool(record.problem)
            found.unreadable += bool(reason)
            self._leave(LeftOut.of(row, record, reason))
            return
        found.empty_texts += bool(record.texts) and not any(text.strip() for text in record.texts)
        found.several_captions += len(texts) > 1
        found.texts += len(texts)
        if len(found.sample_texts) < SAMPLE:
            found.sample_texts += texts[:1]
        if record.picture is None:
            found.texts_alone += bool(texts)
            if not texts:
                found.problems += 1
                self._leave(LeftOut.of(row, record, "it has neither picture nor text"))
            return
        self._picture(record.picture, texts)
        found.pairs += bool(texts)
        found.pictures_alone += not texts

    def _picture(self, picture: bytes | Path, texts: tuple[str, ...]) -> None:
        found = self.found
        try:
            content = read_bytes(picture)
        except DataError:  # it opened a moment ago and is gone
            return
        found.picture_bytes += len(content)
        digest = hashlib.sha256(content).hexdigest()
        found.repeated_pictures += not self.pictures_seen.add(digest)
        if texts:
            found.duplicates += not self.pairs_seen.add("\0".join((digest, *texts)))
        if len(found.sample_pictures) < SAMPLE and len(content) <= _SAMPLE_BYTES:
            found.sample_pictures.append(picture)

    def _leave(self, item: LeftOut) -> None:
        if len(self.found.left_out) < EXAMPLES:
            self.found.left_out.append(item)
