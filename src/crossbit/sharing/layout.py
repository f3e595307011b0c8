"""The files of a shared hasher. What is not listed here is neither written, uploaded nor downloaded."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from crossbit.errors import FileFormatError, MismatchError
from crossbit.files import write_whole

HASHER = "hasher.safetensors"
CARD = "README.md"
IMAGE_ENCODER = "hasher.image-encoder.safetensors"
QUERY = "query"
MANIFEST = f"{QUERY}/manifest.json"
HUB = "hub:"

_MIB = 1 << 20
LARGEST = {
    CARD: _MIB,
    HASHER: 2048 * _MIB,
    IMAGE_ENCODER: 4096 * _MIB,
    MANIFEST: _MIB,
    f"{QUERY}/image.onnx": 2048 * _MIB,
    f"{QUERY}/text.onnx": 2048 * _MIB,
    f"{QUERY}/tokenizer.json": 64 * _MIB,
}
"""The most bytes that each file may have; arrays, graphs and JSON, nothing that runs when it is loaded."""


def is_repo_id(name: str) -> bool:
    """Whether a name can be that of a repository on a hub: owner/name."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", name) is not None


def copy_export(export: Path, folder: Path, hasher: str) -> None:
    """Copy an export into a shared folder.

    hasher: the fingerprint that it must be of. Raises MismatchError for another one, FileFormatError for what is no
    whole export.
    """
    manifest = _manifest(export)
    if manifest.get("hasher") != hasher:
        raise MismatchError(
            f"The export at {export} ends in the hash functions of the hasher {manifest.get('hasher')}, the one shared "
            f"is {hasher}. Export it again with  crossbit export, or share it without (--no-export)."
        )
    names = sorted(str(name) for name in manifest["files"])
    unknown = [name for name in names if f"{QUERY}/{name}" not in LARGEST]
    if unknown:
        raise FileFormatError(f"The export at {export} names files that are none of an export: {', '.join(unknown)}.")
    for name in [*names, "manifest.json"]:
        write_whole(folder / QUERY / name, _content(export / name))


def _manifest(export: Path) -> dict[str, Any]:
    try:
        content = json.loads(_content(export / "manifest.json"))
    except ValueError as error:
        raise FileFormatError(f"{export} is no whole export ({error}). Write it with  crossbit export.") from error
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        raise FileFormatError(f"{export} is no whole export. Write it with  crossbit export.")
    return content


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror or error}).") from error
