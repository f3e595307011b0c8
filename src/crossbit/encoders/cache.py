"""Features kept on disk: what was encoded once is read the next time, and a run that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from crossbit.encoders.encoder import Encoded, Encoder, Skipped
from crossbit.encoders.pictures import read_bytes
from crossbit.errors import DataError, WidthError
from crossbit.files import write_whole
from crossbit.pairs import array_fingerprint
from crossbit.progress import Progress, Step, silent

SHARD = 256  # items a file: at most so many are encoded again after a kill
FORMAT = "crossbit-features-1"


def default_cache_folder() -> Path:
    """Where features are kept: CROSSBIT_CACHE, or crossbit within the user's cache folder of the platform."""
    chosen = os.environ.get("CROSSBIT_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "crossbit"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "crossbit"
    return Path.home() / ".cache" / "crossbit"


def encode_cached(
    encoder: Encoder,
    items: Sequence[Any],
    folder: Path | None = None,
    progress: Progress = silent,
    *,
    shard: int = SHARD,
    stage: str = "encode",
) -> Encoded:
    """What `encoder.encode(items)` gives, read from disk where the same items were encoded before.

    Items are pictures (bytes or Path) or texts (str). They are known by their content, so a file that changed is
    encoded again and a file that only moved is not. In another order they are encoded again: a row's last bits depend
    on the batch it is computed in, and a data set is known by its features. Each `shard` items are one file under
    `folder` (default: `default_cache_folder()`), written whole; one that is damaged is made again. progress: a step
    after each shard.
    """
    place = (folder or default_cache_folder()) / "features" / _plain(encoder.fingerprint())
    parts: list[Encoded] = []
    for start in range(0, len(items), shard):
        part = items[start : start + shard]
        key = _key(encoder, part)
        path = place / f"{key}.safetensors"
        encoded = _read(path, key, encoder.width, len(part))
        if encoded is None:
            encoded = encoder.encode(part)
            if encoded.features.shape[1] != encoder.width:
                raise WidthError(
                    f"The encoder {encoder.fingerprint()} says its features are {encoder.width} wide; "
                    f"it gave {encoded.features.shape[1]}. Correct its width."
                )
            _write(path, key, encoded)
        parts.append(_moved(encoded, start))
        progress(Step(stage, min(start + shard, len(items)), len(items)))
    if not parts:
        return Encoded(np.zeros((0, encoder.width), np.float32), np.zeros(0, np.int64))
    return Encoded(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.kept for part in parts]),
        tuple(skip for part in parts for skip in part.skipped),
    )


def _moved(encoded: Encoded, start: int) -> Encoded:
    skipped = tuple(Skipped(skip.row + start, skip.reason) for skip in encoded.skipped)
    return Encoded(encoded.features, encoded.kept + start, skipped)


def _plain(name: str) -> str:
    """A folder name for a fingerprint, whatever letters its maker chose."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        return name
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _key(encoder: Encoder, items: Sequence[Any]) -> str:
    digest = hashlib.sha256(f"{FORMAT} {encoder.fingerprint()}".encode())
    for item in items:
        digest.update(_content(item))
    return digest.hexdigest()[:32]


def _content(item: Any) -> bytes:
    """A hash of one item's content; what cannot be read is known by its reason."""
    if isinstance(item, str):
        return hashlib.sha256(b"text " + item.encode("utf-8", "surrogatepass")).digest()
    try:
        return hashlib.sha256(b"picture " + read_bytes(item)).digest()
    except DataError as error:
        return hashlib.sha256(f"unreadable {error}".encode()).digest()


def _write(path: Path, key: str, encoded: Encoded) -> None:
    skipped = json.dumps([[skip.row, skip.reason] for skip in encoded.skipped])
    header = {"format": FORMAT, "key": key, "skipped": skipped, "checksum": _checksum(encoded, skipped)}
    tensors: dict[str, NDArray[Any]] = {"features": np.array(encoded.features), "kept": encoded.kept}
    try:
        write_whole(path, save(tensors, metadata=header))
    except OSError as error:
        raise DataError(
            f"Features cannot be kept in {path.parent} ({error.strerror or error}). "
            "Set CROSSBIT_CACHE to a folder that can be written to."
        ) from error


def _read(path: Path, key: str, width: int, n_items: int) -> Encoded | None:
    """The shard at `path`, or None where there is none that is whole and of these items."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            features, kept = file.get_tensor("features"), file.get_tensor("kept")
        skipped = tuple(Skipped(int(row), str(reason)) for row, reason in json.loads(header["skipped"]))
        encoded = Encoded(features, kept, skipped)
        whole = (
            header["key"] == key
            and header["checksum"] == _checksum(encoded, header["skipped"])
            and features.shape[1] == width
            and len(kept) + len(skipped) == n_items
        )
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, IndexError):
        return None
    return encoded if whole else None


def _checksum(encoded: Encoded, skipped: str) -> str:
    arrays = array_fingerprint(encoded.features, encoded.kept)
    return hashlib.sha256(f"{arrays}{skipped}".encode()).hexdigest()[:16]
