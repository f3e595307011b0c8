"""The manifest of a collection: what the folder holds, with size and checksum of every file that does not change."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from crossbit.collection.block import MODALITIES, Modality
from crossbit.errors import FileFormatError
from crossbit.files import write_whole

FORMAT = "crossbit-collection"
FORMAT_VERSION = 2
MANIFEST, COPY = "manifest.json", "manifest-copy.json"
_BLOCK = 1 << 20
_MARK = r"\d{8}-[0-9a-f]{8}"
_NAMES = {
    "hasher": re.compile(f"hasher-{_MARK}"),
    "log": re.compile(f"log-{_MARK}"),
    "segment": re.compile(f"segment-{_MARK}"),
    "removed": re.compile(rf"removed-{_MARK}\.npy"),
}
OURS = re.compile(
    rf"(?:hasher-{_MARK}|log-{_MARK}|segment-{_MARK}|removed-{_MARK}\.npy|files-\d+-[0-9a-f]{{8}}"
    rf"|\.{MANIFEST}\.[0-9a-f]{{8}}\.part|\.{COPY}\.[0-9a-f]{{8}}\.part)"
)
"""Names that only collections give: what bears one and is in no manifest was left by a process that was killed."""

Described = tuple[int, str]
"""Size in bytes and SHA-256 of a file."""


@dataclass(frozen=True)
class Removed:
    """The file that lists a segment's removed rows. n: how many."""

    file: str
    n: int
    described: Described


@dataclass(frozen=True)
class SegmentEntry:
    """A segment. name: its folder. n: its items. counts: by modality, those that have it. files: by name."""

    name: str
    n: int
    counts: Mapping[Modality, int]
    files: Mapping[str, Described]
    removed: Removed | None = None


@dataclass(frozen=True)
class Manifest:
    """What a collection holds, apart from what its log adds.

    generation: counts the manifests from 1. n_bits: code length. hasher: the fingerprint of the hasher that made the
    codes. method: the method that fitted it. created: when the collection was, in UTC, ISO 8601. crossbit: the version
    that wrote the manifest. hasher_folder, log: names. hasher_files: by name. segments: in the order of their rows.
    widths: by modality, the width of the features that it stores; empty where it stores none. version: of the format.
    """

    generation: int
    n_bits: int
    hasher: str
    method: str
    created: str
    crossbit: str
    hasher_folder: str
    hasher_files: Mapping[str, Described]
    log: str
    segments: tuple[SegmentEntry, ...] = ()
    widths: Mapping[Modality, int] = field(default_factory=dict)
    version: int = FORMAT_VERSION

    def to_json(self) -> bytes:
        """The manifest as it stands on disk, closed by a checksum of itself."""
        content: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        content["checksum"] = _checksum(content)
        return (json.dumps(content, indent=1) + "\n").encode()

    def write(self, collection: Path) -> None:
        """Make this the collection's manifest, in one step that survives a power cut, then keep a copy of it."""
        write_whole(collection / MANIFEST, self.to_json())
        write_whole(collection / COPY, self.to_json())

    @classmethod
    def read(cls, collection: Path, name: str = MANIFEST) -> Self:
        """The manifest of a collection of this format's version; raises FileFormatError, with what to do."""
        path = collection / name
        content = sound_content(path)
        if content["version"] != FORMAT_VERSION:
            raise FileFormatError(f"{path} is of version {content['version']}, not {FORMAT_VERSION}.")
        try:
            segments = tuple(_segment(entry) for entry in content.pop("segments"))
            files = _files(content.pop("hasher_files"))
            given = content.pop("widths")
            widths: dict[Modality, int] = {modality: int(given[modality]) for modality in MODALITIES if given}
            del content["format"]
            manifest = cls(**content, segments=segments, hasher_files=files, widths=widths)
            names = [("hasher", manifest.hasher_folder), ("log", manifest.log)]
            names += [("segment", segment.name) for segment in segments]
            names += [("removed", segment.removed.file) for segment in segments if segment.removed]
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise FileFormatError(f"{path} lacks what a collection needs: {error}. {_MEND}") from error
        for kind, given in names:
            if not isinstance(given, str) or not _NAMES[kind].fullmatch(given):
                raise FileFormatError(f"{path} names the {kind} {given!r}, which is none of ours.")
        return manifest

    @property
    def referenced(self) -> set[str]:
        """The names of the files and folders that belong to the collection."""
        removed = {segment.removed.file for segment in self.segments if segment.removed}
        return {self.hasher_folder, self.log, *(segment.name for segment in self.segments), *removed}


_MEND = "Mend it with  crossbit check --repair, restore a copy, or build it again with  crossbit index."


def _segment(content: Mapping[str, Any]) -> SegmentEntry:
    counts: dict[Modality, int] = {modality: int(content["counts"][modality]) for modality in MODALITIES}
    removed = content["removed"]
    if removed is not None:
        removed = Removed(removed["file"], int(removed["n"]), _described(removed["described"]))
    return SegmentEntry(content["name"], int(content["n"]), counts, _files(content["files"]), removed)


def _files(content: Mapping[str, Any]) -> dict[str, Described]:
    for name in content:
        if not re.fullmatch(r"[a-z-]+\.(?:npy|arrow|safetensors|json)", name):
            raise ValueError(f"the file name {name!r} is none of ours")
    return {name: _described(value) for name, value in content.items()}


def _described(value: Any) -> Described:
    size, checksum = value
    return int(size), str(checksum)


def is_collection(path: Path) -> bool:
    """Whether a folder holds a collection, of whatever version, also one whose manifest is damaged."""
    for name in (MANIFEST, COPY):
        try:
            _read_json(path / name)
        except FileFormatError:
            continue
        return True
    return False


def described(path: Path) -> Described:
    """A file's size and SHA-256, read in blocks."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def sound_content(path: Path) -> dict[str, Any]:
    """A manifest's content whose checksum and version are right, whichever version of ours it is.

    Raises FileFormatError, with what to do, for another file, one of a later version and one that was altered.
    """
    content = _read_json(path)
    if content.get("version") not in (1, FORMAT_VERSION):
        raise FileFormatError(
            f"{path.parent} has collection format version {content.get('version')}; this crossbit reads versions 1 to "
            f"{FORMAT_VERSION}. Upgrade crossbit (pip install -U crossbit), or build it again with  crossbit index."
        )
    checksum = content.pop("checksum", None)
    if checksum != _checksum(content):
        raise FileFormatError(f"{path} was altered: its checksum does not fit. {_MEND}")
    return content


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FileFormatError(
            f"{path.parent} is not a collection: it has no {path.name}. Build one with  crossbit index."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} cannot be read: {error}. {_MEND}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileFormatError(f"{path} is not the manifest of a crossbit collection; build one with  crossbit index.")
    return content


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
