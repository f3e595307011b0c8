"""What a search asks for, as a value that can be sent."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from crossbit.service.models import NewItem, Scalar

Side = Literal["image", "text"]


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search. Exactly one of text, picture (content or path), item (an id) and code (hex, or packed bytes) asks.

    by: which of the item's codes asks, or of which modality the code is. among: what is searched: pictures, unless a
    picture asks. k: at most so many hits, behind the `offset` nearest. max_distance, min_confidence: bars that hits
    must reach. where: a condition on the columns. filters: for each column named, any of these values. ranking:
    "asymmetric" orders by the query before it is cut to bits.
    """

    text: str | None = None
    picture: bytes | Path | None = None
    item: str | None = None
    code: str | bytes | None = None
    by: Side | None = None
    among: Side | None = None
    k: int = 24
    offset: int = 0
    max_distance: int | None = None
    min_confidence: float | None = None
    where: str | None = None
    filters: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)
    ranking: Literal["hamming", "asymmetric"] = "hamming"

    def body(self) -> dict[str, Any]:
        """The search as the JSON of the interface."""
        values: dict[str, Any] = {name: getattr(self, name) for name in ("text", "item", "by", "among", "where")}
        values |= {name: getattr(self, name) for name in ("max_distance", "min_confidence")}
        values |= {"k": self.k, "offset": self.offset, "ranking": self.ranking}
        values["picture"] = None if self.picture is None else in_base64(self.picture)
        values["code"] = self.code.hex() if isinstance(self.code, bytes) else self.code
        values["filters"] = {column: list(some) for column, some in self.filters.items()} or None
        return {name: value for name, value in values.items() if value is not None}


def new_item(
    item_id: str,
    text: str | None = None,
    *,
    picture: bytes | Path | None = None,
    metadata: Mapping[str, Scalar] | None = None,
) -> NewItem:
    """An item to add, of a text, a picture (content or path) or both. Raises ValueError for what no item can have."""
    content = None if picture is None else in_base64(picture)
    return NewItem(id=item_id, text=text, picture=content, metadata=dict(metadata or {}))


def in_base64(picture: bytes | Path) -> str:
    """The content of a picture file in base64."""
    return base64.b64encode(picture.read_bytes() if isinstance(picture, Path) else picture).decode()
