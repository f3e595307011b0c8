"""Queries that a person types or shows: encoded by the encoder that the hasher was fitted on, or by its export."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from crossbit.codes import Codes
from crossbit.encoders import Encoder, Vocabulary
from crossbit.errors import DataError, MismatchError
from crossbit.hasher import Hasher
from crossbit.queries import query_encoder as encoder_for


@dataclass(frozen=True)
class Named:
    """Encoders of queries by name, where the hasher's fingerprints do not tell how to load them."""

    text: str | None = None
    image: str | None = None

    def encoder(self, modality: str) -> Encoder | None:
        """The encoder named for a modality, loaded; None where none is. Raises SettingsError for a name of none."""
        name = self.text if modality == "text" else self.image
        if name is None:
            return None
        from crossbit.encoders import load_image_encoder, load_text_encoder  # few searches name one

        return load_text_encoder(name) if modality == "text" else load_image_encoder(name)

    def encoders(self) -> dict[str, Encoder]:
        """The encoders named, loaded, by modality."""
        return {side: found for side in ("image", "text") if (found := self.encoder(side)) is not None}

    def words(self, *modalities: str) -> str:
        """The options that name encoders which no fingerprint tells how to load, as typed, with a blank before."""
        given = {"image": self.image, "text": self.text}
        named = [(side, name) for side in modalities if (name := given[side]) and _is_elsewhere(name)]
        return "".join(f" --{side}-encoder {shlex.quote(name)}" for side, name in named)


def _is_elsewhere(name: str) -> bool:
    """Whether an encoder is a class of one's own, or a model in a folder."""
    if name.startswith("own:"):
        return True
    model = name.removeprefix("hub:").partition("/")[2]
    return name.startswith("hub:") and Path(model).expanduser().is_dir()


NOBODY = Named()


def encode_words(
    hasher: Hasher,
    words: str,
    vocabulary: Vocabulary | None = None,
    place: Path | None = None,
    named: Named = NOBODY,
) -> Codes:
    """The code of a typed text; raises DataError for one without words, MismatchError without a fitting encoder.

    place: the collection's folder, in which an export may lie. named: the encoder to take.
    """
    if not words.strip():
        raise DataError('The query has no words; type what you look for, such as "a red fruit".')
    encoded = query_encoder(hasher, "text", vocabulary, place, named).encode([words])
    if not len(encoded.features) or not encoded.features.any():
        raise DataError(f"The query {words!r} has no word that the text encoder knows; try other words.")
    return hasher.encode_texts(encoded.features)


def encode_picture(hasher: Hasher, path: Path, place: Path | None = None, named: Named = NOBODY) -> Codes:
    """The code of a picture file; raises DataError for one that cannot be opened, MismatchError as `encode_words`."""
    encoded = query_encoder(hasher, "image", place=place, named=named).encode([path])
    if encoded.skipped:
        raise DataError(f"The picture {path} cannot be used: {encoded.skipped[0].reason}")
    return hasher.encode_images(encoded.features)


def query_encoder(
    hasher: Hasher,
    modality: str,
    vocabulary: Vocabulary | None = None,
    place: Path | None = None,
    named: Named = NOBODY,
) -> Encoder:
    """The encoder of queries, as `crossbit.queries.query_encoder` finds it; an error also says what works instead."""
    try:
        return encoder_for(hasher, modality, place, vocabulary, named.encoder(modality))
    except MismatchError as error:
        raise MismatchError(f"{error} Or search by an item instead (--item ID).") from error
