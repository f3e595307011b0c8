"""A search request to its answer: what is searched, how, and which hits are close enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossbit.calibration import Direction
from crossbit.errors import CrossbitError
from crossbit.service.asking import Query, query_of, where_of
from crossbit.service.asymmetric import distances_at, highest
from crossbit.service.encoding import Side
from crossbit.service.metrics import Stopwatch
from crossbit.service.models import Nearest, QueryRecord, SearchAnswer, SearchRequest
from crossbit.service.problems import ProblemError
from crossbit.service.records import confidence_at, hex_of, hit_records
from crossbit.service.view import View

_DIRECTIONS: dict[tuple[str, str], Direction] = {("image", "text"): "I2T", ("text", "image"): "T2I"}


@dataclass(frozen=True, eq=False)
class Found:
    """Rows found, best first, (n,), with their distances and, in asymmetric ranking, their scores."""

    rows: NDArray[np.int64]
    distances: NDArray[np.int32]
    scores: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Found:
        """Some of them."""
        scores = None if self.scores is None else self.scores[places]
        return Found(self.rows[places], self.distances[places], scores)


def answer_search(view: View, request: SearchRequest, picture: bytes | None, watch: Stopwatch) -> SearchAnswer:
    """The answer to a search, all of it from one view; raises ProblemError with what is wrong with the request."""
    most = view.encoding.limits.k
    if request.offset + request.k > most:
        raise ProblemError(422, f"k and offset together are at most {most}; got {request.offset} + {request.k}.")
    query = query_of(view, request, picture, watch)
    among: Side = request.among or ("text" if query.modality == "image" and request.item is None else "image")
    certain = _confidence(view, query.modality, among)
    farthest = _farthest(view.snapshot.n_bits, request, certain)
    with watch.stage("search"):
        found = _found(view, request, query, among)
        close = found.take(found.distances <= farthest)
        if request.ranking == "asymmetric":
            close = _ranked(view, request, query, among, farthest)
    shown = close.take(slice(request.offset, request.offset + request.k))
    nearest = int(found.distances[0]) if len(found) else None
    return SearchAnswer(
        hits=hit_records(view.snapshot, shown.rows, shown.distances, shown.scores, certain, request.offset + 1),
        nearest=None if nearest is None else Nearest(distance=nearest, confidence=confidence_at(certain, nearest)),
        cut=len(found) > 0 and len(close) == 0,
        more=len(close) > request.offset + request.k,
        query=QueryRecord(modality=query.modality, code=hex_of(query.code.packed[0])),
        took_ms=watch.milliseconds(),
        n_bits=view.snapshot.n_bits,
        hasher=view.encoding.fingerprint,
        revision=view.revision,
    )


def _found(view: View, request: SearchRequest, query: Query, among: Side) -> Found:
    """The nearest items; in asymmetric ranking the nearest one alone, for what is told of it."""
    wanted = 1 if request.ranking == "asymmetric" else request.offset + request.k + 1  # one more tells of more
    snapshot = view.snapshot
    where = where_of(request)
    try:
        if where is not None:
            snapshot.kept(where)  # a condition is read also where there is nothing to search
        if not snapshot.count(among):
            return Found(np.empty(0, np.int64), np.empty(0, np.int32))
        extra = query.left_out is not None
        hits = snapshot.search(query.code, min(wanted + extra, len(snapshot)), among, where)
    except CrossbitError as error:
        raise ProblemError(422, str(error)) from error
    found = Found(hits.ids[0], hits.distances[0])
    if query.left_out is not None:
        found = found.take(found.rows != query.left_out).take(slice(wanted))
    return found


def _ranked(view: View, request: SearchRequest, query: Query, among: Side, farthest: int) -> Found:
    """The items of highest score."""
    if query.real is None:
        raise ProblemError(422, "Asymmetric ranking needs a text or a picture that asks: only these have values.")
    wanted = request.offset + request.k + 1
    rows, scores = highest(view.snapshot, query.real, wanted, among, where_of(request), farthest)
    return Found(rows, distances_at(view.snapshot, rows, among, query.real), scores)


def _confidence(view: View, modality: str, among: Side) -> NDArray[np.float64] | None:
    """The confidence at each distance 0 to n_bits, or None where it is not known."""
    calibration, direction = view.encoding.hasher.calibration, _DIRECTIONS.get((modality, among))
    if calibration is None or direction is None:
        return None
    beside = max(view.snapshot.count(among) - 1, 0)  # one match among all items that are searched
    return calibration.confidence(np.arange(calibration.n_bits + 1), direction, random_per_match=beside)


def _farthest(n_bits: int, request: SearchRequest, certain: NDArray[np.float64] | None) -> int:
    """The largest distance that a hit may have; -1 where none may."""
    farthest = n_bits if request.max_distance is None else min(request.max_distance, n_bits)
    if request.min_confidence is None:
        return farthest
    if certain is None:
        raise ProblemError(
            422, "Confidence is known for calibrated hashers and across modalities only; use max_distance."
        )
    return min(farthest, int((certain >= request.min_confidence).sum()) - 1)
