"""A small collection of drawn shapes, served on loopback, for tests of the page and its service."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from crossbit.calibration import calibrate
from crossbit.collection import Collection, Items
from crossbit.encoders import BagOfWords
from crossbit.encoders.encoder import Encoded, Skipped
from crossbit.encoders.pictures import open_picture
from crossbit.errors import DataError
from crossbit.methods.cca_itq import CCAITQ
from crossbit.pairs import PairedFeatures

COLOURS = {
    "red": (214, 40, 40),
    "green": (44, 160, 44),
    "blue": (31, 90, 200),
    "yellow": (240, 200, 30),
    "purple": (130, 60, 180),
    "grey": (120, 120, 120),
}
SHAPES = ("circle", "square", "triangle")
TOKEN = "a-token-for-the-tests-of-the-page"


@dataclass(frozen=True)
class ColourEncoder:
    """Pictures to what they hold of each colour and where: 8 x 8 pixels, 192 features."""

    width: int = 192

    def fingerprint(self) -> str:
        return "colours-of-the-tests-1"

    def encode(self, items: Sequence[Any]) -> Encoded:
        rows, kept, skipped = [], [], []
        for row, item in enumerate(items):
            try:
                small = open_picture(item).resize((8, 8), Image.Resampling.BOX)
            except DataError as error:
                skipped.append(Skipped(row, str(error)))
                continue
            rows.append(np.asarray(small, np.float32).ravel() / 255 + 0.01)
            kept.append(row)
        features = np.stack(rows) if rows else np.zeros((0, self.width), np.float32)
        return Encoded(features, np.array(kept, np.int64), tuple(skipped))


def draw(shape: str, colour: str, number: int) -> bytes:
    """A picture of a shape; the number moves it a little."""
    picture = Image.new("RGB", (160, 160), (250, 248, 240))
    pen = ImageDraw.Draw(picture)
    left, size = 12 + number * 3, 118 - number * 4
    box = (left, left, left + size, left + size)
    if shape == "circle":
        pen.ellipse(box, fill=COLOURS[colour])
    elif shape == "square":
        pen.rectangle(box, fill=COLOURS[colour])
    else:
        pen.polygon([(left, left + size), (left + size, left + size), (left + size / 2, left)], fill=COLOURS[colour])
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def build_collection(path: Path) -> Collection:
    """180 drawn shapes with captions, colours, years; hashed by CCA-ITQ on colours and words, and calibrated."""
    names = [(shape, colour, number) for number in range(10) for colour in COLOURS for shape in SHAPES]
    pictures = [draw(*name) for name in names]
    captions = [f"a {colour} {shape}" for shape, colour, _ in names]
    vocabulary = BagOfWords.fit(captions)
    pairs = PairedFeatures(ColourEncoder().encode(pictures).features, vocabulary.encode(captions).features)
    learned = CCAITQ(n_bits=32).fit(pairs[np.arange(90)])
    hasher = learned.with_encoders(image=ColourEncoder().fingerprint(), text=vocabulary.fingerprint())
    hasher = hasher.with_calibration(calibrate(hasher, pairs[np.arange(90, 180)], random_per_match=17))
    return Collection.create(
        path,
        hasher,
        Items(
            ids=[f"{colour}/{shape} {number}" for shape, colour, number in names],
            captions=captions,
            thumbnail=lambda row: pictures[row],
            metadata={"colour": [name[1] for name in names], "year": [2015 + name[2] % 3 for name in names]},
        ),
        image=hasher.encode_images(pairs.image),
        text=hasher.encode_texts(pairs.text),
        vocabulary=vocabulary,
    )


@contextmanager
def served(path: Path, monkeypatch: Any, **settings: Any) -> Iterator[str]:
    """The address of a service of the collection, in a thread of this process, stopped at the end of the block."""
    import uvicorn

    from crossbit.errors import MismatchError
    from crossbit.service import ServiceSettings, encoding
    from crossbit.service.app import create_app

    def encoder_for(hasher: Any, side: str, place: Any = None, vocabulary: Any = None, encoder: Any = None) -> Any:
        if side == "image":
            return ColourEncoder()
        if vocabulary is None:
            raise MismatchError("no vocabulary")
        return vocabulary

    monkeypatch.setattr(encoding, "query_encoder", encoder_for)
    app = create_app(path, ServiceSettings(write_tokens=(TOKEN,), log="none", **settings))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the service did not start")
            threading.Event().wait(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
