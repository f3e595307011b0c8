"""Which of the items given are new, which stand in the collection already, and which of those with other content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from crossbit.collection.block import Block, Kept, same_items
from crossbit.collection.changes import merged_kinds
from crossbit.collection.ids import Rows
from crossbit.collection.items import metadata_kinds
from crossbit.collection.snapshot import Snapshot
from crossbit.errors import DataError

IfExists = Literal["error", "replace", "keep"]


@dataclass(frozen=True)
class Added:
    """What an addition did. added: new items. replaced: items of the same id in whose place others stand now.

    unchanged: items that stood there already with the same content, or were kept.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0


class Additions:
    """Goes through items that are to be added to a snapshot. outcome: what was found so far.

    replaced: the rows in whose place other content stands.
    """

    def __init__(self, snapshot: Snapshot, if_exists: IfExists) -> None:
        self._snapshot, self._if_exists = snapshot, if_exists
        self.replaced: Rows = np.empty(0, np.int64)
        self.outcome = Added()

    def fresh(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The items that must be written; raises DataError for those that stand there with other content."""
        for block in blocks:
            merged_kinds(self._snapshot.kinds, metadata_kinds(block.batch.schema))
            rows = self._snapshot.find(block.ids)
            known = rows >= 0
            differs = np.zeros(len(block), np.bool_)
            if known.any():
                differs[known] = ~self._same(block.filter(known), rows[known])
            if differs.any() and self._if_exists == "error":
                first = block.ids[int(np.flatnonzero(differs)[0])].as_py()
                raise DataError(
                    f"{int(differs.sum())} items are in the collection already with other content, the first is "
                    f"{first!r}. Nothing was added. Say what to do with such: if_exists='replace' or 'keep' "
                    "(--if-exists)."
                )
            replaced = differs if self._if_exists == "replace" else np.zeros(len(block), np.bool_)
            wanted = ~known | replaced
            self._count(known, replaced, wanted)
            self.replaced = np.concatenate([self.replaced, rows[replaced]])
            if wanted.any():
                yield block.filter(wanted)

    def _count(self, known: Kept, replaced: Kept, wanted: Kept) -> None:
        before = self.outcome
        self.outcome = Added(
            before.added + int((~known).sum()),
            before.replaced + int(replaced.sum()),
            before.unchanged + int((~wanted).sum()),
        )

    def _same(self, block: Block, rows: Rows) -> Kept:
        """Which items agree with those of the rows, (n,) bool."""
        same = np.zeros(len(rows), np.bool_)
        numbers = np.searchsorted(self._snapshot.starts, rows, side="right") - 1
        for number in np.unique(numbers).tolist():
            inside = numbers == number
            held = self._snapshot.segments[number].block(rows[inside] - self._snapshot.starts[number])
            same[inside] = same_items(held, block.filter(inside))
        return same
