"""A search of a snapshot: what is looked for, and the hits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from crossbit.calibration import Calibration, Direction
from crossbit.codes import Codes
from crossbit.collection.block import Modality
from crossbit.collection.conditions import Plain
from crossbit.collection.engines import EngineName, check_engine
from crossbit.collection.prepared import OTHER
from crossbit.collection.snapshot import Snapshot
from crossbit.errors import DataError, SettingsError, WidthError


@dataclass(frozen=True)
class Hit:
    """One item found. rank: from 1. row, id, caption, picture: which item. distance: differing bits, 0 to n_bits.

    confidence: the probability, 0 to 1, that it is the one true match among the items searched, by the hasher's
    calibration; None where there is none, and within one modality. metadata: the item's further columns.
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
    """What a search looks for, besides how many; see `Collection.search`. by: the modality of the queries."""

    by: Modality
    among: Modality
    where: str | None = None
    max_distance: int | None = None
    min_confidence: float | None = None
    engine: EngineName = "auto"


def search_snapshot(
    snapshot: Snapshot, calibration: Calibration | None, queries: Codes, k: int, wanted: Wanted
) -> list[list[Hit]]:
    """The hits of each query; raises what `Collection.search` says."""
    check_modality(wanted.by)
    check_modality(wanted.among)
    if queries.n_bits != snapshot.n_bits:
        raise WidthError(
            f"The collection holds {snapshot.n_bits}-bit codes; the queries have {queries.n_bits}. "
            "Encode queries with the collection's own hasher."
        )
    k = checked_k(k)
    direction = None if wanted.by == wanted.among else _DIRECTIONS[wanted.by]
    beside = max(snapshot.count(wanted.among) - 1, 0)  # one match among all items that are searched
    farthest = _farthest(snapshot.n_bits, calibration, direction, wanted, beside)
    if not len(snapshot):
        return [[] for _ in range(len(queries))]
    if not snapshot.count(wanted.among):
        other = OTHER[wanted.among]
        raise DataError(f"No item of this collection has a code for its {wanted.among}; search the {other} side.")
    _check_engine_there(snapshot, wanted)
    found = snapshot.search(queries, min(k, len(snapshot)), wanted.among, wanted.where, wanted.engine)
    sure: list[float | None] = [None] * (snapshot.n_bits + 1)
    if calibration is not None and direction is not None:
        steps = np.arange(snapshot.n_bits + 1)
        sure = calibration.confidence(steps, direction, random_per_match=beside).tolist()
    return [
        [
            _hit(snapshot, rank, int(row), int(d), sure[int(d)])
            for rank, (row, d) in enumerate(pairs, 1)
            if d <= farthest
        ]
        for pairs in (
            zip(rows, distances, strict=True) for rows, distances in zip(found.ids, found.distances, strict=True)
        )
    ]


def _check_engine_there(snapshot: Snapshot, wanted: Wanted) -> None:
    """Raise SettingsError for an engine by name that no codes are searched by."""
    check_engine(wanted.engine)
    kept = {one.engine for one in snapshot.engines() if one.modality == wanted.among}
    if wanted.engine not in ("auto", "exact", *kept):
        raise SettingsError(
            f"No engine {wanted.engine} is built over the {wanted.among} codes, but {', '.join(sorted(kept))}. Build "
            f"it (crossbit compact COLLECTION --engine {wanted.engine}), or search by the one that is there (auto)."
        )


_DIRECTIONS: dict[Modality, Direction] = {"image": "I2T", "text": "T2I"}


def _farthest(
    n_bits: int, calibration: Calibration | None, direction: Direction | None, wanted: Wanted, beside: int
) -> int:
    """The largest distance that a hit may have; -1 where none may. beside: the other items than the match."""
    farthest = n_bits if wanted.max_distance is None else wanted.max_distance
    if isinstance(farthest, bool) or not isinstance(farthest, int | np.integer) or farthest < 0:
        raise SettingsError(f"max_distance is a number of bits, 0 or more; got {farthest!r}.")
    if wanted.min_confidence is None:
        return int(farthest)
    if calibration is None:
        raise SettingsError(
            "min_confidence needs a calibrated hasher, and this collection's is not. Calibrate it (crossbit calibrate) "
            "and build the collection with it, or use max_distance, in bits."
        )
    if direction is None:
        raise SettingsError(
            "min_confidence holds for searches from one modality to the other, where true matches are known; within "
            "one modality use max_distance, in bits."
        )
    return min(int(farthest), calibration.distance_for(wanted.min_confidence, direction, random_per_match=beside))


def _hit(snapshot: Snapshot, rank: int, row: int, distance: int, confidence: float | None) -> Hit:
    item = snapshot.item(row)
    return Hit(rank, row, item.id, distance, item.caption, item.picture, confidence, item.metadata)


def checked_k(k: int) -> int:
    """k as an int; raises SettingsError unless it is a whole number of 1 or more."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise SettingsError(f"k is the number of hits and must be 1 or more; got {k!r}.")
    return int(k)


def check_modality(modality: str) -> None:
    """Raise SettingsError unless it is one of the two."""
    if modality not in get_args(Modality):
        raise SettingsError(f"A modality is 'image' or 'text'; got {modality!r}.")
