"""The lock of a collection: one process changes it at a time, and who does is named."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crossbit.errors import BusyError, SettingsError

LOCK = "writer.lock"
_HOLDER = 64  # bytes that say who holds the lock
_PAUSE = 0.02  # seconds between two tries


@contextmanager
def writer_lock(collection: Path, what: str, patience: float) -> Iterator[None]:
    """Hold the collection's lock while the block runs. what: what for, in a word, for the message to others.

    patience: seconds to wait while another process holds it. The lock is the operating system's (flock), so it ends
    with the process, however that ends.

    Raises BusyError naming the process that holds it, SettingsError where the folder cannot be written to.
    """
    try:
        descriptor = os.open(collection / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise SettingsError(
            f"{collection} cannot be changed: {error.strerror}. Searching works; to change it, make the folder "
            "writable or work on a copy."
        ) from error
    try:
        _wait(descriptor, collection, patience)
        os.pwrite(descriptor, f"process {os.getpid()} ({what})".ljust(_HOLDER).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, collection: Path, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                holder = os.pread(descriptor, _HOLDER, 0).decode(errors="replace").strip() or "another process"
                raise BusyError(
                    f"{collection} is being changed by {holder}; one process changes a collection at a time. "
                    "Searching goes on meanwhile; try again when that is done."
                ) from None
            time.sleep(_PAUSE)
        except OSError as error:
            raise SettingsError(f"{collection} cannot be locked: {error.strerror}. Use a local disk.") from error
