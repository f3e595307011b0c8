"""Encoders from the Hugging Face hub: what they share. How each kind is loaded is said in a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from crossbit.encoders.bag_of_words import not_texts
from crossbit.encoders.encoder import Encoded, encode_pictures
from crossbit.encoders.hub_files import files_digest
from crossbit.encoders.preparation import Preparation

Forward = Callable[[Any], NDArray[np.float32]]


class Loader(Protocol):
    """Loads a model's network: what computes features, and how many they are."""

    def __call__(self, folder: Path) -> tuple[Forward, int]:
        """From the folder with its files; raises MissingExtraError without the package that it needs."""
        ...


@dataclass(frozen=True)
class HubPictures:
    """Pictures to the features of a network from the hub.

    name: what it is called in fingerprints, such as "hub:timm/resnet18.a1_in1k". folder: where its files are.
    preparation: how its pictures are prepared. load: gives what computes (b, 3, side, side) float32 to (b, d).
    batch: pictures computed at once. The network is loaded when it is first needed.
    """

    name: str
    folder: Path
    preparation: Preparation
    load: Loader
    batch: int = 8
    _loaded: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def width(self) -> int:
        """How many features the network gives."""
        return int(self._network()[1])

    def fingerprint(self) -> str:
        """Name, a hash of all files, and one of the preparation."""
        if "digest" not in self._loaded:
            self._loaded["digest"] = files_digest(self.folder)
        return f"{self.name}#image-{self._loaded['digest']}-{self.preparation.fingerprint()}"

    def encode(self, items: Sequence[bytes | Path]) -> Encoded:
        """Features (k, d) of the pictures that can be opened; the others are named with the reason."""
        return encode_pictures(self, items)

    def encode_prepared(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (b, d) of prepared pictures (b, side, side, 3)."""
        forward, _ = self._network()
        return forward(self.preparation.scaled(pixels))

    def _network(self) -> tuple[Forward, int]:
        if "network" not in self._loaded:
            self._loaded["network"] = self.load(self.folder)
        network: tuple[Forward, int] = self._loaded["network"]
        return network


@dataclass(frozen=True)
class HubTexts:
    """Texts to the features of a network from the hub; a text without a letter or a figure gives a row of zeros.

    name, folder: as in `HubPictures`. load: gives what computes a list of b texts to (b, d). batch: texts at once.
    """

    name: str
    folder: Path
    load: Loader
    batch: int = 32
    _loaded: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def width(self) -> int:
        """How many features the network gives."""
        return int(self._network()[1])

    def fingerprint(self) -> str:
        """Name and a hash of all files."""
        if "digest" not in self._loaded:
            self._loaded["digest"] = files_digest(self.folder)
        return f"{self.name}#text-{self._loaded['digest']}"

    def encode(self, items: Sequence[str]) -> Encoded:
        """Features (k, d) of the texts; an item that is no text is named in the outcome."""
        forward, width = self._network()
        kept = np.array([row for row, item in enumerate(items) if isinstance(item, str)], np.int64)
        texts = [items[row] for row in kept]
        features = np.zeros((len(texts), width), np.float32)
        spoken = [place for place, text in enumerate(texts) if any(letter.isalnum() for letter in text)]
        # Texts of like length share a batch, so that little is computed on padding.
        spoken.sort(key=lambda place: len(texts[place]))
        for start in range(0, len(spoken), self.batch):
            places = spoken[start : start + self.batch]
            features[places] = forward([texts[place] for place in places])
        return Encoded(features, kept, not_texts(items))

    def _network(self) -> tuple[Forward, int]:
        if "network" not in self._loaded:
            self._loaded["network"] = self.load(self.folder)
        network: tuple[Forward, int] = self._loaded["network"]
        return network
