"""What an encoder is: raw pictures or texts in, one feature row an item out, and nothing stopped by a bad item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from crossbit.encoders.pictures import open_picture
from crossbit.encoders.preparation import Preparation
from crossbit.errors import DataError
from crossbit.pairs import Features, Rows, check_features


@dataclass(frozen=True)
class Skipped:
    """An item that could not be encoded. row: its place in the items given. reason: why, in words for a person."""

    row: int
    reason: str


@dataclass(frozen=True, eq=False)
class Encoded:
    """Features of the items that could be encoded, and which those are.

    features: (k, d) float32. kept: (k,) int64, the rows of the items given that the features belong to, ascending.
    skipped: the other items, each with its reason. k may be 0.

    Raises DataError for NaN or infinity, or for rows that do not fit together.
    """

    features: Features
    kept: Rows
    skipped: tuple[Skipped, ...] = ()

    def __post_init__(self) -> None:
        features = check_features(self.features, "encoded features")
        kept = np.asarray(self.kept, dtype=np.int64)
        if kept.shape != (len(features),):
            raise DataError(f"Every feature row needs its item's row number; got {len(features)} and {kept.shape}.")
        if (np.diff(kept) <= 0).any():
            raise DataError("The kept row numbers are expected in ascending order, each once.")
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "kept", kept)

    @classmethod
    def whole(cls, features: NDArray[Any]) -> Encoded:
        """The outcome in which every item was encoded: row i of the features belongs to item i."""
        return cls(np.asarray(features, dtype=np.float32), np.arange(len(features)))


class Encoder(Protocol):
    """Turns items of one modality into feature rows. Any object with these three will do.

    An item's row must depend on that item alone, not on the batch it comes in. Items that cannot be read are named
    in the outcome; only a fault of the encoder itself may raise. A text without a known word gives a row of zeros.
    """

    @property
    def width(self) -> int:
        """d, the number of features a row has."""
        ...

    def fingerprint(self) -> str:
        """A short name of weights and preprocessing together: whoever agrees in it gives the same features."""
        ...

    def encode(self, items: Sequence[Any]) -> Encoded:
        """Features (k, d) of the items that can be encoded, and the others with their reasons."""
        ...


@runtime_checkable
class PictureEncoder(Encoder, Protocol):
    """An encoder of pictures in two steps, so that pictures can be opened in other processes while it computes.

    `encode` gives for a picture what `encode_prepared` gives for its preparation.
    """

    @property
    def batch(self) -> int:
        """How many pictures are best computed at once."""
        ...

    @property
    def preparation(self) -> Preparation:
        """How pictures are scaled, cut and normalised."""
        ...

    def encode_prepared(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (b, d) of prepared pictures (b, side, side, 3). Several threads may call it at once."""
        ...


def encode_pictures(encoder: PictureEncoder, items: Sequence[Any]) -> Encoded:
    """What `encode` of such an encoder gives: pictures (contents or paths) opened, prepared and computed in batches."""
    features: list[NDArray[np.float32]] = []
    kept: list[int] = []
    skipped: list[Skipped] = []
    waiting: list[NDArray[np.uint8]] = []
    for row, item in enumerate(items):
        try:
            waiting.append(encoder.preparation(open_picture(item)))
            kept.append(row)
        except DataError as error:
            skipped.append(Skipped(row, str(error)))
        if len(waiting) == encoder.batch:
            features.append(encoder.encode_prepared(np.stack(waiting)))
            waiting.clear()
    if waiting:
        features.append(encoder.encode_prepared(np.stack(waiting)))
    rows = np.concatenate(features) if features else np.zeros((0, encoder.width), np.float32)
    return Encoded(rows, np.array(kept, dtype=np.int64), tuple(skipped))
