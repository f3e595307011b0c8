"""crossbit info: what a file or folder is."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from crossbit.cli.console import progress_shown, show_json, show_table, when_stopped
from crossbit.cli.data import Encoders, load_items
from crossbit.cli.engines import engine_facts
from crossbit.cli.options import AsJson, ImageEncoderName, Seed, TextEncoderName
from crossbit.cli.reading import EVERYTHING, reads_source
from crossbit.codes import Codes
from crossbit.collection import Collection
from crossbit.collection.manifest import is_collection
from crossbit.datasets import Dataset, Reading
from crossbit.encoders.names import IMAGE_ENCODER, TEXT_ENCODER
from crossbit.errors import FileFormatError
from crossbit.hasher import Hasher


@reads_source
def info(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            help="A file that crossbit fit or encode wrote, a collection, or what other commands take as DATA.",
        ),
    ],
    seed: Seed = 0,
    text_encoder: TextEncoderName = "minilm",
    image_encoder: ImageEncoderName = "efficientnet-lite0",
    reading: Reading = EVERYTHING,
    as_json: AsJson = False,
) -> None:
    """Say what PATH is: a hasher, a collection, a file of codes, or data."""
    with when_stopped("Describing changes nothing."):
        facts = described(path, seed, text_encoder, image_encoder, reading)
    if as_json:
        show_json(facts)
        return
    rows = [[name, value if isinstance(value, str) else json.dumps(value)] for name, value in _flat(facts)]
    show_table("", ["", ""], rows)


def described(
    name: str,
    seed: int = 0,
    text_encoder: str = TEXT_ENCODER,
    image_encoder: str = IMAGE_ENCODER,
    reading: Reading = EVERYTHING,
) -> dict[str, Any]:
    """What stands at a path, as plain values; raises FileFormatError when it is nothing of ours.

    seed: draws the split of a source. text_encoder, image_encoder, reading: how a source is encoded and read.
    """
    path = Path(name)
    encoders: Encoders = {"text_encoder": text_encoder, "image_encoder": image_encoder}
    if name == "emoji":
        return _data(name, seed, encoders, reading)
    if not path.exists():
        raise FileFormatError(f"There is nothing at {path}; give a hasher, a collection, a .npz file or emoji.")
    if path.is_dir():
        return _collection(path) if is_collection(path) else _data(name, seed, encoders, reading)
    if path.suffix == ".npz":
        return _codes(path) or _data(name, seed, encoders, reading)
    return _hasher(path) if _may_be_hasher(path) else _data(name, seed, encoders, reading)


def _may_be_hasher(path: Path) -> bool:
    """Whether a file is one of arrays, whole or damaged: by its ending, or by the length and brace it begins with."""
    with path.open("rb") as file:
        head = file.read(9)
    return path.suffix == ".safetensors" or head[4:] == b"\0\0\0\0{"


def _hasher(path: Path) -> dict[str, Any]:
    hasher = Hasher.load(path)
    return {
        "kind": "hasher",
        "path": str(path),
        "fingerprint": hasher.fingerprint(),
        "method": hasher.method,
        "n_bits": hasher.n_bits,
        "image_width": hasher.image.width,
        "text_width": hasher.text.width,
        "encoders": dict(hasher.encoders),
        "settings": dict(hasher.settings),
        "report": dict(hasher.report),
    }


def _collection(path: Path) -> dict[str, Any]:
    opened = Collection.open(path)
    manifest = opened.manifest
    facts = {"n": len(opened), "n_image": opened.n_image, "n_text": opened.n_text, "n_bits": opened.n_bits}
    about = {"hasher": manifest.hasher, "method": manifest.method, "created": manifest.created}
    stored = {"columns": opened.columns, "segments": len(manifest.segments), "stores_features": bool(manifest.widths)}
    searched = {"engines": engine_facts(opened.engines)}
    versions = {"crossbit": manifest.crossbit, "format_version": manifest.version}
    return {"kind": "collection", "path": str(path), **facts, **about, **stored, **searched, **versions}


def _codes(path: Path) -> dict[str, Any] | None:
    """The facts of a file that `crossbit encode` wrote; None for another .npz file."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if not {"image", "text", "n_bits", "hasher"} <= set(file.files):
                return None
            n_bits = int(file["n_bits"])
            image, text = Codes(file["image"], n_bits), Codes(file["text"], n_bits)
            facts = {
                "kind": "codes",
                "path": str(path),
                "n": len(image),
                "n_bits": n_bits,
                "hasher": str(file["hasher"]),
            }
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise FileFormatError(f"{path} is not a whole .npz file ({error}); restore a copy.") from error
    return {**facts, "unique_image": image.n_unique(), "unique_text": text.n_unique()}


def _data(name: str, seed: int, encoders: Encoders, reading: Reading) -> dict[str, Any]:
    with progress_shown() as progress:
        dataset: Dataset = load_items(name, progress, seed=seed, reading=reading, **encoders)
    labels = dataset.pairs.labels
    return {
        "kind": "data",
        "name": dataset.name,
        "n": len(dataset),
        "image_width": dataset.pairs.image.shape[1],
        "text_width": dataset.pairs.text.shape[1],
        "classes": None if labels is None else labels.shape[1],
        "pictures": dataset.pictures is not None,
        "train": len(dataset.split.train),
        "query": len(dataset.split.query),
        "database": len(dataset.split.database),
        "split": dataset.split.fingerprint(),
        "encoders": dict(dataset.encoders),
        "empty_rows": len(dataset.pairs.empty_rows()),
        "skipped": len(dataset.skipped),
        "example": next((caption for caption in dataset.captions if caption), ""),
    }


def _flat(facts: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{before}{name}.")
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            rows += _flat({str(number): one for number, one in enumerate(value, 1)}, f"{before}{name}.")
        else:
            rows.append((f"{before}{name}", value))
    return rows
