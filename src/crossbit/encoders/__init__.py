"""Encoders: raw pictures and texts to feature rows. Importing this needs no torch; encoding with some of it does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crossbit.encoders.bag_of_words import BagOfWords
from crossbit.encoders.cache import default_cache_folder, encode_cached
from crossbit.encoders.efficientnet import EfficientNetLite0
from crossbit.encoders.encoder import Encoded, Encoder, Skipped
from crossbit.encoders.minilm import MiniLM
from crossbit.encoders.pictures import open_picture
from crossbit.errors import MismatchError, SettingsError

__all__ = [
    "BagOfWords",
    "EfficientNetLite0",
    "Encoded",
    "Encoder",
    "MiniLM",
    "Skipped",
    "default_cache_folder",
    "encode_cached",
    "encoder_of",
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


def encoder_of(fingerprint: str, vocabulary: Path | None = None) -> EfficientNetLite0 | MiniLM | BagOfWords:
    """The packaged encoder with a fingerprint, such as a hasher carries. vocabulary: the file of a bag of words.

    Raises MismatchError where no packaged encoder has that fingerprint, FileFormatError for a damaged vocabulary.
    """
    known: list[EfficientNetLite0 | MiniLM | BagOfWords] = [EfficientNetLite0(), MiniLM()]
    if vocabulary is not None:
        known.append(BagOfWords.load(vocabulary))
    for encoder in known:
        if encoder.fingerprint() == fingerprint:
            return encoder
    names = ", ".join(encoder.fingerprint() for encoder in known)
    raise MismatchError(
        f"No packaged encoder has the fingerprint {fingerprint!r}; there are {names}. "
        "Encode with the encoder the features came from (a bag of words needs its vocabulary file)."
    )
