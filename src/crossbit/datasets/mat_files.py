"""Arrays, texts and pictures in MATLAB files of version 5 and 7.3 (HDF5); nothing in them is run or followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from crossbit.errors import CrossbitError, DataError, FileFormatError, MissingExtraError

LARGEST = 1 << 36  # bytes of one array as float64: 64 GiB

Arrays = dict[str, NDArray[Any]]


def read_arrays(path: Path, *, largest_dimension: int = 99) -> Arrays:
    """The numeric arrays of a file by name. largest_dimension: arrays of more dimensions (pixels) are passed over.

    Raises FileFormatError for a damaged file, DataError for an array that claims to be huge, MissingExtraError where
    a 7.3 file needs h5py.
    """
    if _is_hdf5(path):
        with _opened(path) as file:
            return {name: np.asarray(held[()]).T for name, held in _numeric(file) if held.ndim <= largest_dimension}

    def wanted(kind: str, shape: tuple[int, ...]) -> bool:
        return kind not in ("cell", "struct", "char") and len(shape) <= largest_dimension

    arrays = {name: _dense(array) for name, array in _load(path, wanted).items()}
    return {name: array for name, array in arrays.items() if array.dtype.kind in "biuf"}


def read_texts(path: Path) -> dict[str, tuple[str, ...]]:
    """The lists of texts of a file by name, without the blanks that fill lines up; raises as `read_arrays`."""
    if _is_hdf5(path):
        with _opened(path) as file:
            return {name: texts for name, texts in ((n, _cells(file, held)) for n, held in _own(file)) if texts}
    found = _load(path, lambda kind, shape: kind in ("cell", "char"))
    return {name: tuple(_flat(array)) for name, array in found.items() if _is_text(array)}


@dataclass(frozen=True)
class Pixels:
    """The n pictures of an array in a file; going through them gives (height, width, 3) uint8 each."""

    path: Path
    name: str
    n: int

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """The pictures in order, one at a time where the file is of version 7.3."""
        if _is_hdf5(self.path):
            with _opened(self.path) as file:
                held = file[self.name]
                yield from (_bytes(picture, self) for picture in _turned(held, on_side=True))
            return
        array = _load(self.path, lambda kind, shape: len(shape) == 4)[self.name]
        yield from (_bytes(picture, self) for picture in _turned(array, on_side=False))


def find_pixels(path: Path) -> Pixels | None:
    """The array of pictures in a file, or None; raises as `read_arrays`."""
    if _is_hdf5(path):
        with _opened(path) as file:
            shapes = {name: held.shape for name, held in _numeric(file)}
    else:
        shapes = {name: shape for name, shape, _ in _listed(path)}
    for name, shape in shapes.items():
        if len(shape) == 4 and 3 in shape:
            return Pixels(path, name, shape[_pair_axis(shape)])
    return None


def _pair_axis(shape: tuple[int, ...]) -> int:
    """Which axis numbers the pictures: the first, but for channels in front or pictures behind."""
    return 3 if shape[0] == 3 or (shape[2] == 3 and shape[1] != 3 and shape[3] != 3) else 0


def _turned(array: Any, *, on_side: bool) -> Iterator[NDArray[Any]]:
    """Pictures as (height, width, 3) from the layouts that are about.

    on_side: as HDF5 shows what MATLAB wrote, all axes reversed: (n, 3, width, height) of height x width x 3 x n, or
    (3, width, height, n) of n x height x width x 3. With channels last, (n, height, width, 3), Python wrote it.
    """
    shape = array.shape
    axis = _pair_axis(shape)
    for number in range(shape[axis]):
        picture = np.asarray(array[number] if axis == 0 else array[..., number])
        if picture.shape[-1] == 3:
            yield picture
        elif picture.shape[0] == 3:
            yield picture.transpose(2, 1, 0) if on_side else picture.transpose(1, 2, 0)
        else:
            raise DataError(f"pictures of shape {picture.shape} have no side of 3 colours first or last.")


def _bytes(picture: NDArray[Any], of: Pixels) -> NDArray[np.uint8]:
    if picture.dtype != np.uint8:
        whole = np.asarray(np.rint(picture.astype(np.float64)))
        if not np.isfinite(whole).all() or whole.min() < 0 or whole.max() > 255 or whole.max() <= 1:
            raise DataError(f"{of.path}: pixels of {of.name} are expected from 0 to 255; got {picture.dtype}.")
        picture = whole
    return np.ascontiguousarray(picture, dtype=np.uint8)


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(128)
    except FileNotFoundError as error:
        raise FileFormatError(f"There is no .mat file at {path}.") from error
    return head.startswith(b"\x89HDF") or b"MATLAB 7.3" in head


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The HDF5 file; what goes wrong while it is read is a damaged file."""
    try:
        import h5py  # noqa: PLC0415 - an optional package, needed only for these files
    except ModuleNotFoundError as error:
        raise MissingExtraError("Reading a MATLAB 7.3 file", "mat") from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        if isinstance(error, CrossbitError):
            raise
        raise FileFormatError(f"{path} is not a whole .mat file ({error}); restore a copy.") from error


