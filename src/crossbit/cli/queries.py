"""Queries that a person types or shows: encoded by the encoder that the hasher was fitted on."""

from __future__ import annotations

from pathlib import Path

from crossbit.codes import Codes
from crossbit.encoders import EfficientNetLite0, Encoder, MiniLM
from crossbit.errors import DataError, MismatchError
from crossbit.hasher import Hasher


def encode_words(hasher: Hasher, words: str) -> Codes:
    """The code of a typed text; raises DataError for one without words, MismatchError without a fitting encoder."""
    if not words.strip():
        raise DataError('The query has no words; type what you look for, such as "a red fruit".')
    encoded = encoder_of(hasher, "text").encode([words])
    if not len(encoded.features) or not encoded.features.any():
        raise DataError(f"The query {words!r} has no word that the text encoder knows; try other words.")
    return hasher.encode_texts(encoded.features)


def encode_picture(hasher: Hasher, path: Path) -> Codes:
    """The code of a picture file; raises DataError for one that cannot be opened, MismatchError as `encode_words`."""
    encoded = encoder_of(hasher, "image").encode([path])
    if encoded.skipped:
        raise DataError(f"The picture {path} cannot be used: {encoded.skipped[0].reason}")
    return hasher.encode_images(encoded.features)


def encoder_of(hasher: Hasher, modality: str) -> Encoder:
    """The packaged encoder that a hasher's features of a modality came from."""
    wanted = hasher.encoders.get(modality)
    known: dict[str, Encoder] = {encoder.fingerprint(): encoder for encoder in (MiniLM(), EfficientNetLite0())}
    if wanted is None:
        raise MismatchError(
            "This hasher was fitted on features from a file, so crossbit does not know how to encode new "
            f"{'words' if modality == 'text' else 'pictures'}; search by an item instead (--item ID)."
        )
    if wanted not in known:
        raise MismatchError(
            f"The hasher's {modality} features come from the encoder {wanted}, which this crossbit does not have "
            f"(it has {', '.join(known)}); search by an item instead (--item ID)."
        )
    return known[wanted]
