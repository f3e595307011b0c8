"""A search of a snapshot: what is looked for, and the hits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.collection.block import Modality
from crossbit.collection.conditions import Plain
from crossbit.collection.ids import Rows
from crossbit.collection.prepared import OTHER
from crossbit.collection.snapshot import Snapshot
from crossbit.errors import DataError, SettingsError, WidthError


@dataclass(frozen=True)
class Hit:
    """One item found. rank: from 1. row, id, caption, picture: which item. distance: differing bits, 0 to n_bits.

    confidence: the probability, 0 to 1, that it truly belongs to the query; None where the hasher is not calibrated.
    metadata: the item's further columns.
    """

    rank: int
    row: int
    id: str
    distance: int
    caption: str
    picture: str
    confidence: float | None = None
    metadata: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What a search looks for, besides how many; see `Collection.search`."""

    among: Modality
    where: str | None
    max_distance: int | None
    min_confidence: float | None


def search_snapshot(snapshot: Snapshot, queries: Codes, k: int, wanted: Wanted) -> list[list[Hit]]:
    """The hits of each query; raises what `Collection.search` says."""
    check_modality(wanted.among)
    if queries.n_bits != snapshot.n_bits:
        raise WidthError(
            f"The collection holds {snapshot.n_bits}-bit codes; the queries have {queries.n_bits}. "
            "Encode queries with the collection's own hasher."
        )
    k = checked_k(k)
    farthest = snapshot.n_bits if wanted.max_distance is None else wanted.max_distance
    if isinstance(farthest, bool) or not isinstance(farthest, int | np.integer) or farthest < 0:
        raise SettingsError(f"max_distance is a number of bits, 0 or more; got {farthest!r}.")
    if wanted.min_confidence is not None:
        raise SettingsError(
            "min_confidence needs a calibrated hasher, and this collection's is not. Use max_distance, in bits."
        )
    if not len(snapshot):
        return [[] for _ in range(len(queries))]
    if not snapshot.has(wanted.among):
        other = OTHER[wanted.among]
        raise DataError(f"No item of this collection has a code for its {wanted.among}; search the {other} side.")
    found = snapshot.search(queries, min(k, len(snapshot)), wanted.among, wanted.where)
    return [
        _hits(snapshot, ids[distances <= farthest], distances)
        for ids, distances in zip(found.ids, found.distances, strict=True)
    ]


def _hits(snapshot: Snapshot, rows: Rows, distances: NDArray[np.int32]) -> list[Hit]:
    hits = []
    for rank, (row, distance) in enumerate(zip(rows.tolist(), distances.tolist(), strict=False), 1):
        item = snapshot.item(row)
        hits.append(Hit(rank, row, item.id, distance, item.caption, item.picture, None, item.metadata))
    return hits


def checked_k(k: int) -> int:
    """k as an int; raises SettingsError unless it is a whole number of 1 or more."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise SettingsError(f"k is the number of hits and must be 1 or more; got {k!r}.")
    return int(k)


def check_modality(modality: str) -> None:
    """Raise SettingsError unless it is one of the two."""
    if modality not in get_args(Modality):
        raise SettingsError(f"A modality is 'image' or 'text'; got {modality!r}.")
