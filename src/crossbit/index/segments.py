"""What can be done with several segments: search them as one, add to them, take out of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.errors import DataError
from crossbit.index.protocol import Hits, Ids, check_ids, some_ids
from crossbit.index.segment import Segment, in_order, merged

Segments = tuple[Segment, ...]

_MOST_REMOVED = 0.25  # the share of a segment's rows that may be removed ones before it is written anew


def new_segment(held: Segments, codes: Codes, ids: Any) -> Segments:
    """Codes under new ids as a segment, none if there are no codes; raises DataError for ids that are held already."""
    new = check_ids(ids, len(codes))
    for segment in held:
        known = segment.known(new)
        if known.any():
            raise DataError(f"Ids that are in the index already: {some_ids(new[known])}. Remove them first.")
    return (in_order(new, codes.packed.copy()),) if len(new) else ()


def without_ids(held: Segments, ids: Any) -> Segments:
    """The segments, these ids marked as removed; raises DataError when one of them is not held."""
    gone = check_ids(ids)
    known = np.zeros(len(gone), dtype=np.bool_)
    for segment in held:
        known |= segment.known(gone)
    if not known.all():
        raise DataError(f"Ids that are not in the index: {some_ids(gone[~known])}. Nothing was removed.")
    return tuple(segment.without(gone) for segment in held)


def settled(segments: Segments) -> Segments:
    """The segments after merging what is due: each is then more than twice as long as the next."""
    kept = [_written_anew(segment) for segment in segments if len(segment)]
    while len(kept) > 1 and 2 * len(kept[-1].packed) >= len(kept[-2].packed):
        second, first = kept.pop(), kept.pop()
        kept.append(merged(first, second))
    return tuple(kept)


def search_all(segments: Segments, queries: Codes, k: int, where: Any, threads: int) -> tuple[Ids, NDArray[np.int32]]:
    """Ids and distances of the k nearest codes in all segments, nearest first, ties by lower id."""
    found = [segment.nearest(queries.packed, k, where, threads) for segment in segments or _nothing(queries)]
    return nearest_of(found, k)


def nearest_of(found: list[tuple[Ids, NDArray[np.int32]]], k: int) -> tuple[Ids, NDArray[np.int32]]:
    """The k nearest, ties by lower id, of what was found in several places."""
    if len(found) == 1:
        return found[0]
    ids, distances = (
        np.concatenate([one[0] for one in found], axis=1),
        np.concatenate([one[1] for one in found], axis=1),
    )
    order = np.lexsort((ids, distances), axis=1)[:, :k]
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(distances, order, axis=1)


def within_all(segments: Segments, queries: Codes, radius: int, threads: int, *, tables: bool = True) -> list[Hits]:
    """All codes in all segments within a radius, for each query Hits of one row."""
    found = []
    for segment in segments or _nothing(queries):
        ids, distances, bounds = segment.within(queries.packed, radius, threads, tables=tables)
        found.append([Hits(ids[start:stop][None], distances[start:stop][None]) for start, stop in pairwise(bounds)])
    return found[0] if len(found) == 1 else [_joined(parts) for parts in zip(*found, strict=True)]


def _written_anew(segment: Segment) -> Segment:
    """The segment, or one without the removed rows where these have become many."""
    if len(segment) >= (1 - _MOST_REMOVED) * len(segment.packed):
        return segment
    ids, packed = segment.rows_left()
    return Segment(packed, ids)


def _nothing(queries: Codes) -> Segments:
    return (Segment(np.empty((0, bytes_of(queries.n_bits)), np.uint8)),)


def _joined(parts: tuple[Hits, ...]) -> Hits:
    """The hits of one query from several segments as one row."""
    ids = np.concatenate([part.ids[0] for part in parts])
    distances = np.concatenate([part.distances[0] for part in parts])
    order = np.lexsort((ids, distances))
    return Hits(ids[order][None], distances[order][None])
