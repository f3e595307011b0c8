"""Items that requests add: encoded, and put into the collection alone or together with those of other requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from crossbit.collection import Added, Collection, Items, small_picture
from crossbit.collection.ids import id_column
from crossbit.errors import DataError, MismatchError
from crossbit.service.bodies import picture_content
from crossbit.service.encoding import Encoding
from crossbit.service.models import AddAnswer, NewItem
from crossbit.service.problems import ProblemError

IfExists = Literal["replace", "keep", "refuse"]
Row = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Ready:
    """An item that is encoded and can be written. image, text: features (d,), or None where it lacks them."""

    item: NewItem
    image: Row | None
    text: Row | None
    thumbnail: bytes | None


@dataclass(frozen=True, eq=False)
class Addition:
    """The items of one request, encoded."""

    items: Sequence[Ready]
    if_exists: IfExists
    encoding: Encoding

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the items, in their order."""
        return tuple(one.item.id for one in self.items)


def check_item(item: NewItem, picture: bytes | None = None) -> None:
    """Raise ProblemError 422 for an item that has neither text nor picture, or an id that no address can carry."""
    if not (item.text or "").strip() and item.picture is None and picture is None:
        raise ProblemError(422, f"The item {item.id[:100]!r} has neither a text nor a picture.")
    if item.id in (".", ".."):
        raise ProblemError(422, "The ids . and .. are no names: browsers resolve them in addresses.")


def encoded(encoding: Encoding, item: NewItem, picture: bytes | None) -> Ready:
    """An item encoded; raises ProblemError 422 for a text or a picture that cannot be used."""
    check_item(item, picture)
    if picture is None and item.picture is not None:
        picture = picture_content(item.picture)
    text = (item.text or "").strip()
    image = None if picture is None else encoding.picture_features(picture)[0]
    words = encoding.text_features(text)[0] if text else None
    return Ready(item, image, words, None if picture is None else small_picture(picture))


def add_one(collection: Collection, addition: Addition) -> AddAnswer:
    """Add the items of one request; raises ProblemError 409 or 422, and what `Collection.add` raises."""
    try:
        done = _add(collection, addition.items, addition)
    except MismatchError:
        raise
    except DataError as error:
        refused = addition.if_exists == "refuse" and "already" in str(error)
        raise ProblemError(409 if refused else 422, str(error)) from error
    return AddAnswer(
        ids=list(addition.ids),
        added=done.added,
        replaced=done.replaced,
        unchanged=done.unchanged,
        items=len(collection),
    )


def add_together(collection: Collection, additions: Sequence[Addition]) -> list[AddAnswer] | None:
    """Add the items of several requests in one step; None, and nothing is lost, where they must be added one by one.

    That is where one of the items stands there already: how many are replaced is then told for each request alone.
    """
    if len(additions) < 2:
        return None
    names = id_column([name for one in additions for name in one.ids])
    if (collection.snapshot.find(names) >= 0).any():
        return None
    items = [item for one in additions for item in one.items]
    done = _add(collection, items, Addition(items, "refuse", additions[0].encoding))
    if done.added < len(items):  # another process added some of them first
        return None
    held = len(collection)
    return [
        AddAnswer(ids=list(one.ids), added=len(one.items), replaced=0, unchanged=0, items=held) for one in additions
    ]


def _add(collection: Collection, ready: Sequence[Ready], addition: Addition) -> Added:
    names = sorted({name for one in ready for name in one.item.metadata})
    items = Items(
        ids=[one.item.id for one in ready],
        captions=[(one.item.text or "").strip() for one in ready],
        thumbnail=lambda row: ready[row].thumbnail,
        metadata={name: [one.item.metadata.get(name) for one in ready] for name in names},
    )
    image, without_image = _rows([one.image for one in ready])
    text, without_text = _rows([one.text for one in ready])
    return collection.add(
        items,
        image_features=image,
        text_features=text,
        without_image=without_image,
        without_text=without_text,
        if_exists="error" if addition.if_exists == "refuse" else addition.if_exists,
        made_by=addition.encoding.fingerprint,
    )


def _rows(features: Sequence[Row | None]) -> tuple[Row | None, tuple[int, ...]]:
    """The features as one array with zeros where there are none, and which rows those are; None without any."""
    without = tuple(row for row, one in enumerate(features) if one is None)
    width = next((len(one) for one in features if one is not None), 0)
    if not width:
        return None, ()
    return np.stack([np.zeros(width, np.float32) if one is None else one for one in features]), without
