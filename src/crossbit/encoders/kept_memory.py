"""Memory that stays with this process between batches, where the C library would give it back after each operation.

A network's intermediate maps take megabytes each. glibc returns such blocks to the system as soon as they are free,
and the system hands them out again page by page, each set to zero: a quarter of the time of an encoding on two cores.
"""

from __future__ import annotations

import ctypes
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of <malloc.h>
_KEPT = (1 << 30, 64 << 20, 1 << 30)  # bytes: free before any are given back; spare of a thread; a block's own mapping
_GROWN = (64 << 20, 128 << 10, 32 << 20)  # where glibc's own stand once a program has used large blocks
_lock = threading.Lock()
_users = 0


@contextmanager
def memory_kept() -> Iterator[None]:
    """Keep freed memory while the block runs, and give it back when the last such block ends; only glibc needs it."""
    global _users
    library = _glibc()
    if library is None:
        yield
        return
    with _lock:
        _users += 1
        _set(library, *_KEPT)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _set(library, *_GROWN)
                library.malloc_trim(0)


def _set(library: Any, trim: int, pad: int, mmap: int) -> None:
    library.mallopt(_TRIM_THRESHOLD, trim)
    library.mallopt(_TOP_PAD, pad)
    if not library.mallopt(_MMAP_THRESHOLD, mmap):  # an older glibc takes at most 32 MiB
        library.mallopt(_MMAP_THRESHOLD, _GROWN[2])


def _glibc() -> Any:
    """The C library where it is glibc, else None."""
    if platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
