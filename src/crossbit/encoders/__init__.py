"""Encoders: raw pictures and texts to feature rows. Importing this needs no torch; encoding with some of it does."""

from __future__ import annotations

from collections.abc import Sequence

from crossbit.encoders.bag_of_words import BagOfWords
from crossbit.encoders.cache import default_cache_folder, encode_cached
from crossbit.encoders.efficientnet import EfficientNetLite0
from crossbit.encoders.encoder import Encoded, Encoder, Skipped
from crossbit.encoders.minilm import MiniLM
from crossbit.encoders.pictures import open_picture
from crossbit.errors import SettingsError

__all__ = [
    "BagOfWords",
    "EfficientNetLite0",
    "Encoded",
    "Encoder",
    "MiniLM",
    "Skipped",
    "default_cache_folder",
    "encode_cached",
    "load_text_encoder",
    "open_picture",
]


def load_text_encoder(name: str, texts: Sequence[str] = ()) -> MiniLM | BagOfWords:
    """A text encoder by name: "minilm", or "bag-of-words" with the vocabulary of the training texts given.

    Raises SettingsError for another name.
    """
    if name == "minilm":
        return MiniLM()
    if name == "bag-of-words":
        return BagOfWords.fit(texts)
    raise SettingsError(f"There is no text encoder {name!r}; there are minilm and bag-of-words.")
