"""Items as records of the interface, many at once, and the addresses of their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from crossbit.collection import Item, Snapshot
from crossbit.collection.gather import columns_at, items_at, metadata_at
from crossbit.service.models import SampleItem


def hit_records(
    snapshot: Snapshot,
    rows: NDArray[np.int64],
    distances: NDArray[np.int32],
    scores: NDArray[np.float32] | None,
    certain: Sequence[float] | None,
    first_rank: int,
) -> list[dict[str, Any]]:
    """The hits at some rows (n,), in their order. scores: (n,), higher is closer. certain: confidence by distance.

    Each has the fields of `HitRecord`, as a plain dictionary: thousands of them are made a second.
    """
    found = []
    higher: Sequence[float | None] = [None] * len(rows) if scores is None else scores.tolist()
    places = zip(columns_at(snapshot, rows), distances.tolist(), higher, strict=True)
    for rank, ((_, columns, place), distance, score) in enumerate(places, first_rank):
        values = columns.values
        name = values["id"](place)
        picture, thumbnail = addresses(name, values["picture"](place) != "", columns.has_thumbnail(place))
        found.append(
            {
                "rank": rank,
                "id": name,
                "distance": distance,
                "score": None if score is None else round(score, 6),
                "confidence": confidence_at(certain, distance),
                "caption": values["caption"](place),
                "metadata": metadata_at(snapshot, columns, place),
                "has_image": values["has_image"](place),
                "has_text": values["has_text"](place),
                "picture": picture,
                "thumbnail": thumbnail,
            }
        )
    return found


def sample_records(snapshot: Snapshot, rows: NDArray[np.int64], n: int) -> list[SampleItem]:
    """At most n of the items at some rows, those with a picture first."""
    pairs = list(zip(*items_at(snapshot, rows), strict=True))
    pairs.sort(key=lambda pair: not pair[0].has_image)
    return [_sample(item, small) for item, small in pairs[:n]]


def _sample(item: Item, small: bool) -> SampleItem:
    picture, thumbnail = addresses(item.id, item.picture != "", small)
    return SampleItem(
        id=item.id,
        caption=item.caption,
        metadata=dict(item.metadata),
        has_image=item.has_image,
        has_text=item.has_text,
        picture=picture,
        thumbnail=thumbnail,
    )


def addresses(item_id: str, has_picture: bool, has_thumbnail: bool) -> tuple[str | None, str | None]:
    """The addresses under which the service gives an item's picture and its small picture, None where it has none."""
    if not (has_picture or has_thumbnail):
        return None, None
    name = quote(item_id, safe="")
    small = f"/v1/thumbnails/{name}" if has_thumbnail else None
    return (f"/v1/pictures/{name}" if has_picture else small), small


def confidence_at(certain: Sequence[float] | None, distance: int) -> float | None:
    """The confidence of a distance, to six places."""
    return None if certain is None else round(certain[distance], 6)


def hex_of(packed: Sequence[int] | NDArray[np.uint8]) -> str:
    """A packed code in hex."""
    return np.asarray(packed, np.uint8).tobytes().hex()
