"""The service on a machine without torch: words and pictures are encoded by the export in the collection."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from crossbit import Hasher, HashFunction
from crossbit.client import Client, Search, new_item
from crossbit.collection import Collection, Items
from crossbit.encoders import EfficientNetLite0, MiniLM
from crossbit.hasher import Layer
from crossbit.queries import export_queries
from crossbit.testing.torch_free import BLOCK
from running_service import running
from service_doubles import TOKEN

N_BITS = 32


def picture(seed: int) -> bytes:
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(small).resize((60, 40), Image.Resampling.BICUBIC).save(out, format="PNG")
    return out.getvalue()


def test_words_and_pictures_ask_and_are_added_without_torch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sides = [
        HashFunction((Layer(rng.normal(size=(width, N_BITS)).astype(np.float32), np.zeros(N_BITS, np.float32)),))
        for width in (1280, 384)
    ]
    encoders = (EfficientNetLite0(), MiniLM())
    hasher = Hasher(sides[0], sides[1], method="made-up").with_encoders(
        image=encoders[0].fingerprint(), text=encoders[1].fingerprint()
    )
    names = ["cat", "red fruit", "house", "sea"]
    images = hasher.encode_images(encoders[0].encode([picture(row) for row in range(4)]).features)
    texts = hasher.encode_texts(encoders[1].encode(names).features)
    place = tmp_path / "collection"
    Collection.create(place, hasher, Items(names, names), image=images, text=texts)
    export_queries(hasher, place / "query")
    with running(place, prelude=BLOCK) as service, Client(service.address, token=TOKEN) as client:
        assert client.info().queries == {"image": True, "text": True}
        for row, name in enumerate(names):
            asked = client.search(Search(text=name, among="text", k=1)).hits[0]
            assert (asked.id, asked.distance) == (name, 0)
            looked = client.search(Search(picture=picture(row), among="image", k=1)).hits[0]
            assert (looked.id, looked.distance <= 1) == (name, True)
        assert client.add(new_item("new", "a dog", picture=picture(9))).added == 1
        assert client.search(Search(picture=picture(9), among="image", k=1)).hits[0].id == "new"
