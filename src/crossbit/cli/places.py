"""Where results go and what is typed next."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from crossbit.errors import SettingsError


def check_file_place(path: Path) -> None:
    """Raise SettingsError unless a file can be written at `path`: known before long work, not after it."""
    if path.is_dir():
        raise SettingsError(f"{path} is a folder; say the name of a file to write, such as --out {path / 'result'}.")
    check_folder_place(path.parent)


def check_folder_place(path: Path, option: str = "--out") -> None:
    """Raise SettingsError unless a folder can be made, or written to, at `path`, the value of an option."""
    nearest = path.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir():
        raise SettingsError(f"{nearest} is a file, so {path} cannot be a folder; choose another {option}.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise SettingsError(f"{nearest} cannot be written to; choose another {option}.")


def own_command() -> str:
    """How this program is called from here: crossbit, or the path of the one that runs where that is not found."""
    started, found = Path(sys.argv[0]), shutil.which("crossbit")
    if not started.is_file() or started.stem != "crossbit":
        return "crossbit"
    if found and Path(found).resolve() == started.resolve():
        return "crossbit"
    near = os.path.relpath(started)
    return str(started) if near.startswith("..") else near
