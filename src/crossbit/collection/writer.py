"""Changing a collection: adding, removing, and putting segments together. One change at a time, each whole or not."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from crossbit.collection.additions import Added, Additions, IfExists
from crossbit.collection.block import Block
from crossbit.collection.changes import added, appended, removed
from crossbit.collection.commit import Part, clear_leftovers, commit, new_mark, write_hasher, write_segment
from crossbit.collection.ids import Rows
from crossbit.collection.lock import writer_lock
from crossbit.collection.log import LogWriter, Record
from crossbit.collection.snapshot import Snapshot
from crossbit.collection.state import State, follow, load_state
from crossbit.errors import DataError

LOG_ITEMS = 4_096  # items, or records, that the log takes before they become a segment
LOG_BYTES = 16 << 20
SMALL = 1_024  # items of an addition that goes to the log; a larger one becomes a segment at once
LARGEST_FOLDED = 1 << 20  # items of a segment that is still put together with later ones


class Writer:
    """Holds the state of a collection's folder and is the one to change it. Threads take turns, and so do processes.

    patience: seconds to wait for another process (see `writer_lock`).
    """

    def __init__(self, path: Path, state: State, patience: float) -> None:
        self.path, self.state, self.patience = path, state, patience
        self._threads = threading.RLock()
        self._log: LogWriter | None = None
        self._log_name = ""

    def refresh(self) -> None:
        """Take in what other processes changed."""
        with self._threads:
            self.state = follow(self.path, self.state)

    @contextmanager
    def changing(self, what: str) -> Iterator[None]:
        """Hold the lock while the block runs; the state is then the present one, in the present format."""
        with self._threads, writer_lock(self.path, what, self.patience):
            self.state = follow(self.path, self.state)
            if self.state.manifest.version == 1:
                self._upgrade()
            yield

    def add(self, n: int, blocks: Iterable[Block], if_exists: IfExists) -> Added:
        """Add n items that come in blocks, whole or not at all. Within `changing`."""
        blocks = list(blocks) if n <= SMALL else blocks
        if isinstance(blocks, list) and sum(_size(block) for block in blocks) <= LOG_BYTES // 2:
            additions = Additions(self.state.snapshot, if_exists)
            fresh = list(additions.fresh(blocks))
            if len(fresh) > 1:
                raise DataError("So few items come in one block.")
            for block in fresh:
                self._change(added(block), _upserted(self.state.snapshot, block))
            self._flush_when_full()
            return additions.outcome
        self.flush()
        additions = Additions(self.state.snapshot, if_exists)
        with self.tidied():
            entry = write_segment(self.path, self.state.manifest, additions.fresh(blocks), {})
            if entry is not None:
                snapshot = self.state.snapshot
                snapshot = snapshot.without(additions.replaced) if len(additions.replaced) else snapshot
                self._commit([*self._parts(snapshot), (entry, None, False)])
        self._fold()
        return additions.outcome

    def remove(self, ids: list[str], rows: Rows) -> None:
        """Remove the items of some rows, whose ids these are. Within `changing`."""
        for start in range(0, len(ids), LOG_ITEMS):
            part = slice(start, start + LOG_ITEMS)
            # The rows stay where they are: only what follows the last part may flush.
            self._change(removed(ids[part]), self.state.snapshot.without(rows[part]))
        self._flush_when_full()

    def flush(self) -> None:
        """Make what stands in the log a segment. Within `changing`."""
        if not self.state.place.number:
            return
        with self.tidied():
            snapshot = self.state.snapshot
            blocks = snapshot.segments[-1].blocks(snapshot.dead[-1])
            entry = write_segment(self.path, self.state.manifest, blocks, {})
            self._commit([*self._parts(snapshot), *([] if entry is None else [(entry, None, False)])])

    def put_together(self, first: int) -> None:
        """Make one segment of those from a number on, and of the log, without what was removed. Within `changing`."""
        with self.tidied():
            snapshot = self.state.snapshot
            pairs = list(zip(snapshot.segments, snapshot.dead, strict=True))[first:]
            blocks = (block for segment, dead in pairs for block in segment.blocks(dead))
            entry = write_segment(self.path, self.state.manifest, blocks, snapshot.kinds)
            self._commit([*self._parts(snapshot)[:first], *([] if entry is None else [(entry, None, False)])])

    def close(self) -> None:
        """Close the log; the next change opens it again."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _change(self, record: Record, changed: Snapshot) -> None:
        """Put a record into the log; once it is on the disk, what it makes of the snapshot is the present."""
        state = self.state
        if self._log is None or self._log_name != state.manifest.log or self._log.place != state.place:
            self.close()
            self._log = LogWriter(self.path / state.manifest.log, state.place)
            self._log_name = state.manifest.log
        try:
            place = self._log.append(record)
        except BaseException:
            self.close()
            raise
        self.state = replace(state, snapshot=changed, place=place)

    def _flush_when_full(self) -> None:
        place, items = self.state.place, len(self.state.snapshot.segments[-1])
        if items >= LOG_ITEMS or place.number >= LOG_ITEMS or place.end >= LOG_BYTES:
            self.flush()
            self._fold()

    def _fold(self) -> None:
        """Put the last segments together, so that few are left, each larger than all that follow it."""
        entries = self.state.manifest.segments
        first, held = len(entries), 0
        while first and entries[first - 1].n < LARGEST_FOLDED and (not held or entries[first - 1].n <= held):
            first -= 1
            held += entries[first].n
        if first < len(entries) - 1:
            self.put_together(first)

    def _parts(self, snapshot: Snapshot) -> list[Part]:
        """The segments on disk as parts of the next manifest."""
        state = self.state
        return [
            (entry, dead, dead is not saved)
            for entry, dead, saved in zip(state.manifest.segments, snapshot.dead, state.saved, strict=False)
        ]

    def _commit(self, parts: list[Part]) -> None:
        commit(self.path, self.state.manifest, parts)
        self.state = load_state(self.path, self.state)

    @contextmanager
    def tidied(self) -> Iterator[None]:
        """Whatever happens in the block, nothing that no manifest names is left behind."""
        self.close()
        try:
            yield
        finally:
            clear_leftovers(self.path)

    def _upgrade(self) -> None:
        """Write a collection of format version 1 in the present format."""
        with self.tidied():
            folder = self.path / f"hasher-{new_mark(1)}"
            files = write_hasher(folder, self.state.hasher, self.state.vocabulary)
            manifest = replace(self.state.manifest, hasher_folder=folder.name, hasher_files=files)
            entry = write_segment(self.path, manifest, self.state.snapshot.segments[0].blocks(), {})
            commit(self.path, manifest, [] if entry is None else [(entry, None, False)])
            self.state = load_state(self.path)


def _upserted(snapshot: Snapshot, block: Block) -> Snapshot:
    rows = snapshot.find(block.ids)
    return appended(snapshot.without(rows[rows >= 0]) if (rows >= 0).any() else snapshot, [block])


def _size(block: Block) -> int:
    arrays: list[NDArray[Any]] = [*block.codes.values(), *block.features.values()]
    return int(block.batch.nbytes) + sum(array.nbytes for array in arrays)
