"""Exports of the hub's encoders: the features and codes of their own packages, without these packages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossbit.codes import Codes
from crossbit.encoders import Encoder, load_image_encoder, load_text_encoder
from crossbit.errors import MismatchError
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.queries import Queries, export_queries
from crossbit.testing import run_without_torch
from hub_models import OPEN_CLIP, PICTURES, TEXTS, TIMM, save_open_clip, save_timm, soft_picture

N_BITS = 20
SHOWN = [*PICTURES, *(soft_picture(seed) for seed in range(20))]
MANY = [
    *TEXTS,
    "a b " * 30,
    "  A Red\tAPPLE , pear_b\n ",
    "it\u2019s a pear &amp; an apple",
    "\ufb01ne \u201cb\u201d \u00e9t\u00e9 42nd",
    "schÃ¶n",
]


def function_for(features: np.ndarray, seed: int) -> HashFunction:
    """Directions drawn at random through the middle of the features, so that each bit is 1 for about half of them."""
    weight = np.random.default_rng(seed).normal(size=(features.shape[1], N_BITS)).astype(np.float32)
    return HashFunction((Layer(weight, -features.mean(axis=0) @ weight, "linear"),))


ALONE = """
import json, sys
from pathlib import Path
from crossbit.queries import Queries
side, *items = json.loads(Path("items.json").read_text())
given = [Path(item) for item in items] if side == "image" else items
print(json.dumps(Queries.open("query").encoder(side).encode(given).features.tolist()))
assert not {"torch", "transformers", "sentence_transformers", "timm", "open_clip"} & set(sys.modules)
"""


def alone(folder: Path, side: str, items: Sequence[Any]) -> np.ndarray:
    """Features by the export, from a process that has no torch."""
    if side == "image":
        for number, content in enumerate(items):
            (folder / f"{number}.png").write_bytes(content)
        items = [f"{number}.png" for number in range(len(items))]
    (folder / "items.json").write_text(json.dumps([side, *items]))
    return np.array(json.loads(run_without_torch(f"import os; os.chdir({str(folder)!r})\n{ALONE}", [])), np.float32)


def check(folder: Path, image: Encoder | None, text: Encoder | None) -> None:
    """Export, and compare features and codes on more than what an export compares itself."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    named = {side: encoder for side, encoder in (("image", image), ("text", text)) if encoder is not None}
    items: dict[str, Sequence[Any]] = {"image": SHOWN, "text": MANY}
    theirs = {side: own.encode(items[side]).features for side, own in named.items()}
    functions = {side: function_for(theirs.get(side, np.eye(3)), seed) for seed, side in enumerate(items)}
    bound = {side: named[side].fingerprint() if side in named else "bag-of-words-0" for side in items}
    hasher = Hasher(functions["image"], functions["text"]).with_encoders(**bound)
    exported = export_queries(hasher, folder / "query", named=named)
    assert set(exported.manifest.sides) == set(named)
    queries = Queries.open(folder / "query")
    for side in named:
        ours = queries.encoder(side).encode(items[side]).features
        np.testing.assert_allclose(ours, theirs[side], atol=1e-4)
        np.testing.assert_array_equal(alone(folder, side, items[side]), ours)
        agreed = Codes.from_real(functions[side](ours)).bits() == Codes.from_real(functions[side](theirs[side])).bits()
        assert agreed.mean() >= 0.999
        assert exported.manifest.sides[side].agreement["bits_by_graph"] >= 0.99


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_models_of_transformers(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    name = f"hub:transformers/{request.getfixturevalue(kind)}"
    painter, writer = load_image_encoder(name), load_text_encoder(name)
    function = HashFunction((Layer(np.eye(3, 8, dtype=np.float32), np.zeros(8, np.float32), "linear"),))
    hasher = Hasher(function, function).with_encoders(image=painter.fingerprint(), text=writer.fingerprint())
    with pytest.raises(MismatchError, match=r"neither a folder here nor|is not on this machine"):
        export_queries(hasher, tmp_path / "query")
    check(tmp_path, painter, writer)


def test_models_of_sentence_transformers(sentences: Path, tmp_path: Path) -> None:
    check(tmp_path, None, load_text_encoder(f"hub:sentence-transformers/{sentences}"))


@pytest.mark.parametrize("architecture", TIMM)
def test_models_of_timm(architecture: str, tmp_path: Path) -> None:
    folder = save_timm(architecture, tmp_path / "tiny")
    check(tmp_path, load_image_encoder(f"hub:timm/{folder}"), None)


@pytest.mark.parametrize("tokens", OPEN_CLIP)
def test_models_of_open_clip(tokens: str, tmp_path: Path) -> None:
    name = f"hub:open_clip/{save_open_clip(tokens, tmp_path / 'tiny')}"
    check(tmp_path, load_image_encoder(name), load_text_encoder(name))
