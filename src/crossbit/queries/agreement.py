"""How an exported encoder compares with the one it stands for, on a few items of its own."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from crossbit.codes import Codes
from crossbit.encoders import Encoder
from crossbit.errors import DataError
from crossbit.hasher import Hasher, HashFunction
from crossbit.queries.runtime import ExportedPictures, ExportedTexts

LEAST_AGREEMENT = 0.99  # of the bits of these few items: one value in thousands may stand at the edge of its bit


def agreement(
    exported: ExportedPictures | ExportedTexts, hasher: Hasher, modality: str, encoder: Encoder
) -> dict[str, float]:
    """How an export compares with the encoder that it stands for; raises DataError where it gives other codes.

    features: the largest difference of a feature. bits: the share of bits that agree, and bits_by_graph: of those that
    the graph computes by itself, without NumPy. Needs what the encoder itself needs.
    """
    function: HashFunction = getattr(hasher, modality)
    items: list[Any] = _pictures() if isinstance(exported, ExportedPictures) else list(_TEXTS)
    ours = exported.encode(items).features
    theirs = encoder.encode(items).features
    expected = Codes.from_real(function(theirs)).bits()
    by_graph = Codes(exported.graph.run("code", exported.inputs(items)), hasher.n_bits)
    shares = {
        "bits": float((Codes.from_real(function(ours)).bits() == expected).mean()),
        "bits_by_graph": float((by_graph.bits() == expected).mean()),
    }
    if min(shares.values()) < LEAST_AGREEMENT:
        raise DataError(
            f"The exported graph of {hasher.encoders[modality]} gives other codes than the encoder itself: "
            f"{min(shares.values()):.1%} of bits agree. Nothing was exported; try other versions of torch and onnx."
        )
    return {"items": len(items), "features": float(np.abs(ours - theirs).max()), **shares}


def _pictures() -> list[bytes]:
    """A few pictures of different form, soft in colour as photos are, and the same in every export."""
    rng = np.random.default_rng(0)
    contents = []
    for size in ((40, 40), (300, 200), (200, 300), (500, 120), (64, 64), (224, 224), (96, 150), (320, 240)):
        small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        out = io.BytesIO()
        small.resize(size, Image.Resampling.BICUBIC).save(out, format="PNG")
        contents.append(out.getvalue())
    return contents


_TEXTS = (
    "a red fruit",
    "Two dogs play in the snow with a stick.",
    "hello",
    "sunset over the sea, seen from a hill; birds, clouds and a small boat",
    "Grüße aus München",
    "42",
    "a man in a blue shirt rides a bicycle down a busy street full of cars " * 5,
    "keyboard & mouse",
)
