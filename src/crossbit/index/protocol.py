"""What an index of codes can do, whatever engine is inside, and the hits it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import DataError, SettingsError, WidthError

Ids = NDArray[np.int64]
Where = NDArray[np.bool_] | NDArray[np.integer[Any]]
"""Which ids a search keeps: an array of ids, or a boolean array that says of each id whether it is kept."""


@dataclass(frozen=True, eq=False)
class Hits:
    """What a search found, nearest first, equal distances by lower id; read-only.

    ids: (q, k) int64. distances: (q, k) int32, Hamming distances in bits. There are fewer columns than asked for
    where the index (or what its filter keeps) holds fewer items.
    """

    ids: Ids
    distances: NDArray[np.int32]

    def __post_init__(self) -> None:
        ids = np.ascontiguousarray(self.ids, dtype=np.int64).view()
        distances = np.ascontiguousarray(self.distances, dtype=np.int32).view()
        if ids.ndim != 2 or ids.shape != distances.shape:
            raise DataError(f"Hits need ids and distances of one (q, k) shape; got {ids.shape}, {distances.shape}.")
        ids.flags.writeable = distances.flags.writeable = False
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "distances", distances)

    def __len__(self) -> int:
        return len(self.ids)


class Index(Protocol):
    """Codes under ids, searched by Hamming distance. `crossbit.testing.index.check_index` holds an engine to it."""

    @property
    def n_bits(self) -> int:
        """The code length of everything in it."""

    def __len__(self) -> int:
        """How many codes it holds."""

    def add(self, codes: Codes, ids: NDArray[np.integer[Any]]) -> None:
        """Take in n codes under n whole numbers (n,) as ids.

        Raises WidthError for another code length, DataError for an id that is there already or listed twice; the
        index is then as before.
        """

    def remove(self, ids: NDArray[np.integer[Any]]) -> None:
        """Take out the codes of these ids; raises DataError, and removes none, when one of them is not there."""

    def search(self, queries: Codes, k: int, *, where: Where | None = None) -> Hits:
        """The k nearest codes of each query, nearest first, ties by lower id.

        where: only these ids are searched; an array of ids (those not there count for nothing), or booleans (m,) of
        which entry i speaks of id i; ids of m and more are then left out. Raises WidthError for another code
        length, SettingsError for k below 1, DataError for a filter of another type.
        """

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius, for each query Hits of one row; raises as `search` does."""


def check_codes(codes: Codes, n_bits: int, what: str) -> None:
    """Raise WidthError unless the codes have the index's length."""
    if codes.n_bits != n_bits:
        raise WidthError(
            f"This index holds {n_bits}-bit codes; got {what} of {codes.n_bits} bits. "
            "Encode with the hasher the index was made with."
        )


def check_at_least(name: str, value: int, least: int) -> int:
    """The value as an int; raises SettingsError unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise SettingsError(f"{name} must be a whole number of {least} or more; got {value!r}.")
    return int(value)


def check_ids(ids: Any, n: int | None = None) -> Ids:
    """The ids as (n,) int64, each of them once; raises DataError saying what is wrong."""
    array = np.asarray(ids)
    if array.ndim != 1 or not (np.issubdtype(array.dtype, np.integer) or array.size == 0):
        raise DataError(f"Ids are expected as a list of whole numbers; got {array.dtype} of shape {array.shape}.")
    if n is not None and len(array) != n:
        raise DataError(f"Every code needs its id; got {n} codes and {len(array)} ids.")
    if array.dtype == np.uint64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise DataError("Ids are 64-bit signed whole numbers; got one beyond 9,223,372,036,854,775,807.")
    array = array.astype(np.int64)
    unique, counts = np.unique(array, return_counts=True)
    if len(unique) != len(array):
        raise DataError(f"Ids must be unique; listed twice: {some_ids(unique[counts > 1])}.")
    return array


def kept_by(where: Any, ids: Ids) -> NDArray[np.bool_]:
    """Which of the ids (n,), ascending, a filter keeps, (n,) bool; raises DataError for a filter of another type."""
    array = _checked_filter(where)
    kept = np.zeros(len(ids), dtype=np.bool_)
    if array.dtype == np.bool_:
        start, stop = np.searchsorted(ids, [0, len(array)])
        kept[start:stop] = array[ids[start:stop]]
    elif len(ids):
        rows = np.searchsorted(ids, array)
        rows[rows == len(ids)] = 0
        kept[rows[ids[rows] == array]] = True
    return kept


def rows_kept_by(where: Any, n: int) -> NDArray[np.bool_]:
    """As `kept_by` for the ids 0 to n - 1."""
    array = _checked_filter(where)
    kept = np.zeros(n, dtype=np.bool_)
    if array.dtype == np.bool_:
        kept[: len(array)] = array[:n]
    else:
        kept[array[(array >= 0) & (array < n)]] = True
    return kept


def _checked_filter(where: Any) -> NDArray[Any]:
    """A filter as (m,) bool or int64; ids beyond int64 are left out, for none is in an index."""
    array = np.asarray(where)
    if array.ndim == 1 and array.dtype == np.bool_:
        return array
    if array.ndim == 1 and (np.issubdtype(array.dtype, np.integer) or array.size == 0):
        if array.dtype == np.uint64:  # compared with int64, NumPy would make both float64 and mix ids up
            array = array[array <= np.uint64(np.iinfo(np.int64).max)]
        return array.astype(np.int64)
    raise DataError(f"where= takes a list of ids or booleans by id; got {array.dtype} of shape {array.shape}.")


def some_ids(ids: Ids, at_most: int = 5) -> str:
    """The first few ids, for an error message."""
    shown = ", ".join(str(int(one)) for one in ids[:at_most])
    return shown + (f" and {len(ids) - at_most} more" if len(ids) > at_most else "")
