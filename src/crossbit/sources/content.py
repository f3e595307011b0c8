"""A short name of files as far as it is cheaply known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path


def files_fingerprint(files: Iterable[Path], folder: Path, *about: object) -> str:
    """A 16-digit hash of names below a folder, sizes and times of change of files, and of what else decides records."""
    digest = hashlib.sha256(repr(about).encode("utf-8", "surrogatepass"))
    for path in files:
        known = path.stat()
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{known.st_size}\0{known.st_mtime_ns}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def common_folder(files: Sequence[Path]) -> Path:
    """The deepest folder that holds all the files."""
    return Path(os.path.commonpath([path.parent for path in files]))
