"""Queries that a person types or shows: encoded by the encoder that the hasher was fitted on."""

from __future__ import annotations

from pathlib import Path

from crossbit.codes import Codes
from crossbit.encoders import Encoder, Vocabulary, encoder_of
from crossbit.errors import DataError, MismatchError
from crossbit.hasher import Hasher


def encode_words(hasher: Hasher, words: str, vocabulary: Vocabulary | None = None) -> Codes:
    """The code of a typed text; raises DataError for one without words, MismatchError without a fitting encoder."""
    if not words.strip():
        raise DataError('The query has no words; type what you look for, such as "a red fruit".')
    encoded = query_encoder(hasher, "text", vocabulary).encode([words])
    if not len(encoded.features) or not encoded.features.any():
        raise DataError(f"The query {words!r} has no word that the text encoder knows; try other words.")
    return hasher.encode_texts(encoded.features)


def encode_picture(hasher: Hasher, path: Path) -> Codes:
    """The code of a picture file; raises DataError for one that cannot be opened, MismatchError as `encode_words`."""
    encoded = query_encoder(hasher, "image").encode([path])
    if encoded.skipped:
        raise DataError(f"The picture {path} cannot be used: {encoded.skipped[0].reason}")
    return hasher.encode_images(encoded.features)


def query_encoder(hasher: Hasher, modality: str, vocabulary: Vocabulary | None = None) -> Encoder:
    """The encoder that a hasher's features of a modality came from; raises MismatchError without one.

    vocabulary: a collection's bag of words or TF-IDF, where it has one and the hasher does not carry it.
    """
    fingerprint = hasher.encoders.get(modality)
    instead = "search by an item instead (--item ID)."
    if fingerprint is None:
        what = "words" if modality == "text" else "pictures"
        raise MismatchError(
            f"This hasher was fitted on features from a file, so crossbit cannot encode new {what} for it; {instead}"
        )
    if vocabulary is not None and vocabulary.fingerprint() == fingerprint:
        return vocabulary
    try:
        return encoder_of(fingerprint, hasher.vocabulary)
    except MismatchError as error:
        raise MismatchError(f"{error} Or {instead}") from error
