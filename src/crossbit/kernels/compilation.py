"""How a Python function becomes machine code here, and the types that the compiled loops share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]
Rows = NDArray[np.int64]
Distances = NDArray[np.int32]
Counts = NDArray[np.int64]
Compiled = TypeVar("Compiled", bound=Callable[..., Any])


def compiled(function: Compiled) -> Compiled:
    """The function as machine code, compiled at its first call, without the interpreter lock.

    The machine code is cached beside the source or in the user's cache folder; where neither can be written to, it
    is compiled anew in each process.
    """
    # numba looks at the function's own file alone to tell whether its cached code still holds. What it is made of
    # stands in other files too, so the cache goes by their content: the name is what its files are named by.
    function.__qualname__ += f"-{_sources()}"
    try:
        return cast(Compiled, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # no folder to cache in
        return cast(Compiled, numba.njit(nogil=True, error_model="numpy")(function))


def inlined(function: Compiled) -> Compiled:
    """A part of a compiled loop, put in its place there: a call with a dozen arrays costs more than such a part.

    It borrows its arrays: it must make none and return none. Otherwise numba would count the references to each array
    up and down, one atomic operation each, for every row that is offered; that took a third of a search for k = 100.
    """
    untyped: Any = numba.njit  # its types leave _nrt out
    return cast(Compiled, untyped(nogil=True, error_model="numpy", forceinline=True, _nrt=False)(function))


def allocating(function: Compiled) -> Compiled:
    """As `inlined`, for a part that makes arrays."""
    return cast(Compiled, numba.njit(nogil=True, error_model="numpy", forceinline=True)(function))


@cache
def _sources() -> str:
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
