"""What is given to a collection, checked against its hasher and made blocks that can be stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.collection.block import MODALITIES, Block, Kept, Modality, Packed, Real
from crossbit.collection.items import Items, item_batches
from crossbit.errors import DataError, MismatchError, SettingsError, WidthError
from crossbit.hasher import Hasher

OTHER: dict[Modality, Modality] = {"image": "text", "text": "image"}
Without = NDArray[np.integer[Any]] | Sequence[int]


@dataclass(frozen=True, eq=False)
class Given:
    """Items with their codes or features, as a person gives them. See `Collection.add`."""

    items: Items
    codes: Mapping[Modality, Codes | None]
    features: Mapping[Modality, NDArray[Any] | None]
    without: Mapping[Modality, Without]


@dataclass(frozen=True, eq=False)
class Prepared:
    """Items whose codes fit the hasher. codes, features: by modality, (n, ...) or None; present: which count."""

    items: Items
    n_bits: int
    present: Mapping[Modality, Kept]
    codes: Mapping[Modality, Codes | None]
    features: Mapping[Modality, Real]

    @classmethod
    def of(cls, given: Given, hasher: Hasher, *, store_features: bool) -> Prepared:
        """Check what is given and encode its features; raises DataError, WidthError or SettingsError."""
        n, codes, features, present = (
            len(given.items),
            dict(given.codes),
            dict[Modality, Real](),
            dict[Modality, Kept](),
        )
        for modality in MODALITIES:
            values = given.features[modality]
            if values is not None:
                if codes[modality] is not None:
                    raise SettingsError(f"Give the {modality} codes or the features they come from, not both.")
                encode = hasher.encode_images if modality == "image" else hasher.encode_texts
                codes[modality] = encode(values)
                if store_features:
                    features[modality] = np.asarray(values, dtype=np.float32)
            elif store_features and codes[modality] is not None:
                raise SettingsError(
                    f"This collection stores features; give {modality}_features=, not {modality}= (codes alone)."
                )
            present[modality] = _present(codes[modality], given.without[modality], n, modality)
            _check_bits(codes[modality], hasher)
        nothing = ~(present["image"] | present["text"])
        if nothing.any():
            raise DataError(
                f"{int(nothing.sum())} items have neither an image nor a text code, the first is row "
                f"{int(np.flatnonzero(nothing)[0])}; leave them out."
            )
        return cls(given.items, hasher.n_bits, present, codes, features)

    def blocks(self, kinds: Mapping[str, str], widths: Mapping[Modality, int]) -> Iterator[Block]:
        """The items in blocks. kinds: of the metadata columns known already. widths: of the features stored."""
        start = 0
        for batch in item_batches(self.items, self.present, kinds):
            codes: dict[Modality, Packed] = {}
            features: dict[Modality, Real] = {}
            for modality in MODALITIES:
                rows = np.flatnonzero(self.present[modality][start : start + batch.num_rows]) + start
                held = self.codes[modality]
                none = np.empty((0, bytes_of(self.n_bits)), np.uint8)
                codes[modality] = none if held is None else held.packed[rows]
                if modality in widths:
                    given = self.features.get(modality)
                    features[modality] = np.empty((0, widths[modality]), np.float32) if given is None else given[rows]
            start += batch.num_rows
            yield Block(batch, codes, features)


def _present(codes: Codes | None, without: Without, n: int, what: str) -> Kept:
    present = np.full(n, codes is not None)
    if codes is not None and len(codes) != n:
        raise DataError(
            f"There are {n} items and {len(codes)} {what} codes; every item needs one (see without_{what})."
        )
    rows = np.asarray(without, dtype=np.int64)
    if rows.size and (rows.min() < 0 or rows.max() >= n):
        raise DataError(f"without_{what} names rows outside 0 to {n - 1}.")
    present[rows] = False
    return present


def _check_bits(codes: Codes | None, hasher: Hasher) -> None:
    if codes is not None and codes.n_bits != hasher.n_bits:
        raise WidthError(f"The hasher makes {hasher.n_bits}-bit codes; the codes given have {codes.n_bits} bits.")


def check_vocabulary(fingerprint: str | None, hasher: Hasher) -> None:
    """Raise MismatchError unless a vocabulary, where one is given, is the one that the hasher's texts come from."""
    wanted = hasher.encoders.get("text")
    if fingerprint is not None and fingerprint != wanted:
        raise MismatchError(
            f"The vocabulary given is {fingerprint}; the hasher's texts come from {wanted or 'elsewhere'}. Give the "
            "vocabulary that the hasher was fitted on, and bind the hasher to it (Hasher.with_encoders)."
        )