def _own(file: Any) -> Iterator[tuple[str, Any]]:
    """The arrays that lie in the file itself; links to other files are not followed."""
    import h5py  # noqa: PLC0415 - there, since _opened has loaded it

    for name in file:
        if isinstance(file.get(name, getlink=True), h5py.HardLink):
            held = file[name]
            if isinstance(held, h5py.Dataset) and not held.external and not held.is_virtual:
                yield str(name), held


def _numeric(file: Any) -> Iterator[tuple[str, Any]]:
    for name, held in _own(file):
        if held.dtype.kind in "biuf" and held.attrs.get("MATLAB_class") != b"char":
            _check_size(name, held.shape)
            yield name, held


def _cells(file: Any, held: Any) -> tuple[str, ...]:
    """A cell array of texts: references to arrays of letters by their numbers; () for what is none."""
    import h5py  # noqa: PLC0415 - there, since _opened has loaded it

    if h5py.check_ref_dtype(held.dtype) is not h5py.Reference:
        return ()
    texts = []
    for reference in np.asarray(held[()]).T.ravel():
        letters = file[reference] if reference else None
        if letters is not None and letters.attrs.get("MATLAB_empty"):
            texts.append("")
            continue
        if not isinstance(letters, h5py.Dataset) or letters.dtype.kind != "u":
            return ()
        texts.append("".join(map(chr, np.asarray(letters[()]).T.ravel())).strip())
    return tuple(texts)


def _listed(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    try:
        return [(name, tuple(shape), kind) for name, shape, kind in scipy.io.whosmat(path)]
    except Exception as error:  # on damaged files scipy raises TypeError, zlib.error, MatReadError and more
        raise FileFormatError(f"{path} is not a whole .mat file ({error}); restore a copy.") from error


def _load(path: Path, wanted: Callable[[str, tuple[int, ...]], bool]) -> dict[str, Any]:
    """What is wanted of a file of version 5, by kind and shape."""
    names = [name for name, shape, kind in _listed(path) if wanted(kind, shape)]
    for name, shape, kind in _listed(path):
        if name in names and kind not in ("cell", "char"):
            _check_size(name, shape)
    try:
        loaded = scipy.io.loadmat(path, variable_names=names)
    except Exception as error:  # as above
        raise FileFormatError(f"{path} is not a whole .mat file ({error}); restore a copy.") from error
    return {name: loaded[name] for name in names if name in loaded}


def _dense(value: Any) -> NDArray[Any]:
    return np.asarray(value.toarray() if hasattr(value, "toarray") else value)  # a sparse matrix


def _is_text(value: Any) -> bool:
    array = np.asarray(value)
    if array.dtype.kind == "O":
        return bool(array.size) and all(not np.asarray(cell).size or _is_text(cell) for cell in array.ravel())
    return array.dtype.kind == "U"


def _flat(value: Any) -> Iterator[str]:
    array = np.asarray(value)
    for cell in array.ravel():
        if array.dtype.kind == "O":
            yield " ".join(_flat(cell)).strip()  # a cell holds one text; several in it are one item's
        else:
            yield str(cell).strip()


def _check_size(name: str, shape: tuple[int, ...]) -> None:
    if 8 * int(np.prod([float(side) for side in shape] or [1.0])) > LARGEST:
        raise DataError(f"{name} is said to be of shape {shape}, more than {LARGEST >> 30} GiB; it is not read.")
