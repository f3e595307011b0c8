"""From a search request to the code that asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import CrossbitError
from crossbit.service.bodies import picture_content
from crossbit.service.encoding import Side
from crossbit.service.metrics import Stopwatch
from crossbit.service.models import Scalar, SearchRequest
from crossbit.service.problems import ProblemError
from crossbit.service.view import View


@dataclass(frozen=True, eq=False)
class Query:
    """What asks. code: (1, n_bits). modality: what it was made from. real: (n_bits,) before the sign, if known.

    left_out: the row of the item that asks, which is not among its own hits.
    """

    code: Codes
    modality: Literal["image", "text", "code"]
    real: NDArray[np.float32] | None = None
    left_out: int | None = None


def query_of(view: View, request: SearchRequest, picture: bytes | None, watch: Stopwatch) -> Query:
    """What asks in a request; raises ProblemError unless exactly one thing does, and it can."""
    asked = request.asks_by() + (("picture",) if picture is not None else ())
    if len(asked) != 1:
        given = " and ".join(asked) or "none"
        raise ProblemError(422, f"Exactly one of text, picture, item and code asks; got {given}.")
    hasher = view.encoding.hasher
    if request.text is not None:
        with watch.stage("encode"):
            real = hasher.text(view.encoding.text_features(request.text))
        return Query(Codes.from_real(real), "text", real[0])
    if picture is not None or request.picture is not None:
        with watch.stage("decode"):
            content = picture if picture is not None else picture_content(request.picture or "")
            view.encoding.check_picture(content)
        with watch.stage("encode"):
            real = hasher.image(view.encoding.picture_features(content))
        return Query(Codes.from_real(real), "image", real[0])
    if request.item is not None:
        return _item(view, request.item, request.by)
    return Query(_packed(request.code or "", view.snapshot.n_bits), request.by or "code")


def _item(view: View, item_id: str, by: Side | None) -> Query:
    row = view.row_of(item_id)
    asks: Side = by or ("text" if view.snapshot.item(row).has_text else "image")
    code = view.snapshot.code(row, asks)
    if code is None:
        raise ProblemError(422, f"The item has no {asks} code; leave by out, or ask by the other one.")
    return Query(code, asks, left_out=row)


def _packed(code: str, n_bits: int) -> Codes:
    content = np.frombuffer(bytes.fromhex(code), np.uint8)[None]
    if content.shape[1] != -(-n_bits // 8):
        raise ProblemError(422, f"A code of {n_bits} bits has {-(-n_bits // 8)} bytes; got {content.shape[1]}.")
    try:
        return Codes(content, n_bits)
    except CrossbitError as error:
        raise ProblemError(422, str(error)) from error


def where_of(request: SearchRequest) -> str | None:
    """The condition of a request: its where, and for each column of its filters any of the values."""
    terms = [f"({request.where})"] if request.where else []
    for column, values in request.filters.items():
        name = '"' + column.replace('"', '""') + '"'
        given = [value for value in values if value is not None]
        some = [f"{name} IN ({', '.join(map(_literal, given))})"] if given else []
        some += [f"{name} IS NULL"] if len(given) < len(values) else []
        if not some:
            raise ProblemError(422, f"filters: the list of values of {column[:50]!r} is empty.")
        terms.append(f"({' OR '.join(some)})")
    return " AND ".join(terms) or None


def _literal(value: Scalar) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
