"""Arrays in one file under checksums, written whole or not at all, and read without pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import FileFormatError
from crossbit.files import whole_file


def write_arrays(path: Path, format_name: str, told: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays and a header of plain values; the file is a NumPy .npz."""
    checksums = {name: _checksum(array) for name, array in arrays.items()}
    header = json.dumps({"format": format_name, **told, "checksums": checksums}).encode()
    with whole_file(path) as part, part.open("wb") as file:
        np.savez(file, header=np.frombuffer(header, np.uint8), **arrays)  # type: ignore[arg-type]  # numpy's stub takes allow_pickle for one of the arrays


def read_arrays(path: Path, format_name: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays; raises FileFormatError for a file that is none of that format, was cut short or altered."""
    wrong = f"{path} is not a whole {format_name} file; build the index again or restore a copy."
    try:
        # Opened here, for np.load leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        told = json.loads(arrays.pop("header").tobytes())
    except FileNotFoundError:
        raise FileFormatError(f"{path} is not there.") from None
    except Exception as error:  # zipfile, zlib and NumPy each raise what they like on a damaged file
        raise FileFormatError(wrong) from error
    if not isinstance(told, dict) or told.get("format") != format_name:
        raise FileFormatError(wrong)
    if told.get("checksums") != {name: _checksum(array) for name, array in arrays.items()}:
        raise FileFormatError(wrong)
    return told, arrays


def read_header(path: Path, format_name: str) -> dict[str, Any]:
    """The header alone, arrays unread; raises FileFormatError for a file that has none of that format."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            told = json.loads(stored["header"].tobytes())
    except Exception as error:  # as in `read_arrays`
        raise FileFormatError(f"{path} is not a whole {format_name} file.") from error
    if not isinstance(told, dict) or told.get("format") != format_name:
        raise FileFormatError(f"{path} is not a whole {format_name} file.")
    return told


def _checksum(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
