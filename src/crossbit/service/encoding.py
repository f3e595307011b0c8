"""What makes queries and new items into codes: a hasher and the encoders that belong to it."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossbit.collection import Collection
from crossbit.encoders import Encoder
from crossbit.errors import CrossbitError, FileFormatError
from crossbit.hasher import Hasher
from crossbit.queries import query_encoder
from crossbit.service.problems import ProblemError
from crossbit.service.settings import Limits

Side = Literal["image", "text"]
SIDES: tuple[Side, Side] = ("image", "text")
_LOG = logging.getLogger("crossbit.service")

# Only kinds that are known by their first bytes and read by Pillow itself: others may start programs (PostScript).
_KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")
_KNOWN = "PNG, JPEG, WebP, GIF, BMP or AVIF"


@dataclass(frozen=True, eq=False)
class Encoding:
    """A hasher, and by modality the encoders of its queries, or why there is none. It stays between two reloads."""

    hasher: Hasher
    fingerprint: str
    encoders: Mapping[str, Encoder]
    missing: Mapping[str, str]
    limits: Limits

    @classmethod
    def of(cls, collection: Collection, limits: Limits, named: Mapping[str, Encoder]) -> Encoding:
        """The encoding of a collection's queries, by what is named or else at hand, loaded and tried once."""
        encoders: dict[str, Encoder] = {}
        missing: dict[str, str] = {}
        for side in SIDES:
            try:
                found = query_encoder(collection.hasher, side, collection.path, collection.vocabulary, named.get(side))
                found.encode(["warm up" if side == "text" else _blank()])
                encoders[side] = found
            except FileFormatError as error:
                _LOG.error("%s", error)
                missing[side] = "What encodes it here is damaged; the service's log says more."
            except CrossbitError as error:
                missing[side] = str(error)
        return cls(collection.hasher, collection.hasher.fingerprint(), encoders, missing, limits)

    def can_encode(self, side: Side) -> bool:
        """Whether words or pictures can be encoded here."""
        return side in self.encoders

    def text_features(self, text: str) -> NDArray[np.float32]:
        """Features (1, d) of words; raises ProblemError 422 for too many, or for none that the encoder knows."""
        most = self.limits.text_characters
        if len(text) > most:
            raise ProblemError(422, f"The text has {len(text)} characters; {most} are allowed.")
        if not text.strip():
            raise ProblemError(422, "The text has no words; say what to look for.")
        encoded = self._encoder("text").encode([text])
        if encoded.skipped:
            raise ProblemError(422, f"The text cannot be used: {encoded.skipped[0].reason}.")
        if not encoded.features.any():
            raise ProblemError(422, "The text has no word that the encoder knows; try other words.")
        return encoded.features

    def picture_features(self, content: bytes) -> NDArray[np.float32]:
        """Features (1, d) of a picture's file; raises ProblemError 422 for one that cannot be used."""
        encoder = self._encoder("image")
        self.check_picture(content)
        encoded = encoder.encode([content])
        if encoded.skipped:
            raise ProblemError(422, f"The picture cannot be used: {encoded.skipped[0].reason}.")
        return encoded.features

    def check_picture(self, content: bytes) -> None:
        """Raise ProblemError 422 unless the content begins as a picture within the limits; no pixel is decoded."""
        most = self.limits.picture_pixels
        try:
            with Image.open(io.BytesIO(content), formats=_KINDS) as picture:
                width, height = picture.size
        except Exception as error:  # on damaged files Pillow raises OSError, SyntaxError, struct.error and more
            raise ProblemError(422, f"The picture cannot be used: a {_KNOWN} file is expected.") from error
        if width * height > most:
            raise ProblemError(422, f"The picture has {width} x {height} pixels; {most} pixels are allowed.")

    def _encoder(self, side: Side) -> Encoder:
        found = self.encoders.get(side)
        if found is None:
            raise ProblemError(409, self.missing[side])
        return found


def _blank() -> bytes:
    """A small white picture, to warm an encoder up with."""
    out = io.BytesIO()
    Image.new("RGB", (32, 32), "white").save(out, "PNG")
    return out.getvalue()
