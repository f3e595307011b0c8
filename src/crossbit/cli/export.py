"""crossbit export: the query side of a hasher or a collection as ONNX, for searching without torch."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from crossbit.cli.console import progress_shown, show, show_json, show_table, when_stopped
from crossbit.cli.options import AsJson, KnownImageEncoder, KnownTextEncoder
from crossbit.cli.places import check_folder_place, own_command
from crossbit.cli.queries import Named
from crossbit.collection import Collection
from crossbit.collection.manifest import is_collection
from crossbit.encoders.tuned import TunedEncoder, find_tuned
from crossbit.errors import FileFormatError
from crossbit.hasher import Hasher
from crossbit.queries import Exported, export_place, export_queries


def export(
    path: Annotated[Path, typer.Argument(metavar="HASHER|COLLECTION", help="A hasher file, or a collection's folder.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The export's folder. Without it, where search finds it: query in COLLECTION, or NAME.query beside "
            "the file HASHER.",
        ),
    ] = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    as_json: AsJson = False,
) -> None:
    """Write what encodes queries as ONNX: then asking needs no torch and starts sooner.

    One graph for pictures and one for texts, each from prepared input to features and code, with the tokenizer and a
    manifest. An export that stands there is replaced; what is written is compared with the encoders themselves first.
    """
    folder = out if out is not None else export_place(path)
    check_folder_place(folder)
    began = time.perf_counter()
    with when_stopped(f"Nothing was exported; what stood at {folder} before is untouched."):
        hasher = _hasher(path)
        named = Named(text_encoder, image_encoder).encoders()
        with progress_shown() as progress:
            exported = export_queries(hasher, folder, progress, tuned=_tuned(hasher, path), named=named)
    if as_json:
        show_json(_result(exported, folder, time.perf_counter() - began))
        return
    _show_exported(exported, folder)
    if out is None and path.is_dir():
        show(f'Next:  {own_command()} search {shlex.quote(str(path))} "words"')


def _hasher(path: Path) -> Hasher:
    if not path.is_dir():
        return Hasher.load(path)
    if not is_collection(path):
        raise FileFormatError(
            f"{path} is a folder, but no collection; give a hasher file, or what crossbit index built."
        )
    return Collection.open(path).hasher


def _tuned(hasher: Hasher, path: Path) -> TunedEncoder | None:
    fingerprint = hasher.encoders.get("image")
    return None if fingerprint is None else find_tuned(fingerprint, path)


def _result(exported: Exported, folder: Path, seconds: float) -> dict[str, object]:
    manifest = exported.manifest
    return {
        "export": str(folder),
        "hasher": manifest.hasher,
        "n_bits": manifest.n_bits,
        "encoders": {modality: side.encoder for modality, side in manifest.sides.items()},
        "bytes": exported.sizes(),
        "agreement": {modality: dict(side.agreement) for modality, side in manifest.sides.items()},
        "left_out": dict(exported.left_out),
        "seconds": round(seconds, 3),
    }


def _show_exported(exported: Exported, folder: Path) -> None:
    sizes = exported.sizes()
    show(f"{folder}: {sum(sizes.values()) / 1e6:.0f} MB.")
    rows = [
        [modality, side.encoder, side.graph, f"{sizes[side.graph] / 1e6:.0f}", f"{side.agreement['bits']:.2%}"]
        for modality, side in exported.manifest.sides.items()
    ]
    show_table("", ["", "stands for", "graph", "MB", "bits as by torch"], rows, right=["MB", "bits as by torch"])
    for modality, reason in exported.left_out.items():
        show(f"Left out: {modality}; {reason}")
