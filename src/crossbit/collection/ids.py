"""From an item's id to its row without holding the ids in memory: sorted 64-bit hashes, mapped from disk.

A hash only points to where an id may stand; the id that stands there is compared, so equal hashes do no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crossbit.errors import DataError

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]

_START = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def id_column(ids: Sequence[str]) -> pa.Array:
    """Ids as a column; raises DataError for what is no Unicode text.

    Not Arrow's array(): that imports pandas where it is installed, which takes longer than opening a collection.
    """
    try:
        encoded = [name.encode() for name in ids]
    except (AttributeError, UnicodeEncodeError) as error:
        raise DataError(f"Ids are Unicode text; {error}.") from error
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(name) for name in encoded], out=offsets[1:])
    if offsets[-1] >= 1 << 31:
        raise DataError("So many ids are given in parts, of less than 2 GiB each.")
    data = pa.py_buffer(b"".join(encoded))
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets.astype(np.int32)), data)


def hash_ids(column: pa.Array) -> Hashes:
    """A 64-bit hash of each text's UTF-8 bytes, the same on every machine and in every version of the format.

    The bytes are taken eight at a time, little-endian, filled up with zeros, each mixed in with the finaliser of
    SplitMix64 (Steele, Lea and Flood 2014); the length in bytes is mixed in first.
    """
    if len(column) == 0:
        return np.empty(0, np.uint64)
    _, offsets_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.zeros(last - first + 8, np.uint8)
    if last > first:
        data[:-8] = np.frombuffer(data_buffer, np.uint8)[first:last]
    words = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data.data, strides=(1,))
    starts, lengths = offsets[:-1] - first, np.diff(offsets)
    hashes = _mix(_START + lengths.astype(np.uint64))
    for place in range(0, int(lengths.max()), 8):
        inside = np.flatnonzero(lengths > place)
        left = np.minimum(lengths[inside] - place, 8).astype(np.uint64)
        masks = np.uint64(0xFFFFFFFFFFFFFFFF) >> (np.uint64(64) - np.uint64(8) * left)
        hashes[inside] = _mix(hashes[inside] ^ (words[starts[inside] + place] & masks))
    return hashes


def _mix(values: NDArray[Any]) -> Hashes:
    mixed = values.astype(np.uint64) + _START
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


@dataclass(frozen=True, eq=False)
class IdTable:
    """Hashes in ascending order and the rows they stand for, (n,) each; equal hashes by row."""

    hashes: Hashes
    rows: NDArray[np.integer[Any]]

    @classmethod
    def of(cls, hashes: Hashes) -> IdTable:
        """The table of rows 0, 1, ... with these hashes."""
        order = np.argsort(hashes, kind="stable")
        return cls(hashes[order], order.astype(np.uint32))

    def candidates(self, hashes: Hashes) -> tuple[Rows, Rows]:
        """Pairs (number of the hash asked for, row that has it), in the order of the hashes asked for."""
        low = np.searchsorted(self.hashes, hashes, side="left")
        found = np.flatnonzero(low < len(self.hashes))
        found = found[self.hashes[low[found]] == hashes[found]]
        if not len(found):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        high = np.searchsorted(self.hashes, hashes[found], side="right")
        counts = high - low[found]
        asked = np.repeat(found, counts)
        within = np.arange(len(asked)) - np.repeat(np.cumsum(counts) - counts, counts)
        return asked.astype(np.int64), np.asarray(self.rows[np.repeat(low[found], counts) + within], dtype=np.int64)
