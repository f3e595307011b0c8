"""The arrays of a file by name, from .npz, .npy, .mat, .h5 and .csv; nothing in a file is ever executed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from crossbit.errors import DataError, FileFormatError, MissingExtraError

Arrays = dict[str, NDArray[Any]]

SUFFIXES = (".npz", ".npy", ".mat", ".h5", ".hdf5", ".csv", ".tsv")
_LARGEST = 1 << 35  # bytes of one array: 32 GiB
_KINDS = "biufUS"
_PART, _MODALITY, _CODE, _LABELS = "part", "modality", "code", "labels"


def is_arrays(path: Path) -> bool:
    """Whether a path is named like a file of arrays."""
    return path.suffix.lower() in SUFFIXES


def read_arrays(paths: Sequence[Path]) -> Arrays:
    """All arrays of one file, or of several that belong together, by name.

    .npz and .mat (version 5, and 7.3 with h5py) hold named arrays; .npy is one, named by its file. .h5 may have
    groups: `group/name`. A .csv has a header with the columns part (query or database), code (bits as 0101..., or
    numbers parted by blanks) or one column a bit, labels (parted by ; or |), and modality (image or text) where there
    are two. Arrays of 7.3 files stand on their side and are turned.

    Raises FileFormatError for a file that is damaged or of another kind, DataError for a name that two files hold,
    MissingExtraError where h5py is needed.
    """
    arrays: Arrays = {}
    for path in paths:
        for name, array in _read(path).items():
            if name in arrays:
                raise DataError(f"Two of the files hold an array {name}; rename one, or give the files apart.")
            arrays[name] = array
    return arrays


def _read(path: Path) -> Arrays:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise FileFormatError(f"{path} is no file of codes that is known; known are {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise FileFormatError(f"There is no file {path}.")
    try:
        if suffix in (".npz", ".npy"):
            return _read_numpy(path)
        if suffix == ".mat":
            with path.open("rb") as file:
                head = file.read(128)
            is_hdf5 = head.startswith(b"\x89HDF") or b"MATLAB 7.3" in head
            return {name: a.T for name, a in _read_hdf5(path).items()} if is_hdf5 else _read_mat(path)
        return _read_hdf5(path) if suffix in (".h5", ".hdf5") else _read_table(path, "\t" if suffix == ".tsv" else ",")
    except (FileFormatError, DataError, MissingExtraError):
        raise
    except Exception as error:  # damaged files raise zipfile, zlib, struct and other errors by the dozen
        raise FileFormatError(f"{path} is not a whole {suffix} file ({error}); restore a copy.") from error


def _read_numpy(path: Path) -> Arrays:
    with path.open("rb") as opened:  # opened here, so that it is closed where NumPy finds it damaged
        loaded = np.load(opened, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _numeric({path.stem: loaded})
        with loaded as file:
            return _numeric({name: file[name] for name in file.files})


def _read_mat(path: Path) -> Arrays:
    listed = [(name, shape) for name, shape, kind in scipy.io.whosmat(path) if kind not in ("cell", "struct", "object")]
    for name, shape in listed:
        _check_size(name, shape, 8)
    loaded = scipy.io.loadmat(path, variable_names=[name for name, _ in listed])
    dense = {name: loaded[name] for name, _ in listed if name in loaded}
    return _numeric({name: np.asarray(a.toarray() if hasattr(a, "toarray") else a) for name, a in dense.items()})


def _read_hdf5(path: Path) -> Arrays:
    """Every array of the file and its groups; links to other files are not followed."""
    try:
        import h5py  # noqa: PLC0415 - an optional package, needed only for these files
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"Reading {path.name}", "mat") from error
    arrays: Arrays = {}

    def take(group: Any, before: str, depth: int) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            held = group[name]
            if isinstance(held, h5py.Group) and depth < 4 and not str(name).startswith("#"):
                take(held, f"{before}{name}/", depth + 1)
            elif (
                isinstance(held, h5py.Dataset) and held.dtype.kind in "biuf" and not (held.external or held.is_virtual)
            ):
                _check_size(name, held.shape, held.dtype.itemsize)
                arrays[f"{before}{name}"] = np.asarray(held[()])

    with h5py.File(path, "r") as file:
        take(file, "", 0)
    return arrays


def _numeric(arrays: Arrays) -> Arrays:
    return {name: array for name, array in arrays.items() if array.dtype.kind in _KINDS}


def _check_size(name: str, shape: Sequence[int], itemsize: int) -> None:
    if itemsize * float(np.prod([float(side) for side in shape] or [1.0])) > _LARGEST:
        raise DataError(
            f"{name} is said to be of shape {tuple(shape)}, more than {_LARGEST >> 30} GiB; it is not read."
        )


def _read_table(path: Path, delimiter: str) -> Arrays:
    """A table as the arrays that it stands for, under names that `find_sides` knows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, delimiter=delimiter))
    header = [name.strip().lower() for name in rows[0]] if rows else []
    body = [row for row in rows[1:] if any(row)]
    if _PART not in header or not body:
        raise DataError(
            f"{path} needs a header with the columns {_PART} (query or database), {_CODE} or one column a bit, "
            f"{_LABELS}, and {_MODALITY} (image or text) where there are two; it has {', '.join(header) or 'nothing'}."
        )
    wrong = next((number for number, row in enumerate(body, 2) if len(row) != len(header)), None)
    if wrong is not None:
        raise DataError(f"{path}: line {wrong} has another number of cells than the header.")
    columns = dict(zip(header, zip(*body, strict=True), strict=True))
    bits = [name for name in header if name not in (_PART, _MODALITY, _CODE, _LABELS)]
    codes = [_code(cell, path) for cell in columns[_CODE]] if _CODE in columns else None
    if codes is None:
        codes = [
            [_number(cell, path) for cell in cells] for cells in zip(*(columns[name] for name in bits), strict=True)
        ]
    if len({len(code) for code in codes}) != 1 or not codes[0]:
        raise DataError(f"{path}: the codes have different lengths, or none; every row needs one of the same length.")
    values = np.array(codes)
    labels = np.array(columns.get(_LABELS, ()))
    return _parts(path, [cell.strip().lower() for cell in columns[_PART]], columns.get(_MODALITY), values, labels)


