"""The manifest of an export: what its graphs stand for, how their input is prepared, and a checksum of every file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from crossbit.errors import FileFormatError

FORMAT = "crossbit-query"
FORMAT_VERSION = 2  # since 2 a text may be cleaned before its tokenizer
READABLE = (1, 2)
MANIFEST = "manifest.json"
_NAME = re.compile(r"[a-z][a-z0-9-]*\.(onnx|json)")
_LARGEST = 1 << 20  # bytes of a manifest: one that is larger is none


@dataclass(frozen=True)
class Side:
    """What encodes the queries of one modality.

    encoder: the fingerprint of the encoder it stands for. width: features a row. graph: the ONNX file. tokenizer: the
    file of a text graph's tokenizer, "" for pictures. preparation: constants of the preparation of the input.
    agreement: what a comparison with the encoder itself gave when it was exported.
    """

    encoder: str
    width: int
    graph: str
    tokenizer: str = ""
    preparation: Mapping[str, Any] = field(default_factory=dict)
    agreement: Mapping[str, float] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, ...]:
        """The files it needs."""
        return tuple(name for name in (self.graph, self.tokenizer) if name)


@dataclass(frozen=True)
class QueryManifest:
    """What an export holds.

    hasher: fingerprint of the hasher whose hash functions end the graphs. n_bits: code length. sides: by modality.
    files: SHA-256 of each file by name. versions: of the packages that wrote it. created: the time in UTC, ISO 8601.
    """

    hasher: str
    n_bits: int
    sides: Mapping[str, Side]
    files: Mapping[str, str]
    versions: Mapping[str, str]
    created: str

    def to_json(self) -> bytes:
        """The manifest as it stands on disk, closed by a checksum of itself."""
        content: dict[str, Any] = {"format": FORMAT, "version": FORMAT_VERSION, **asdict(self)}
        content["checksum"] = _checksum(content)
        return (json.dumps(content, indent=2) + "\n").encode()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of an export's folder; raises FileFormatError with what to do when there is no sound one."""
        path = folder / MANIFEST
        content = _read_json(path)
        if content.get("version") not in READABLE:
            raise FileFormatError(
                f"{folder} has export format version {content.get('version')}; this crossbit reads up to "
                f"{FORMAT_VERSION}. Upgrade crossbit (pip install -U crossbit), or export again with  crossbit export."
            )
        checksum = content.pop("checksum", None)
        if checksum != _checksum(content):
            raise FileFormatError(f"{path} was altered: its checksum does not fit. {_AGAIN}")
        fields = {name: value for name, value in content.items() if name not in ("format", "version")}
        try:
            sides = {str(name): Side(**side) for name, side in fields.pop("sides").items()}
            manifest = cls(sides=sides, **fields)
            named = {name for side in sides.values() for name in side.files}
            plain = all(_NAME.fullmatch(name) for name in named) and named <= set(manifest.files)
        except (TypeError, KeyError, AttributeError) as error:
            raise FileFormatError(f"{path} lacks what an export needs ({error}). {_AGAIN}") from error
        if not plain:
            raise FileFormatError(f"{path} names files that are none of an export: {sorted(named)}. {_AGAIN}")
        return manifest


_AGAIN = "Write it again with  crossbit export."


def is_export(folder: Path) -> bool:
    """Whether a folder holds an export, of whatever version."""
    try:
        _read_json(folder / MANIFEST)
    except FileFormatError:
        return False
    return True


def checked_file(folder: Path, name: str, manifest: QueryManifest) -> Path:
    """The path of an export's file; raises FileFormatError unless it is there and what was exported."""
    path = folder / name
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror or error}). {_AGAIN}") from error
    if found != manifest.files[name]:
        raise FileFormatError(f"{path} was truncated or altered: its checksum does not fit. {_AGAIN}")
    return path


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise FileFormatError(f"{path} is too large to be the manifest of an export. {_AGAIN}")
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FileFormatError(f"{path.parent} is not an export: it has no {MANIFEST}. {_AGAIN}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} cannot be read ({error}). {_AGAIN}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileFormatError(f"{path} is not the manifest of an export. {_AGAIN}")
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
