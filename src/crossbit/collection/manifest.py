"""The manifest of a collection: what the folder holds, with a checksum of every file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from crossbit.errors import FileFormatError

FORMAT = "crossbit-collection"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
FILES_PATTERN = re.compile(r"files-\d+-[0-9a-f]{8}")
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What a collection holds.

    folder: the name of the folder inside the collection that holds its files. n: items. n_image, n_text: items that
    have a picture's or a text's code. n_bits: code length. hasher: the fingerprint of the hasher that made the codes.
    method: the method that fitted it. created: the time in UTC, ISO 8601. crossbit: the version that wrote it.
    files: the SHA-256 of each file by name.
    """

    folder: str
    n: int
    n_image: int
    n_text: int
    n_bits: int
    hasher: str
    method: str
    created: str
    crossbit: str
    files: Mapping[str, str]

    def to_json(self) -> bytes:
        """The manifest as it stands on disk, closed by a checksum of itself."""
        content: dict[str, Any] = {"format": FORMAT, "version": FORMAT_VERSION, **asdict(self)}
        content["checksum"] = _checksum(content)
        return json.dumps(content, indent=2).encode()

    @classmethod
    def read(cls, collection: Path) -> Self:
        """The manifest of a collection folder; raises FileFormatError with what to do when there is no sound one."""
        path = collection / MANIFEST
        content = _read_json(path)
        if content.get("version") != FORMAT_VERSION:
            raise FileFormatError(
                f"{collection} has collection format version {content.get('version')}; this crossbit reads version "
                f"{FORMAT_VERSION}. Upgrade crossbit (pip install -U crossbit), or build it again with  crossbit index."
            )
        checksum = content.pop("checksum", None)
        if checksum != _checksum(content):
            raise FileFormatError(
                f"{path} was altered: its checksum does not fit. Build the collection again with  crossbit index."
            )
        fields = {name: value for name, value in content.items() if name not in ("format", "version")}
        try:
            manifest = cls(**fields)
        except TypeError as error:
            raise FileFormatError(f"{path} lacks what a collection needs: {error}. Build it again.") from error
        if not FILES_PATTERN.fullmatch(manifest.folder):
            raise FileFormatError(f"{path} names the folder {manifest.folder!r}, which is none of ours.")
        return manifest


def is_collection(path: Path) -> bool:
    """Whether a folder holds a collection, of whatever version."""
    try:
        _read_json(path / MANIFEST)
    except FileFormatError:
        return False
    return True


def file_checksum(path: Path) -> str:
    """The SHA-256 of a file's content, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FileFormatError(
            f"{path.parent} is not a collection: it has no {MANIFEST}. Build one with  crossbit index."
        ) from None
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{path} cannot be read: {error}. Build the collection again.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileFormatError(f"{path} is not the manifest of a crossbit collection; build one with  crossbit index.")
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
