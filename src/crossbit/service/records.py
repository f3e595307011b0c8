"""Items as records of the interface, many at once, and the addresses of their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from crossbit.collection import Item, Snapshot
from crossbit.collection.gather import items_at
from crossbit.service.models import HitRecord, SampleItem


def hit_records(
    snapshot: Snapshot,
    rows: NDArray[np.int64],
    distances: NDArray[np.int32],
    scores: NDArray[np.float32] | None,
    certain: NDArray[np.float64] | None,
    first_rank: int,
) -> list[HitRecord]:
    """The hits at some rows (n,), in their order. scores: (n,), higher is closer. certain: confidence by distance."""
    items, small = items_at(snapshot, rows)
    found = []
    for number, item in enumerate(items):
        distance = int(distances[number])
        picture, thumbnail = addresses(item, small[number])
        found.append(
            HitRecord(
                rank=first_rank + number,
                id=item.id,
                distance=distance,
                score=None if scores is None else round(float(scores[number]), 6),
                confidence=confidence_at(certain, distance),
                caption=item.caption,
                metadata=dict(item.metadata),
                has_image=item.has_image,
                has_text=item.has_text,
                picture=picture,
                thumbnail=thumbnail,
            )
        )
    return found


def sample_records(snapshot: Snapshot, rows: NDArray[np.int64], n: int) -> list[SampleItem]:
    """At most n of the items at some rows, those with a picture first."""
    pairs = list(zip(*items_at(snapshot, rows), strict=True))
    pairs.sort(key=lambda pair: not pair[0].has_image)
    return [_sample(item, small) for item, small in pairs[:n]]


def _sample(item: Item, small: bool) -> SampleItem:
    picture, thumbnail = addresses(item, small)
    return SampleItem(
        id=item.id,
        caption=item.caption,
        metadata=dict(item.metadata),
        has_image=item.has_image,
        has_text=item.has_text,
        picture=picture,
        thumbnail=thumbnail,
    )


def addresses(item: Item, has_thumbnail: bool) -> tuple[str | None, str | None]:
    """The addresses under which the service gives an item's picture and its small picture, None where it has none."""
    name = quote(item.id, safe="")
    small = f"/v1/thumbnails/{name}" if has_thumbnail else None
    return (f"/v1/pictures/{name}" if item.picture else small), small


def confidence_at(certain: NDArray[np.float64] | None, distance: int) -> float | None:
    """The confidence of a distance, to six places."""
    return None if certain is None else round(float(certain[distance]), 6)


def hex_of(packed: Sequence[int] | NDArray[np.uint8]) -> str:
    """A packed code in hex."""
    return np.asarray(packed, np.uint8).tobytes().hex()
