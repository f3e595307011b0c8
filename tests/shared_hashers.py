"""A small hasher with what is shared along with it: scores and an export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from crossbit import Hasher, HashFunction
from crossbit.encoders import BagOfWords
from crossbit.hasher import Layer


def hasher_of(seed: int = 0, n_bits: int = 12) -> Hasher:
    rng = np.random.default_rng(seed)
    sides = [Layer(rng.normal(size=(d, n_bits)).astype(np.float32), np.zeros(n_bits, np.float32)) for d in (6, 3)]
    bag = BagOfWords(("apple", "red", "sea"))
    return Hasher(
        HashFunction((sides[0],)),
        HashFunction((sides[1],)),
        method="cca-itq",
        settings={"power": 4.0, "seed": seed, "note": "a | b"},
        report={"pairs": 77},
    ).with_encoders(image="efficientnet-lite0-9", text=bag.fingerprint(), vocabulary=bag.to_json())


def evaluation_of(hasher: Hasher) -> dict[str, Any]:
    score = {"protocol": "mAP@all", "protocol_id": "23d55f3632", "i2t": 0.38831, "t2i": 0.42064, "mean": 0.4}
    return {"hasher": hasher.fingerprint(), "data": "emoji", "scores": [score], "n_queries": 301, "n_database": 1564}


def export_of(hasher: Hasher, folder: Path, **changes: Any) -> Path:
    """The files of an export as sharing sees them; that graphs are what they say is checked where they are used."""
    folder.mkdir()
    content = {"hasher": hasher.fingerprint(), "files": {"image.onnx": "..."}} | changes
    (folder / "manifest.json").write_text(json.dumps(content))
    (folder / "image.onnx").write_bytes(b"a graph")
    return folder
