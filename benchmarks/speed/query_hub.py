"""Measure how far exports of the hub's encoders agree with the encoders themselves: bits, whole codes, features.

    python benchmarks/speed/query_hub.py

Tiny models with random weights, as tests/hub_models.py builds them: what is compared is the way from a picture or a
text to a code, not a model. Hash functions of 64 bits are drawn at random through the middle of the features, so that
each bit is 1 for about half of the items. Kinds whose package is not installed are left as they are stored. Written to
query_hub.json.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossbit import Codes, Hasher, HashFunction, load_dataset
from crossbit.encoders import Encoder, load_image_encoder, load_text_encoder
from crossbit.experiment.run import machine, versions
from crossbit.files import write_whole
from crossbit.hasher import Layer
from crossbit.queries import Queries, export_queries

HERE = Path(__file__).resolve().parent
STORED = HERE / "query_hub.json"
N_BITS = 64
PICTURES, TEXTS = 400, 1000
ODD = [
    "  A Red\tAPPLE , pear_b\n ",
    "it\u2019s a pear &amp; an apple",
    "\ufb01ne \u201cb\u201d 42nd",
    "schÃ¶n",
    "a b " * 60,
]
PACKAGES = ("transformers", "sentence-transformers", "timm", "open_clip_torch", "torchvision", "tokenizers", "ftfy")


def main() -> int:
    """Build each model, export it, compare, store."""
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    import hub_models

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        kinds: dict[str, tuple[str, Callable[[], Path]]] = {
            "CLIP, transformers": ("transformers", lambda: hub_models.save_clip(folder / "clip")),
            "SigLIP, transformers": ("transformers", lambda: hub_models.save_siglip(folder / "siglip")),
            "BERT, sentence-transformers": (
                "sentence-transformers",
                lambda: hub_models.save_sentences(folder / "sentences"),
            ),
        }
        if hub_models.usable("timm"):
            for name in hub_models.TIMM:
                kinds[f"{name}, timm"] = ("timm", lambda name=name: hub_models.save_timm(name, folder / name))
        if hub_models.usable("open_clip"):
            for tokens in hub_models.OPEN_CLIP:
                kinds[f"CLIP, open_clip, {tokens}"] = (
                    "open_clip",
                    lambda tokens=tokens: hub_models.save_open_clip(tokens, folder / tokens),
                )
        pictures = [hub_models.soft_picture(seed) for seed in range(PICTURES)]
        captions = [*ODD, *load_dataset("emoji").captions[:TEXTS]]
        stored = json.loads(STORED.read_text()) if STORED.is_file() else {"models": {}}
        for kind, (package, build) in kinds.items():
            print(kind, flush=True)
            name = f"hub:{package}/{build()}"
            named: dict[str, Encoder] = {}
            if package != "sentence-transformers":
                named["image"] = load_image_encoder(name)
            if package != "timm":
                named["text"] = load_text_encoder(name)
            stored["models"][kind] = compared(named, {"image": pictures, "text": captions}, folder / "query")
    found = {name: importlib.metadata.version(name) for name in PACKAGES if _is_there(name)}
    used = (
        versions() | found | {name: importlib.metadata.version(name) for name in ("onnx", "onnxscript", "onnxruntime")}
    )
    stored |= {"n_bits": N_BITS, "machine": machine(), "versions": used, "date": datetime.date.today().isoformat()}
    write_whole(STORED, (json.dumps(stored, indent=1) + "\n").encode())
    return 0


def compared(named: dict[str, Encoder], items: dict[str, Sequence[Any]], folder: Path) -> dict[str, Any]:
    """What an export of these encoders gives beside what they give themselves."""
    theirs = {side: encoder.encode(items[side]).features for side, encoder in named.items()}
    functions = {
        side: middle(theirs.get(side, np.eye(3, dtype=np.float32)), seed) for seed, side in enumerate(("image", "text"))
    }
    bound = {side: named[side].fingerprint() if side in named else "bag-of-words-0" for side in functions}
    hasher = Hasher(functions["image"], functions["text"]).with_encoders(**bound)
    export_queries(hasher, folder, named=named)
    queries = Queries.open(folder)
    found = {}
    for side in named:
        ours = queries.encoder(side).encode(items[side]).features
        expected, given = (Codes.from_real(functions[side](rows)) for rows in (theirs[side], ours))
        found[side] = {
            "items": len(items[side]),
            "bits": round(float((given.bits() == expected.bits()).mean()), 6),
            "whole_codes": round(float((given.packed == expected.packed).all(axis=1).mean()), 6),
            "distinct_codes": len(np.unique(expected.packed, axis=0)),
            "largest_difference_of_a_feature": float(np.abs(ours - theirs[side]).max()),
        }
    return found


def middle(features: np.ndarray, seed: int) -> HashFunction:
    """Directions drawn at random through the mean of the features."""
    weight = np.random.default_rng(seed).normal(size=(features.shape[1], N_BITS)).astype(np.float32)
    return HashFunction((Layer(weight, -features.mean(axis=0) @ weight, "linear"),))


def _is_there(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
