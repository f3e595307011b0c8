"""Checking a collection in full: every checksum, every id, every code, every record of the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossbit.codes import Codes
from crossbit.collection.block import MODALITIES
from crossbit.collection.changes import apply_records
from crossbit.collection.engines import damaged_engines
from crossbit.collection.ids import hash_ids
from crossbit.collection.items import FIXED
from crossbit.collection.log import read_log
from crossbit.collection.manifest import COPY, MANIFEST, Described, Manifest, SegmentEntry, described, sound_content
from crossbit.collection.segment import memory_segment, open_segment
from crossbit.collection.snapshot import Snapshot
from crossbit.collection.state import HASHER, VOCABULARY, load_state, removed_rows
from crossbit.encoders import load_vocabulary
from crossbit.errors import CrossbitError, FileFormatError
from crossbit.hasher import Hasher
from crossbit.progress import Progress, Step, silent

_PASSED_OVER = "it is not whole, and searches compare in full without it; delete it, or build it again"


@dataclass(frozen=True)
class Problem:
    """Something that is wrong. name: the file or folder in the collection. what: in words for a person."""

    name: str
    what: str


def check_collection(path: Path, progress: Progress = silent) -> list[Problem]:
    """What is wrong with a collection: all checksums, ids, codes and the log are looked at. Changes nothing.

    Raises FileFormatError where there is no collection at all.
    """
    try:
        version = sound_content(path / MANIFEST)["version"]
        manifest = Manifest.read(path) if version != 1 else None
    except FileFormatError as error:
        if not (path / MANIFEST).exists() and not (path / COPY).exists():
            raise
        return [Problem(MANIFEST, str(error))]
    if manifest is None:
        try:
            load_state(path)
        except CrossbitError as error:
            return [Problem(MANIFEST, str(error))]
        return []
    engines = [Problem(f"{place.parent.name}/{place.name}", _PASSED_OVER) for place in damaged_engines(path)]
    return [*_hasher_problems(path, manifest), *_content_problems(path, manifest, progress), *engines]


def _hasher_problems(path: Path, manifest: Manifest) -> Iterator[Problem]:
    folder = path / manifest.hasher_folder
    problems = list(file_problems(folder, manifest.hasher_files))
    yield from problems
    if problems:
        return
    try:
        found = Hasher.load(folder / HASHER).fingerprint()
        if found != manifest.hasher:
            yield Problem(f"{folder.name}/{HASHER}", f"it is the hasher {found}; the codes are of {manifest.hasher}")
        if VOCABULARY in manifest.hasher_files:
            load_vocabulary(folder / VOCABULARY)
    except CrossbitError as error:
        yield Problem(folder.name, str(error))


def _content_problems(path: Path, manifest: Manifest, progress: Progress) -> Iterator[Problem]:
    segments, saved = [], []
    for number, entry in enumerate(manifest.segments):
        problems = segment_problems(path, entry, manifest.n_bits)
        progress(Step("check segments", number + 1, len(manifest.segments)))
        yield from problems
        if not problems:
            segments.append(open_segment(path / entry.name, entry, manifest.n_bits))
            saved.append(removed_rows(path, entry))
    try:
        records, _ = read_log(path / manifest.log)
        tail = memory_segment(manifest.n_bits, FIXED, [])
        snapshot = apply_records(Snapshot(manifest.n_bits, (*segments, tail), (*saved, None)), records)
    except (CrossbitError, OSError) as error:
        yield Problem(manifest.log, str(error))
        return
    twice = listed_twice(snapshot)
    if twice:
        yield Problem(MANIFEST, f"{len(twice)} ids stand for more than one item, such as {next(iter(twice))!r}")


def segment_problems(path: Path, entry: SegmentEntry, n_bits: int) -> list[Problem]:
    """What is wrong with a segment and the list of what was removed from it."""
    problems = list(file_problems(path / entry.name, entry.files))
    if entry.removed:
        problems += file_problems(path, {entry.removed.file: entry.removed.described})
    if problems:
        return problems
    try:
        segment = open_segment(path / entry.name, entry, n_bits)
        removed_rows(path, entry)
        start = 0
        for block in segment.blocks():
            for modality in MODALITIES:
                Codes(block.codes[modality], n_bits)
            found = segment.find(block.ids, hash_ids(block.ids), None)
            if (found != np.arange(start, start + len(block))).any():
                return [Problem(entry.name, "its table of ids leads to other items, or an id stands in it twice")]
            start += len(block)
    except (CrossbitError, OSError) as error:
        return [Problem(entry.name, str(error))]
    return []


def file_problems(folder: Path, files: Mapping[str, Described]) -> Iterator[Problem]:
    """What is wrong with files in a folder, by their sizes and checksums."""
    for name, (size, checksum) in files.items():
        place = f"{folder.name}/{name}"
        try:
            found = described(folder / name)
        except OSError as error:
            yield Problem(place, f"it cannot be read: {error.strerror}")
            continue
        if found[0] != size:
            yield Problem(place, f"it has {found[0]} bytes in place of {size}")
        elif found[1] != checksum:
            yield Problem(place, "it was altered: its checksum does not fit")


def listed_twice(snapshot: Snapshot) -> dict[str, list[int]]:
    """The ids that stand for more than one item, each with its rows."""
    hashes = np.concatenate([np.asarray(segment.ids.hashes) for segment in snapshot.segments])
    hashes.sort()
    suspects = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    found: dict[str, list[int]] = {}
    for segment, dead, start in zip(snapshot.segments, snapshot.dead, snapshot.starts.tolist(), strict=False):
        _, rows = segment.ids.candidates(suspects)
        rows = np.sort(rows if dead is None else rows[~dead[rows]])
        if len(rows):
            for name, row in zip(segment.items.take("id", rows).to_pylist(), rows.tolist(), strict=True):
                found.setdefault(name, []).append(start + row)
    return {name: rows for name, rows in found.items() if len(rows) > 1}
