"""Mending a damaged collection: what is whole stays, what is not is kept in a folder of its own, nothing silently."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from crossbit.collection.batches import Batches
from crossbit.collection.changes import apply_records
from crossbit.collection.check import check_collection, listed_twice, segment_problems
from crossbit.collection.commit import Part, clear_leftovers, commit, write_segment
from crossbit.collection.engines import damaged_engines
from crossbit.collection.ids import IdTable, hash_ids
from crossbit.collection.items import FIXED
from crossbit.collection.lock import writer_lock
from crossbit.collection.log import read_log, records_before_damage
from crossbit.collection.manifest import COPY, MANIFEST, Manifest, SegmentEntry
from crossbit.collection.segment import ID_HASHES, ID_ROWS, Segment, memory_segment, open_segment
from crossbit.collection.snapshot import Snapshot
from crossbit.collection.state import load_state, removed_rows
from crossbit.errors import CrossbitError, FileFormatError
from crossbit.files import write_whole

QUARANTINE = "quarantine"


def repair_collection(path: Path, patience: float = 5.0) -> list[str]:
    """Mend what `check_collection` finds and say what was done and lost, a sentence each; empty where nothing was.

    Damaged parts are kept in the folder `quarantine` of the collection. Nothing is changed before copies stand there.
    Raises FileFormatError for what cannot be mended: a damaged hasher, no sound manifest, format version 1.
    """
    with writer_lock(path, "repair", patience):
        told: list[str] = []
        _mend_manifest(path, told)
        for place in damaged_engines(path):
            place.unlink()
            told.append(f"{place.parent.name}/{place.name} was damaged and is deleted: codes are compared in full.")
        if not check_collection(path):
            return told
        _Repair(path, told).run()
        load_state(path)
        return told


def _mend_manifest(path: Path, told: list[str]) -> None:
    try:
        Manifest.read(path)
        return
    except FileFormatError as error:
        try:
            copy = Manifest.read(path, COPY)
        except FileFormatError:
            raise error from None
    _keep(path, MANIFEST)
    write_whole(path / MANIFEST, copy.to_json())
    told.append(f"{MANIFEST} was damaged and is restored from its copy; the damaged one is in {QUARANTINE}.")


def _keep(path: Path, name: str) -> None:
    """Put a copy of a file or folder into quarantine."""
    kept = path / QUARANTINE
    kept.mkdir(exist_ok=True)
    target, number = kept / name, 1
    while target.exists():
        target, number = kept / f"{name}.{number}", number + 1
    if (path / name).is_dir():
        shutil.copytree(path / name, target)
    elif (path / name).exists():
        shutil.copy2(path / name, target)


class _Repair:
    """One repair. told: what was done."""

    def __init__(self, path: Path, told: list[str]) -> None:
        self._path, self._told, self._manifest = path, told, Manifest.read(path)

    def run(self) -> None:
        """Mend all that is not the hasher."""
        path, manifest = self._path, self._manifest
        parts: list[Part] = []
        segments: list[Segment] = []
        for entry in manifest.segments:
            problems = segment_problems(path, entry, manifest.n_bits)
            mended = self._mended(entry) if problems else entry
            if mended is not None:
                dead = None if mended is not entry and not mended.removed else removed_rows(path, mended)
                parts.append((mended, dead, False))
                segments.append(open_segment(path / mended.name, mended, manifest.n_bits))
        try:
            records, _ = read_log(path / manifest.log)
        except (CrossbitError, OSError):
            records = records_before_damage(path / manifest.log)
            _keep(path, manifest.log)
            self._told.append(
                f"{manifest.log} was damaged: the {len(records)} changes before the damage are kept, later ones are "
                f"lost; the damaged file is in {QUARANTINE}."
            )
        tail = memory_segment(manifest.n_bits, FIXED, [])
        held = Snapshot(manifest.n_bits, (*segments, tail), (*(dead for _, dead, _ in parts), None))
        self._commit(self._only_newest(apply_records(held, records)), parts)

    def _only_newest(self, snapshot: Snapshot) -> Snapshot:
        twice = listed_twice(snapshot)
        older = [row for rows in twice.values() for row in sorted(rows)[:-1]]
        if older:
            self._told.append(f"{len(twice)} ids stood for several items; the newest of each is kept.")
            return snapshot.without(np.array(older, dtype=np.int64))
        return snapshot

    def _commit(self, snapshot: Snapshot, parts: list[Part]) -> None:
        entry = write_segment(self._path, self._manifest, snapshot.segments[-1].blocks(snapshot.dead[-1]), {})
        changed: list[Part] = [
            (part[0], dead, dead is not part[1] or (dead is None and part[0].removed is not None))
            for part, dead in zip(parts, snapshot.dead, strict=False)
        ]
        commit(self._path, self._manifest, [*changed, *([] if entry is None else [(entry, None, False)])])
        clear_leftovers(self._path)

    def _mended(self, entry: SegmentEntry) -> SegmentEntry | None:
        """A damaged segment with what can be made anew from the rest of it, or None where it must go."""
        names = {problem.name for problem in segment_problems(self._path, entry, self._manifest.n_bits)}
        if entry.removed and any(name.endswith(entry.removed.file) for name in names):
            _keep(self._path, entry.removed.file)
            self._told.append(
                f"{entry.removed.file} was damaged: the {entry.removed.n} items removed from {entry.name} are back; "
                "remove them again."
            )
            entry = replace(entry, removed=None)
            names = {problem.name for problem in segment_problems(self._path, entry, self._manifest.n_bits)}
        tables = {f"{entry.name}/{ID_HASHES}", f"{entry.name}/{ID_ROWS}"}
        if not names:
            return entry
        _keep(self._path, entry.name)
        if names <= tables:
            rebuilt = self._with_new_tables(entry)
            if rebuilt is not None:
                self._told.append(f"The tables of ids of {entry.name} were damaged and are made anew; nothing is lost.")
                return rebuilt
        gone = entry.n - (entry.removed.n if entry.removed else 0)
        self._told.append(
            f"{entry.name} was damaged ({', '.join(sorted(names))}): its {gone} items are lost to the collection; the "
            f"folder is in {QUARANTINE}. Add these items again."
        )
        return None

    def _with_new_tables(self, entry: SegmentEntry) -> SegmentEntry | None:
        """A copy of a segment whose tables of ids are made from its items; nothing but those is damaged."""
        work = self._path / QUARANTINE / f"{entry.name}.mending"
        shutil.copytree(self._path / entry.name, work)
        try:
            items = Batches.open(work / "items.arrow", entry.n)
            table = IdTable.of(np.concatenate([hash_ids(batch.column("id")) for _, batch in items]))
            np.save(work / ID_HASHES, table.hashes, allow_pickle=False)
            np.save(work / ID_ROWS, table.rows, allow_pickle=False)
            segment = open_segment(work, _sized(entry, work), self._manifest.n_bits)
            dead = removed_rows(self._path, entry)
            return write_segment(self._path, self._manifest, segment.blocks(dead), {})
        except (CrossbitError, OSError):
            return None
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _sized(entry: SegmentEntry, folder: Path) -> SegmentEntry:
    files = {name: (os.path.getsize(folder / name), checksum) for name, (_, checksum) in entry.files.items()}
    return replace(entry, files=files)
