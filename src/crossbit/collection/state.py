"""A collection's folder as it was read: manifest, hasher and snapshot, and how they follow what writers do."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from crossbit.collection.batches import WHAT_TO_DO
from crossbit.collection.block import Kept
from crossbit.collection.changes import apply_records
from crossbit.collection.items import FIXED, schema_of
from crossbit.collection.legacy import read_version_1
from crossbit.collection.log import Place, read_log
from crossbit.collection.manifest import MANIFEST, Manifest, SegmentEntry, sound_content
from crossbit.collection.segment import memory_segment, open_segment
from crossbit.collection.snapshot import Snapshot
from crossbit.encoders import Vocabulary, load_vocabulary
from crossbit.errors import CrossbitError, FileFormatError
from crossbit.hasher import Hasher

HASHER, VOCABULARY = "hasher.safetensors", "vocabulary.json"
_TRIES = 20  # readings that a writer overtook, before its work is taken for damage
Stamp = tuple[int, int, int]
Read = TypeVar("Read")


@dataclass(frozen=True, eq=False)
class State:
    """A collection as it was read. stamp: which manifest file it was. saved: by segment, the removed rows on disk.

    place: up to where the log was read. The snapshot's last segment is what is in memory alone.
    """

    stamp: Stamp
    manifest: Manifest
    hasher: Hasher
    vocabulary: Vocabulary | None
    snapshot: Snapshot
    saved: tuple[Kept | None, ...]
    place: Place


def load_state(path: Path, before: State | None = None) -> State:
    """Read a collection's folder. before: an older state, whose open files are used again where they still belong.

    Raises FileFormatError, naming the file and what to do, for what is missing, damaged or of an unknown version.
    """
    return _unless_overtaken(path, lambda: _load(path, before))


def follow(path: Path, state: State) -> State:
    """The present state of a collection, given an earlier one; the same object where nothing changed."""
    return _unless_overtaken(path, lambda: _follow(path, state))


def _unless_overtaken(path: Path, read: Callable[[], Read]) -> Read:
    for _ in range(_TRIES):
        before = _stamp(path)
        try:
            return read()
        except (CrossbitError, OSError) as error:
            if _stamp(path) == before:
                if isinstance(error, CrossbitError):
                    raise
                raise FileFormatError(
                    f"{error.filename or path} cannot be read: {error.strerror}. {WHAT_TO_DO}"
                ) from error
    raise FileFormatError(f"{path} changes faster than it can be read. Try again.")


def _stamp(path: Path) -> Stamp | None:
    try:
        found = os.stat(path / MANIFEST)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _follow(path: Path, state: State) -> State:
    if _stamp(path) != state.stamp:
        return _load(path, state)
    if not state.manifest.log:
        return state
    log = path / state.manifest.log
    size = log.stat().st_size
    if size == state.place.end:
        return state
    if size < state.place.end:  # a change that could not be flushed was taken back
        return _load(path, state)
    try:
        records, place = read_log(log, state.place)
    except FileFormatError:
        return _load(path, state)
    return replace(state, snapshot=apply_records(state.snapshot, records), place=place)


def _load(path: Path, before: State | None) -> State:
    stamp = _stamp(path)
    if stamp is None or sound_content(path / MANIFEST)["version"] == 1:
        return _load_version_1(path, stamp)
    manifest = Manifest.read(path)
    opened = {} if before is None else {segment.name: segment for segment in before.snapshot.segments if segment.name}
    segments, saved = [], []
    for entry in manifest.segments:
        segments.append(opened.get(entry.name) or open_segment(path / entry.name, entry, manifest.n_bits))
        saved.append(removed_rows(path, entry))
    tail = memory_segment(manifest.n_bits, schema_of({}), [])
    snapshot = Snapshot(manifest.n_bits, (*segments, tail), (*saved, None))
    records, place = read_log(path / manifest.log)
    if before is not None and before.manifest.hasher_folder == manifest.hasher_folder:
        hasher, vocabulary = before.hasher, before.vocabulary
    else:
        hasher, vocabulary = _read_hasher(path / manifest.hasher_folder, VOCABULARY in manifest.hasher_files)
    _check_hasher(path, manifest, hasher)
    return State(stamp, manifest, hasher, vocabulary, apply_records(snapshot, records), tuple(saved), place)


def _load_version_1(path: Path, stamp: Stamp | None) -> State:
    manifest, blocks = read_version_1(path)
    folder = path / manifest.hasher_folder
    hasher, vocabulary = _read_hasher(folder, (folder / VOCABULARY).is_file())
    _check_hasher(path, manifest, hasher)
    held = memory_segment(manifest.n_bits, FIXED, blocks)
    tail = memory_segment(manifest.n_bits, FIXED, [])
    snapshot = Snapshot(manifest.n_bits, (held, tail), (None, None))
    assert stamp is not None  # the manifest was read
    return State(stamp, manifest, hasher, vocabulary, snapshot, (None,), Place())


def _read_hasher(folder: Path, with_vocabulary: bool) -> tuple[Hasher, Vocabulary | None]:
    return Hasher.load(folder / HASHER), load_vocabulary(folder / VOCABULARY) if with_vocabulary else None


def _check_hasher(path: Path, manifest: Manifest, hasher: Hasher) -> None:
    if (hasher.fingerprint(), hasher.n_bits) != (manifest.hasher, manifest.n_bits):
        raise FileFormatError(
            f"{path / manifest.hasher_folder / HASHER} is the hasher {hasher.fingerprint()}; the codes were made by "
            f"{manifest.hasher}. Restore the file from a copy."
        )


def removed_rows(path: Path, entry: SegmentEntry) -> Kept | None:
    """Which rows of a segment are removed, or None where none are; raises FileFormatError for a damaged list."""
    if entry.removed is None:
        return None
    file = path / entry.removed.file
    try:
        rows = np.load(file, allow_pickle=False)
        fits = rows.dtype == np.int64 and rows.shape == (entry.removed.n,)
        if not fits or (len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < entry.n):
            raise FileFormatError(f"{file} does not list removed rows. {WHAT_TO_DO}")
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, CrossbitError | FileNotFoundError):
            raise
        raise FileFormatError(f"{file} cannot be read: {error}. {WHAT_TO_DO}") from error
    dead = np.zeros(entry.n, np.bool_)
    dead[rows] = True
    return dead
