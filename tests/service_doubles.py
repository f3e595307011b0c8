"""A small collection that words and pictures can ask without a trained encoder, and the service over it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from crossbit import Hasher, HashFunction
from crossbit.collection import Collection, Items
from crossbit.encoders import BagOfWords, Encoded, Skipped, open_picture
from crossbit.errors import DataError
from crossbit.hasher import Layer
from crossbit.service import Limits, ServiceSettings, encoding
from crossbit.service.app import create_app

WORDS = ("red", "green", "blue", "small", "large", "cat", "dog", "house", "tree", "sea", "sun", "night")
TOKEN = "a-token-of-this-test-0123456789"
WRITER = {"Authorization": f"Bearer {TOKEN}"}
N_BITS = 32


class MeanColours:
    """Pictures to the mean of their 4 by 4 tiles: an encoder that needs nothing."""

    width = 48

    def fingerprint(self) -> str:
        return "mean-colours-of-a-test"

    def encode(self, items: Sequence[Any]) -> Encoded:
        rows, kept, skipped = [], [], []
        for row, item in enumerate(items):
            try:
                small = open_picture(item).resize((4, 4))
            except DataError as error:
                skipped.append(Skipped(row, str(error)))
                continue
            rows.append(np.asarray(small, np.float32).reshape(-1) / 255 - 0.5)
            kept.append(row)
        features = np.stack(rows) if rows else np.zeros((0, self.width), np.float32)
        return Encoded(features, np.array(kept, np.int64), tuple(skipped))


VOCABULARY = BagOfWords(WORDS)


def hasher_of(seed: int = 0) -> Hasher:
    rng = np.random.default_rng(seed)
    sides = [
        HashFunction((Layer(rng.normal(size=(width, N_BITS)).astype(np.float32), np.zeros(N_BITS, np.float32)),))
        for width in (MeanColours.width, len(WORDS))
    ]
    encoders = {"image": MeanColours().fingerprint(), "text": VOCABULARY.fingerprint()}
    return Hasher(sides[0], sides[1], method="test", encoders=encoders)


def picture(seed: int, side: int = 24, form: str = "PNG") -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST).save(out, form)
    return out.getvalue()


def caption(row: int) -> str:
    return " ".join(np.random.default_rng([7, row]).choice(WORDS, 4, replace=False))


def make_collection(place: Path, n: int = 60, seed: int = 0, overwrite: bool = False) -> Collection:
    hasher = hasher_of(seed)
    captions = [caption(row) for row in range(n)]
    pictures = [picture(row) for row in range(n)]
    items = Items(
        [f"item-{row}" for row in range(n)],
        captions,
        thumbnail=lambda row: pictures[row],
        metadata={
            "year": [2000 + row % 7 if row % 5 else None for row in range(n)],
            "place": [("sea", "town", 'it\'s "odd"')[row % 3] for row in range(n)],
            "price": [row / 4 for row in range(n)],
            "liked": [row % 2 == 0 for row in range(n)],
        },
    )
    return Collection.create(
        place,
        hasher,
        items,
        image_features=MeanColours().encode(pictures).features,
        text_features=VOCABULARY.encode(captions).features,
        without_image=(1, 2),
        without_text=(3,),
        vocabulary=VOCABULARY,
        overwrite=overwrite,
    )


def know_mean_colours(patch: pytest.MonkeyPatch) -> None:
    """Let the service of this process find the encoder of the pictures."""
    real = encoding.query_encoder

    def found(hasher: Hasher, side: str, *places: Any) -> Any:
        return MeanColours() if side == "image" else real(hasher, side, *places)

    patch.setattr(encoding, "query_encoder", found)


@contextmanager
def service(place: Path, *, limits: dict[str, Any] | None = None, **options: Any) -> Iterator[TestClient]:
    """A client of the service, in this process."""
    options.setdefault("write_tokens", (TOKEN,))
    options.setdefault("log", "none")
    settings = ServiceSettings(limits=Limits(**(limits or {})), **options)
    with TestClient(create_app(place, settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def refused(answer: Any, status: int) -> str:
    """What a problem says, after a look at what every answer must have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return str(problem["detail"])
