"""The files that hold encoded items on disk: one a shard, each written whole, read through memory maps."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save

from crossbit.errors import FileFormatError
from crossbit.files import write_whole
from crossbit.pairs import array_fingerprint

FORMAT = "crossbit-encoded-shard-1"
Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
_DTYPES: Mapping[str, type[np.generic]] = {"F32": np.float32, "I64": np.int64, "U8": np.uint8}
_LARGEST_HEADER = 100_000_000  # bytes, the limit of the format itself


@dataclass(frozen=True)
class Left:
    """What of an item was not encoded. row: the item's place in the source. id: its name. reason: why.

    what: "image" or "text" where the rest of the item stands, "item" where nothing of it does.
    """

    row: int
    id: str
    what: str
    reason: str


@dataclass(frozen=True, eq=False)
class Shard:
    """Consecutive items of a source. start: the first one's row. ids: their names, in order. skipped: what is left out.

    features: by modality (k, d) float32, of the items that have it. rows: by modality (k,) int64, which those are.
    """

    start: int
    ids: tuple[str, ...]
    features: Mapping[Modality, NDArray[np.float32]]
    rows: Mapping[Modality, NDArray[np.int64]]
    skipped: tuple[Left, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


def shard_path(folder: Path, number: int) -> Path:
    """The file of a shard."""
    return folder / f"shard-{number:06}.safetensors"


def write_shard(path: Path, shard: Shard) -> None:
    """Write a shard whole or not at all."""
    tensors: dict[str, NDArray[Any]] = {"ids": np.frombuffer(json.dumps(shard.ids).encode(), np.uint8)}
    for modality in shard.features:
        tensors[modality] = np.ascontiguousarray(shard.features[modality], np.float32)
        tensors[f"{modality}-rows"] = np.asarray(shard.rows[modality], np.int64)
    skipped = json.dumps([asdict(left) for left in shard.skipped])
    header = {
        "format": FORMAT,
        "start": str(shard.start),
        "n": str(len(shard)),
        "skipped": skipped,
        "checksum": _checksum(tensors, skipped),
    }
    write_whole(path, save(tensors, metadata=header))


def read_shard(path: Path, *, verify: bool = False) -> Shard:
    """A shard with its arrays memory-mapped: nothing but names is read before it is asked for.

    verify: read everything and compare it with the checksum. Raises FileFormatError for a file that is truncated,
    altered or not ours.
    """
    try:
        header, tensors = _mapped(path)
        if header["format"] != FORMAT:
            raise KeyError("another format")
        ids = tuple(map(str, json.loads(tensors["ids"].tobytes())))
        shard = Shard(
            int(header["start"]),
            ids,
            {modality: tensors[modality] for modality in MODALITIES if modality in tensors},
            {modality: tensors[f"{modality}-rows"] for modality in MODALITIES if modality in tensors},
            tuple(Left(**left) for left in json.loads(header["skipped"])),
        )
        whole = len(ids) == int(header["n"]) and all(
            len(shard.features[modality]) == len(shard.rows[modality]) for modality in shard.features
        )
        if not whole or (verify and _checksum(tensors, header["skipped"]) != header["checksum"]):
            raise ValueError("its checksum differs")
    except (KeyError, TypeError, ValueError, OSError, SafetensorError, struct.error) as error:
        raise FileFormatError(
            f"{path} is no whole shard of encoded items ({error}). Delete it and the shards after it, and encode "
            "again: those before it are kept."
        ) from error
    return shard


def _mapped(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Metadata and arrays of a safetensors file, the arrays as maps of the file; the library itself would copy them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(size - 8, _LARGEST_HEADER):
            raise ValueError("it is cut off")
        described = json.loads(file.read(length))
    header = described.pop("__metadata__")
    arrays: dict[str, NDArray[Any]] = {}
    end = 8 + length
    for name, about in described.items():
        dtype, shape = np.dtype(_DTYPES[about["dtype"]]), tuple(int(edge) for edge in about["shape"])
        begin, stop = (8 + length + int(offset) for offset in about["data_offsets"])
        if min(shape, default=0) < 0 or stop - begin != dtype.itemsize * int(np.prod(shape)) or not 8 <= begin <= size:
            raise ValueError("its offsets do not fit")
        end = max(end, stop)
        if stop > size:
            raise ValueError("it is cut off")
        arrays[name] = np.memmap(path, dtype, "r", begin, shape) if stop > begin else np.zeros(shape, dtype)
    if end != size:
        raise ValueError("its size does not fit")
    return header, arrays


def _checksum(tensors: Mapping[str, NDArray[Any]], skipped: str) -> str:
    arrays: Sequence[NDArray[Any]] = [np.asarray(tensors[name]) for name in sorted(tensors)]
    return hashlib.sha256(f"{array_fingerprint(*arrays)}{skipped}".encode()).hexdigest()[:16]