def _parts(
    path: Path, parts: list[str], modalities: Sequence[str] | None, values: NDArray[Any], labels: NDArray[Any]
) -> Arrays:
    if set(parts) != {"query", "database"}:
        raise DataError(
            f"{path}: {_PART} says query or database, and both must occur; got {', '.join(sorted(set(parts)))}."
        )
    sides = [""] * len(parts) if modalities is None else [cell.strip().lower() for cell in modalities]
    if modalities is not None and not set(sides) <= {"image", "text"}:
        raise DataError(f"{path}: {_MODALITY} says image or text; got {', '.join(sorted(set(sides)))}.")
    arrays: Arrays = {}
    for part in ("query", "database"):
        for side in dict.fromkeys(sides):
            rows = [number for number, key in enumerate(zip(parts, sides, strict=True)) if key == (part, side)]
            if rows:
                arrays[f"{side}_{part}_codes" if side else f"{part}_codes"] = values[rows]
                if len(labels):
                    own = labels[rows]
                    before = arrays.setdefault(f"{part}_labels", own)
                    if not np.array_equal(before, own):
                        raise DataError(f"{path}: image and text rows of the {part} have other labels, row by row.")
    return arrays


def _code(cell: str, path: Path) -> list[float]:
    cell = cell.strip()
    if cell and set(cell) <= {"0", "1"}:
        return [float(sign) for sign in cell]
    return [_number(part, path) for part in cell.replace(",", " ").split()]


def _number(cell: str, path: Path) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise DataError(f"{path}: {cell!r} is no number, where part of a code is expected.") from error
