"""MATLAB feature files in the layouts of the literature on cross-modal hashing: ready features, labels and splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.datasets.dataset import Dataset, without_duplicates
from crossbit.datasets.from_source import draw_split
from crossbit.datasets.mat_files import Arrays, read_arrays
from crossbit.encoders.encoder import Skipped
from crossbit.errors import DataError, FileFormatError, SettingsError, SplitError
from crossbit.pairs import PairedFeatures, Split

IMAGE = ("IAll", "XAll", "I", "Image", "image", "images", "imgs", "FAll")
TEXT = ("YAll", "TAll", "T", "Tag", "tag", "tags", "text", "Y")
LABELS = ("LAll", "L", "Label", "label", "labels", "category", "LABELS")
_PARTS = ("tr", "te", "db")
UCCH_NAMES = {
    **{"VDatabase": "I_tr", "YDatabase": "T_tr", "databaseL": "L_tr"},
    **{"VTest": "I_te", "YTest": "T_te", "testL": "L_te"},
}
"""Names in the feature files of UCCH and its family, and those in the files of BMC-SDNU."""


def read_mat(path: str | Path, *, duplicates: str = "refuse", seed: int = 0) -> Dataset:
    """The data set of a .mat file, or of a folder of .mat files that belong together, version 5 or 7.3 (HDF5).

    With I_tr, T_tr, I_te, T_te (and L_*, and I_db, T_db where there are): rows of tr are train, of te queries, of db
    the database, which is the train rows without db (UCCH's VDatabase, YDatabase, VTest, YTest likewise). With one
    array each (IAll, YAll, LAll and the like, see IMAGE, TEXT, LABELS) a tenth of the pairs, 1000 at most, are
    queries, drawn by seed, and the others train and database.
    Labels are 0 and 1 (or -1 and 1), one column a class, or one column of class numbers. Arrays of version 7.3 stand
    on their side, as MATLAB writes them, and are turned. duplicates: as in `read_features`.

    Raises FileFormatError for a damaged file, DataError for arrays that are missing (naming those found) or do not
    fit together, MissingExtraError where a 7.3 file needs h5py.
    """
    if duplicates not in ("refuse", "drop"):
        raise SettingsError(f'duplicates is "refuse" or "drop"; got {duplicates!r}.')
    path = Path(path)
    files = sorted(path.glob("*.mat")) if path.is_dir() else [path]
    if not files or not all(file.is_file() for file in files):
        raise FileFormatError(f"There is no .mat file at {path}.")
    arrays: Arrays = {}
    for file in files:
        for written, array in read_arrays(file).items():
            name = UCCH_NAMES.get(written, written)
            if name in arrays:
                raise DataError(f"Two files of {path} hold an array {name}; keep those of one data set in a folder.")
            arrays[name] = array
    try:
        pairs, split = parted(arrays) if "I_tr" in arrays else _whole(arrays, seed)
        skipped: tuple[Skipped, ...] = ()
        if duplicates == "drop":
            split, skipped = without_duplicates(split, pairs)
        return Dataset(
            name=path.stem,
            pairs=pairs,
            split=split,
            captions=("",) * len(pairs),
            skipped=skipped,
            revision=f"{pairs.fingerprint()}-{split.fingerprint()}",
        )
    except SplitError as error:
        hint = ' Or read the file with duplicates="drop".' if "same content" in str(error) else ""
        raise SplitError(f"{path}: {error}{hint}") from error
    except DataError as error:
        raise type(error)(f"{path}: {error}") from error


def is_mat(path: Path) -> bool:
    """Whether a path is a .mat file or a folder of such files."""
    return path.suffix == ".mat" or (path.is_dir() and next(path.glob("*.mat"), None) is not None)


def parted(arrays: Arrays) -> tuple[PairedFeatures, Split]:
    """Pairs and split of arrays that are parted already."""
    parts = [part for part in _PARTS if f"I_{part}" in arrays]
    needed = [f"{letter}_{part}" for part in {*parts, "tr", "te"} for letter in "IT"]
    missing = sorted(name for name in needed if name not in arrays)
    if missing:
        raise DataError(f"it lacks {', '.join(missing)}; it holds {_found(arrays)}.")
    labelled = all(f"L_{part}" in arrays for part in parts)
    blocks = [block_of(arrays, f"I_{part}", f"T_{part}", f"L_{part}" if labelled else None) for part in parts]
    image, text = (np.concatenate([block[place] for block in blocks]) for place in (0, 1))
    labels = labels_of(np.concatenate([block[2] for block in blocks])) if labelled else None
    ends = np.cumsum([0, *(len(block[0]) for block in blocks)])
    rows = {part: np.arange(ends[place], ends[place + 1]) for place, part in enumerate(parts)}
    split = Split(train=rows["tr"], query=rows["te"], database=rows.get("db", rows["tr"]))
    return PairedFeatures(image, text, labels), split


def _whole(arrays: Arrays, seed: int) -> tuple[PairedFeatures, Split]:
    """Pairs of one array each, and a split that is drawn."""
    names = [next((name for name in names if name in arrays), None) for names in (IMAGE, TEXT, LABELS)]
    if names[0] is None or names[1] is None:
        raise DataError(
            f"it has no image and text features under a known name (I_tr and T_tr, {IMAGE[0]} and {TEXT[0]}, ...); it "
            f"holds {_found(arrays)}."
        )
    if arrays[names[0]].ndim == 4:
        shape = arrays[names[0]].shape
        raise DataError(
            f"{names[0]} holds pixels {shape}, not features; `crossbit data prepare legacy-mat` makes files of them."
        )
    image, text, labels = block_of(arrays, names[0], names[1], names[2])
    pairs = PairedFeatures(image, text, None if names[2] is None else labels_of(labels))
    return pairs, draw_split(len(pairs), seed)


def block_of(
    arrays: Arrays, image: str, text: str, labels: str | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Arrays of the same pairs, one row a pair; one that stands on its side beside the others is turned."""
    chosen = [arrays[name] for name in (image, text, labels) if name is not None]
    for name, array in zip((image, text, labels), chosen, strict=False):
        if array.ndim != 2:
            raise DataError(f"{name} is expected as (pairs, features); got shape {array.shape}.")
    n = next((n for n in chosen[0].shape if all(n in array.shape for array in chosen)), None)
    if n is None:
        shapes = ", ".join(str(array.shape) for array in chosen)
        raise DataError(f"{image} and what belongs to it have no number of pairs in common: shapes {shapes}.")
    turned = [array if len(array) == n else array.T for array in chosen]
    return turned[0], turned[1], turned[2] if labels is not None else np.zeros((n, 0))


def labels_of(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Labels of 0 and 1, or -1 and 1, or one column of class numbers, as booleans (n, c)."""
    if values.shape[1] == 1 and len(np.unique(values)) > 2:
        classes = np.unique(values)
        return np.asarray(values == classes[None, :], dtype=np.bool_)
    if not np.isin(values, (-1, 0, 1)).all():
        raise DataError("labels are expected as 0 and 1, one column a class, or as one column of class numbers.")
    return np.asarray(values > 0, dtype=np.bool_)


def _found(arrays: Mapping[str, NDArray[Any]]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:30]) or "no arrays of numbers"
