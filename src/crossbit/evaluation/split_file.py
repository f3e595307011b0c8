"""Splits published as files: row numbers under the split's id, so that two people measure on the same pairs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossbit.errors import FileFormatError, MismatchError
from crossbit.files import write_whole
from crossbit.pairs import PairedFeatures, Rows, Split

FORMAT, VERSION = "crossbit-split-rows", 1
_PARTS = ("train", "query", "database")
_LARGEST = 1 << 28  # bytes of a split file: some 30 million rows


@dataclass(frozen=True, eq=False)
class PublishedSplit:
    """A split with what it belongs to.

    name: the data set. data: the fingerprint of the features that the rows are rows of. rule: how it was drawn, in
    words. seed: by which seed, None where nothing was drawn.
    """

    split: Split
    name: str
    data: str
    rule: str
    seed: int | None = None

    @property
    def id(self) -> str:
        """The split's id, which is part of every protocol id."""
        return self.split.fingerprint()

    def write(self, path: Path) -> None:
        """Write it as JSON, whole or not at all; runs of rows are written as [first, last]."""
        about = {"format": FORMAT, "version": VERSION, "id": self.id, "name": self.name, "data": self.data}
        parts = {part: _runs(getattr(self.split, part)) for part in _PARTS}
        content = {**about, "rule": self.rule, "seed": self.seed, **parts}
        write_whole(path, (json.dumps(content, separators=(",", ":")) + "\n").encode())

    def rows_of(self, pairs: PairedFeatures) -> Split:
        """The split, for these very pairs; raises MismatchError for others, SplitError for rows beyond them."""
        if self.data and pairs.fingerprint() != self.data:
            raise MismatchError(
                f"Split {self.id} belongs to features {self.data} of {self.name}; these are {pairs.fingerprint()}. "
                "Take the data it was made for, or the split of this data."
            )
        self.split.check_range(len(pairs))
        return self.split


def read_split(path: Path) -> PublishedSplit:
    """A split from its file; raises FileFormatError for one that is damaged or whose rows do not give its id."""
    try:
        if path.stat().st_size > _LARGEST:
            raise FileFormatError(f"{path} has more than {_LARGEST >> 20} MiB; no split is that large.")
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise FileFormatError(f"{path} is no split file of version {VERSION}; look for one that crossbit wrote.")
        split = Split(**{part: _rows(content[part]) for part in _PARTS})
        read = PublishedSplit(split, *(content[key] for key in ("name", "data", "rule", "seed")))
        if read.id != content["id"]:
            raise FileFormatError(f"{path} says {content['id']}, but its rows give {read.id}; it was altered.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path} is no whole split file ({error}); restore a copy.") from error
    return read


def _runs(rows: Rows) -> list[list[int]]:
    """Rows in their order as runs that grow by one: [first, last]."""
    starts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
    ends = np.append(starts[1:], len(rows)) - 1
    return [[int(rows[start]), int(rows[end])] for start, end in zip(starts, ends, strict=True)]


def _rows(runs: list[list[int]]) -> Rows:
    if sum(last - first + 1 for first, last in runs) > _LARGEST >> 3:
        raise ValueError("its runs are longer than any data set")
    return np.concatenate([np.arange(first, last + 1, dtype=np.int64) for first, last in runs])
