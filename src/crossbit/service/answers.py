"""Searches to their answers: what is searched, how, and which hits are close enough.

A search has two steps. The first makes what a request says into what is asked: a code, and what bounds its hits. The
second scans, for many searches at once where they look for the same among the same items, and writes the answers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.service.asking import Query, query_of, where_of
from crossbit.service.asymmetric import distances_at, highest
from crossbit.service.encoding import Side
from crossbit.service.metrics import Stopwatch
from crossbit.service.models import SearchRequest
from crossbit.service.problems import ProblemError
from crossbit.service.records import confidence_at, hex_of, hit_records
from crossbit.service.view import View


@dataclass(frozen=True, eq=False)
class Asked:
    """A search that is ready to be made, all of it on one view. where: the condition, also that of its filters.

    wanted: how many rows the scan looks for: one more than are shown, which tells of more, and one for the item that
    asks; in asymmetric ranking the nearest one alone, for what is told of it. farthest: the largest distance of a hit.
    """

    view: View
    request: SearchRequest
    query: Query
    among: Side
    where: str | None
    wanted: int
    certain: Sequence[float] | None
    farthest: int
    watch: Stopwatch

    @property
    def kind(self) -> tuple[View, Side, str | None, int]:
        """What searches have in common that one scan can answer."""
        return self.view, self.among, self.where, self.wanted


@dataclass(frozen=True, eq=False)
class _Found:
    """Rows found, best first, (n,), with their distances and, in asymmetric ranking, their scores."""

    rows: NDArray[np.int64]
    distances: NDArray[np.int32]
    scores: NDArray[np.float32] | None = None


def asked_of(view: View, request: SearchRequest, picture: bytes | None, watch: Stopwatch) -> Asked:
    """What a request asks; raises ProblemError with what is wrong with it."""
    most = view.encoding.limits.k
    if request.offset + request.k > most:
        raise ProblemError(422, f"k and offset together are at most {most}; got {request.offset} + {request.k}.")
    query = query_of(view, request, picture, watch)
    among: Side = request.among or ("text" if query.modality == "image" and request.item is None else "image")
    asymmetric = request.ranking == "asymmetric"
    if asymmetric and query.real is None:
        raise ProblemError(422, "Asymmetric ranking needs a text or a picture that asks: only these have values.")
    wanted = 1 if asymmetric else request.offset + request.k + 1 + (query.left_out is not None)
    certain = view.confidence(query.modality, among)
    farthest = _farthest(view.snapshot.n_bits, request, certain)
    return Asked(view, request, query, among, where_of(request), wanted, certain, farthest, watch)


def answers_to(asked: Sequence[Asked]) -> Iterator[bytes | Exception]:
    """The answers to searches of one kind as JSON, in their order, or what is wrong; one scan finds them all."""
    began = perf_counter()
    try:
        found = _nearest(asked)
    except Exception as error:
        yield from [error] * len(asked)
        return
    seconds = perf_counter() - began
    for one, nearest in zip(asked, found, strict=True):
        try:
            began = perf_counter()
            close = _close(one, nearest)
            one.watch.took("search", seconds + perf_counter() - began)
            yield orjson.dumps(_record(one, nearest, *close))
        except Exception as error:  # one search that goes wrong is no other one's fault
            yield error


def _nearest(asked: Sequence[Asked]) -> list[_Found]:
    """The nearest items of each search, without the item that asks."""
    first = asked[0]
    snapshot = first.view.snapshot
    if first.where is not None:
        snapshot.kept(first.where)  # a condition is read also where there is nothing to search
    if not snapshot.count(first.among):
        return [_Found(np.empty(0, np.int64), np.empty(0, np.int32))] * len(asked)
    queries = Codes(np.concatenate([one.query.code.packed for one in asked]), snapshot.n_bits)
    hits = snapshot.search(queries, min(first.wanted, len(snapshot)), first.among, first.where)
    found = []
    for one, rows, distances in zip(asked, hits.ids, hits.distances, strict=True):
        if one.query.left_out is not None:
            others = rows != one.query.left_out
            rows, distances = rows[others], distances[others]
        found.append(_Found(rows, distances))
    return found


def _close(asked: Asked, nearest: _Found) -> tuple[_Found, int]:
    """What is shown, and how many are known to be close enough, passed over ones and those beyond included."""
    request = asked.request
    if request.ranking == "asymmetric":
        nearest = _ranked(asked)
        n_close = len(nearest.rows)
    else:
        n_close = min(bisect_right(nearest.distances, asked.farthest), request.offset + request.k + 1)
    shown = slice(request.offset, min(request.offset + request.k, n_close))
    scores = None if nearest.scores is None else nearest.scores[shown]
    return _Found(nearest.rows[shown], nearest.distances[shown], scores), n_close


def _ranked(asked: Asked) -> _Found:
    """The items of highest score."""
    snapshot, real, wanted = asked.view.snapshot, asked.query.real, asked.request.offset + asked.request.k + 1
    assert real is not None  # asked_of saw to it
    rows, scores = highest(snapshot, real, wanted, asked.among, asked.where, asked.farthest)
    return _Found(rows, distances_at(snapshot, rows, asked.among, real), scores)


def _record(asked: Asked, nearest: _Found, shown: _Found, n_close: int) -> dict[str, Any]:
    """The fields of a `SearchAnswer`."""
    view, request, query, certain = asked.view, asked.request, asked.query, asked.certain
    best = int(nearest.distances[0]) if len(nearest.rows) else None
    return {
        "hits": hit_records(view.snapshot, shown.rows, shown.distances, shown.scores, certain, request.offset + 1),
        "nearest": None if best is None else {"distance": best, "confidence": confidence_at(certain, best)},
        "cut": best is not None and not n_close,
        "more": n_close > request.offset + request.k,
        "query": {"modality": query.modality, "code": hex_of(query.code.packed[0])},
        "took_ms": asked.watch.milliseconds(),
        "n_bits": view.snapshot.n_bits,
        "hasher": view.encoding.fingerprint,
        "revision": view.revision,
    }


def _farthest(n_bits: int, request: SearchRequest, certain: Sequence[float] | None) -> int:
    """The largest distance that a hit may have; -1 where none may."""
    farthest = n_bits if request.max_distance is None else min(request.max_distance, n_bits)
    if request.min_confidence is None:
        return farthest
    if certain is None:
        raise ProblemError(
            422, "Confidence is known for calibrated hashers and across modalities only; use max_distance."
        )
    return min(farthest, sum(value >= request.min_confidence for value in certain) - 1)
