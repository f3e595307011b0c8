"""Building a collection folder whole or not at all.

A new collection grows in a hidden folder beside its place and is renamed to it. One that replaces another grows inside
the old one under names of its own, and takes over in the moment in which the manifest is replaced. At no moment is
there a half collection under the name, so Ctrl-C, kill -9 and power cuts leave what was there before.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Collection
from glob import escape
from pathlib import Path

from crossbit.collection.commit import clear_leftovers
from crossbit.collection.lock import writer_lock
from crossbit.collection.manifest import is_collection
from crossbit.errors import FileFormatError, SettingsError
from crossbit.files import flush

WriteFiles = Callable[[Path], None]
"""Writes a collection's files into the folder given, and its manifest last."""


def build_folder(path: Path, write_files: WriteFiles, *, overwrite: bool, patience: float = 5.0) -> None:
    """Build a collection at `path`; `write_files` gets a folder to fill.

    Raises SettingsError when a collection stands there and overwrite is False, FileFormatError when something stands
    there that is no collection: that is never overwritten.
    """
    path = path.absolute()
    check_target(path, overwrite=overwrite)
    _clear_parts(path)
    if is_collection(path):
        with writer_lock(path, "build", patience):
            try:
                write_files(path)
            finally:
                clear_leftovers(path)
        return
    mark = f"{os.getpid()}-{secrets.token_hex(4)}"
    holder = path.parent / f".{path.name}.{mark}.part"
    try:
        holder.mkdir(parents=True)
        write_files(holder)
        flush(holder)
        os.rename(holder, path)
        flush(path.parent)
    finally:
        _clear_parts(path, ended={holder.name})


def check_target(path: Path, *, overwrite: bool) -> None:
    """Raise unless a collection may be built at `path`; for callers who want to know before long work."""
    if is_collection(path):
        if not overwrite:
            raise SettingsError(
                f"There is a collection at {path} already. Choose another place, or replace it with "
                "overwrite=True (--overwrite)."
            )
        return
    if path.is_symlink() or path.exists():
        if not path.is_dir():
            raise FileFormatError(f"{path} is a file, not a collection, and is left alone. Choose another place.")
        if any(path.iterdir()):
            raise FileFormatError(
                f"{path} is a folder with other content, not a collection, and is left alone. Choose another place."
            )


def _clear_parts(path: Path, ended: Collection[str] = ()) -> None:
    """Remove what failed and killed builds of this collection left beside its place.

    ended: names of folders known to be done with; others go when the process that made them no longer runs.
    """
    for holder in path.parent.glob(f".{escape(path.name)}.*-*.part"):
        if holder.name in ended or _abandoned(holder.name.removesuffix(".part").rpartition(".")[2]):
            shutil.rmtree(holder, ignore_errors=True)


def _abandoned(mark: str) -> bool:
    """Whether the process named in a build's mark no longer runs."""
    process = mark.partition("-")[0]
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
