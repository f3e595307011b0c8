"""Collections of format version 1: a folder of files built whole. They open as they are and become the present format
with the first change."""

from __future__ import annotations

from pathlib import Path
from re import fullmatch
from typing import Any

import numpy as np
import pyarrow as pa

from crossbit.codes import Codes
from crossbit.collection.block import Block, Modality
from crossbit.collection.items import BATCH, FIXED
from crossbit.collection.manifest import MANIFEST, Manifest, described, sound_content
from crossbit.errors import DataError, FileFormatError

_FILES = ("hasher.safetensors", "image-codes.npy", "text-codes.npy", "items.parquet")


def read_version_1(collection: Path) -> tuple[Manifest, list[Block]]:
    """The facts and items of a collection of version 1; raises FileFormatError, naming the file, for a damaged one."""
    content = sound_content(collection / MANIFEST)
    try:
        folder, files, n_bits = content["folder"], content["files"], int(content["n_bits"])
        hasher, method, created, version = (str(content[n]) for n in ("hasher", "method", "created", "crossbit"))
        if not fullmatch(r"files-\d+-[0-9a-f]{8}", folder):
            raise FileFormatError(f"{collection / MANIFEST} names the folder {folder!r}, which is none of ours.")
        for name in (*_FILES, *(["vocabulary.json"] if "vocabulary.json" in files else [])):
            _check(collection / folder / name, files.get(name))
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{collection / MANIFEST} lacks what a collection needs: {error}.") from error
    manifest = Manifest(0, n_bits, hasher, method, created, version, folder, {}, log="", version=1)
    return manifest, _blocks(collection / folder, n_bits)


def _check(path: Path, checksum: Any) -> None:
    if not path.is_file():
        raise FileFormatError(f"{path} is missing. Build the collection again with  crossbit index.")
    if described(path)[1] != checksum:
        raise FileFormatError(
            f"{path} was truncated or altered: its checksum does not fit. "
            "Build the collection again with  crossbit index, or restore the file from a copy."
        )


def _blocks(folder: Path, n_bits: int) -> list[Block]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import, and only collections of version 1 need it

    modalities: tuple[Modality, Modality] = ("image", "text")
    try:
        table = pq.read_table(folder / "items.parquet", memory_map=False).cast(FIXED)
        packed = {m: np.load(folder / f"{m}-codes.npy", allow_pickle=False) for m in modalities}
        codes = {modality: Codes(packed[modality], n_bits) for modality in modalities}
    except (pa.ArrowException, OSError, ValueError, DataError) as error:
        raise FileFormatError(f"{folder} cannot be read: {error}. Build the collection again.") from error
    places = dict.fromkeys(modalities, 0)
    blocks = []
    for start in range(0, table.num_rows, BATCH):
        batch = pa.concat_batches(table.slice(start, BATCH).to_batches())
        held = {}
        for modality in modalities:
            stop = places[modality] + int(batch.column(f"has_{modality}").true_count)
            held[modality] = codes[modality].packed[places[modality] : stop]
            places[modality] = stop
        blocks.append(Block(batch, held))
    if any(places[modality] != len(codes[modality]) for modality in modalities):
        raise FileFormatError(f"{folder} has other codes than items. Build the collection again.")
    return blocks
