"""Encoding at any size: records in, shards on disk out, with bounded memory, and gone on with after a kill."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from crossbit.encoders.batches import Batches, Lanes
from crossbit.encoders.decoding import PictureReaders
from crossbit.encoders.encoder import Encoder, PictureEncoder
from crossbit.encoders.kept_memory import memory_kept
from crossbit.encoders.shards import MODALITIES, Left, Modality, Shard, read_shard, shard_path, write_shard
from crossbit.encoders.store import MANIFEST, SKIPPED, EncodedStore, Manifest
from crossbit.errors import FileFormatError, MismatchError, SettingsError
from crossbit.files import write_whole
from crossbit.progress import Progress, Step, silent
from crossbit.sources.record import Record, Source

SHARD_SIZE = 1024  # items: at most so many are encoded again after a kill
_TEXT_BATCH = 256
_BATCH = 32  # pictures at once for an encoder that does not say how many it likes
_AHEAD = 4  # pictures that wait for the encoder, a worker: they bound the memory
_MOST_LANES = 4


def words_of(record: Record) -> str:
    """The words of a record as one text: its captions, then its tags."""
    return " ".join([*record.texts, *record.tags])


def encode_stream(
    source: Source | Iterable[Record],
    encoders: Mapping[Modality, Encoder],
    folder: str | Path,
    *,
    shard_size: int = SHARD_SIZE,
    workers: int | None = None,
    lanes: int | None = None,
    words: Callable[[Record], str] = words_of,
    progress: Progress = silent,
) -> EncodedStore:
    """Encode all records of a source into a folder of shards, and open it.

    encoders: one for "image", one for "text" or both. Where the picture encoder is a `PictureEncoder`, `workers`
    processes (default: the number of cores) open and prepare pictures while it computes, `lanes` batches at a time
    (default: as many as leave each of torch's threads a core, 4 at most). words: the text of a record; one without
    words has no text.

    What cannot be encoded is left out and named with its reason in skipped.jsonl; it stops nothing. The same call
    again goes on after a stop of any kind: finished shards are kept, so at most `shard_size` items are encoded
    again. On a finished folder it does nothing. Memory does not grow with the number of items. progress: steps in
    items, with the terms "per second" and "seconds left"; where the source cannot tell how many there are, total is
    the number of those done.

    Raises SettingsError for values out of range, MismatchError where the folder was begun with other encoders, items
    or shards, and what the source or an encoder raises about itself.
    """
    folder = Path(folder)
    cores = os.cpu_count() or 1
    workers = cores if workers is None else workers
    lanes = _default_lanes(cores) if lanes is None else lanes
    if not encoders or set(encoders) - set(MODALITIES):
        raise SettingsError(f"encoders are given for image, text or both; got {sorted(encoders)}.")
    if shard_size < 1 or workers < 1 or lanes < 1:
        raise SettingsError(f"shard_size, workers and lanes are 1 or more; got {shard_size}, {workers} and {lanes}.")
    origin = _Listed(source) if isinstance(source, Iterable) else source
    manifest, done = _begin(folder, _manifest(origin, encoders, shard_size))
    if manifest.n is None:
        records = _rest(origin, folder, done, shard_size) if isinstance(origin, _Listed) else origin.records(done)
        run = _Run(encoders, words, folder, shard_size, _Clock(origin, done, progress))
        with ExitStack() as opened:
            run.encode(records, done, workers, lanes, opened)
        replace(manifest, n=run.clock.done).write(folder)
    return EncodedStore.open(folder)


def _default_lanes(cores: int) -> int:
    """Torch computes an operation on OMP_NUM_THREADS cores; batches side by side take the others, and scale better."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(given) if given.isdigit() and int(given) else cores
    return max(1, min(_MOST_LANES, cores // threads))


def _manifest(source: Source, encoders: Mapping[Modality, Encoder], shard_size: int) -> Manifest:
    return Manifest(
        encoders={modality: encoder.fingerprint() for modality, encoder in sorted(encoders.items())},
        widths={modality: encoder.width for modality, encoder in sorted(encoders.items())},
        source=source.name,
        source_fingerprint=source.fingerprint(),
        shard_size=shard_size,
    )


@dataclass(frozen=True)
class _Listed:
    """Records that stand in no source: a list, or whatever gives the same ones again."""

    listed: Iterable[Record]
    name: str = ""

    def count(self) -> int | None:
        return len(self.listed) if isinstance(self.listed, Sized) else None

    def records(self, start: int = 0) -> Iterator[Record]:
        return islice(self.listed, start, None)

    def fingerprint(self) -> str:
        return ""


def _begin(folder: Path, wanted: Manifest) -> tuple[Manifest, int]:
    """The manifest of a folder, written where there is none, and how many items stand in it already."""
    if not (folder / MANIFEST).exists():
        if folder.exists() and any(folder.iterdir()):
            raise FileFormatError(f"{folder} is not empty and holds no encoded items; give a new folder.")
        wanted.write(folder)
        return wanted, 0
    manifest = Manifest.read(folder)
    wanted.check_same(manifest, folder)
    if manifest.n is not None:
        return manifest, manifest.n
    done = 0
    lines: list[bytes] = []
    while (path := shard_path(folder, done // wanted.shard_size)).exists():
        shard = read_shard(path)
        lines.extend(_line(left) for left in shard.skipped)
        done += len(shard)
        if len(shard) < wanted.shard_size:
            break
    write_whole(folder / SKIPPED, b"".join(lines))
    for part in folder.glob(".*.part"):  # of the file that was being written
        part.unlink()
    return manifest, done


def _rest(source: _Listed, folder: Path, done: int, shard_size: int) -> Iterator[Record]:
    """The records after the first `done`; raises MismatchError where these are not those of the shards."""
    records = source.records()
    for number in range(-(-done // shard_size)):
        stored = read_shard(shard_path(folder, number)).ids
        if tuple(record.id for record in islice(records, len(stored))) != stored:
            raise MismatchError(
                f"{folder} was begun with other records: those of shard {number} have other ids. Give the same records "
                "in the same order to go on, or another folder."
            )
    return records


def _line(left: Left) -> bytes:
    return (json.dumps(asdict(left)) + "\n").encode()


class _Clock:
    """How far the work is, how fast it goes and how long it takes."""

    def __init__(self, source: Source, done: int, progress: Progress) -> None:
        self.total = source.count()
        self.done = self._start = done
        self._began, self._progress = time.monotonic(), progress

    def step(self) -> None:
        """One more item; every 16th is told."""
        self.done += 1
        if self.done % 16 == 0:
            self.tell()

    def tell(self) -> None:
        """Tell how far the work is."""
        rate = (self.done - self._start) / max(time.monotonic() - self._began, 1e-9)
        terms = {"per second": rate}
        if self.total is not None and rate > 0:
            terms["seconds left"] = max(self.total - self.done, 0) / rate
        self._progress(Step("encode", self.done, max(self.total or 0, self.done), terms))


Prepared = Future[Any] | None


@dataclass
class _Run:
    """One call: what is encoded how, and where it goes."""

    encoders: Mapping[Modality, Encoder]
    words: Callable[[Record], str]
    folder: Path
    shard_size: int
    clock: _Clock

    def encode(self, records: Iterator[Record], done: int, workers: int, lanes: int, opened: ExitStack) -> None:
        """Encode shard after shard until the records end."""
        computing = Lanes(lanes)
        opened.callback(computing.close)
        readers = None
        painter = self.encoders.get("image")
        if isinstance(painter, PictureEncoder):
            opened.enter_context(memory_kept())
            readers = opened.enter_context(PictureReaders(painter.preparation, workers))
        coming = _ahead(records, readers, _AHEAD * workers + _BATCH)
        while done % self.shard_size == 0:  # a shorter shard is the last
            shard = self.shard(islice(coming, self.shard_size), done, computing, prepared=readers is not None)
            if len(shard):
                write_shard(shard_path(self.folder, done // self.shard_size), shard)
                with (self.folder / SKIPPED).open("ab") as file:
                    file.writelines(_line(left) for left in shard.skipped)
                done += len(shard)
            self.clock.tell()
            if not len(shard):
                return

    def shard(self, part: Iterator[tuple[Record, Prepared]], start: int, lanes: Lanes, *, prepared: bool) -> Shard:
        """The next shard's items, encoded."""
        ids: list[str] = []
        skipped: list[Left] = []
        batches = {
            modality: Batches(
                encoder,
                lanes if modality == "image" and prepared else Lanes(0),
                prepared=modality == "image" and prepared,
                size=_TEXT_BATCH if modality == "text" else getattr(encoder, "batch", _BATCH),
            )
            for modality, encoder in self.encoders.items()
        }
        for row, (record, picture) in enumerate(part, start):
            ids.append(record.id)
            skipped.extend(Left(row, record.id, what, why) for what, why in self.item(record, picture, row, batches))
            self.clock.step()
        features, rows = {}, {}
        for modality, batch in batches.items():
            features[modality], rows[modality], reasons = batch.finish()
            skipped.extend(Left(row, ids[row - start], modality, reason) for row, reason in reasons)
        skipped.sort(key=lambda left: (left.row, left.what))
        return Shard(start, tuple(ids), features, rows, tuple(skipped))

    def item(
        self, record: Record, picture: Prepared, row: int, batches: Mapping[Modality, Batches]
    ) -> Iterator[tuple[str, str]]:
        """Add an item's parts to the batches, and give what of it is left out with the reasons."""
        if record.problem:
            yield "item", record.problem
            return
        words = self.words(record) if "text" in batches else ""
        if record.picture is None and not words.strip():
            yield "item", "it has neither a picture nor words" if "text" in batches else "it has no picture"
        if "image" in batches and record.picture is not None:
            outcome = record.picture if picture is None else picture.result()
            if isinstance(outcome, str):
                yield "image", outcome
            else:
                batches["image"].add(row, outcome)
        if words.strip():
            batches["text"].add(row, words)


def _ahead(records: Iterator[Record], readers: PictureReaders | None, ahead: int) -> Iterator[tuple[Record, Prepared]]:
    """The records, each with its picture asked for some places before it is needed."""
    waiting: deque[tuple[Record, Prepared]] = deque()
    broken: Exception | None = None
    while True:
        try:
            record = next(records)
        except StopIteration:
            break
        except Exception as error:  # what came before it is encoded first
            broken = error
            break
        wanted = record.picture is not None and not record.problem
        future = readers.submit(record.picture) if readers is not None and wanted else None
        kept = replace(record, picture=b"") if future is not None else record  # its content waits with the readers
        waiting.append((kept, future))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting
    if broken is not None:
        raise broken
