"""Ready features in one .npz file, with the pictures in a second one beside it where there are any."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from crossbit.datasets.dataset import Dataset, without_duplicates
from crossbit.encoders.encoder import Skipped
from crossbit.errors import DataError, FileFormatError, LabelError, SettingsError, SplitError
from crossbit.hierarchy import label_levels
from crossbit.pairs import PairedFeatures, Split

NEEDED = ("image", "text", "caption", "query", "database", "train")


def read_features(path: str | Path, *, duplicates: str = "refuse") -> Dataset:
    """The data set of a .npz file with the arrays that docs/data.md names.

    image (n, d_image) and text (n, d_text), float16 or float32; if there, labels and labels_fine (n, c) of 0 and 1,
    c at least 1; caption (n,) of text; query, database, train: row numbers. Where a file of the same name with
    `_thumbnails` before its ending stands beside it, its pictures are served. duplicates: "refuse" a file in which a
    query has the content of a database or train pair, or "drop" such pairs from database and train and name them in
    `skipped`.

    Raises FileFormatError for a file that is missing, damaged or without an array that is needed, DataError and
    SplitError for contents that do not fit together.
    """
    if duplicates not in ("refuse", "drop"):
        raise SettingsError(f'duplicates is "refuse" or "drop"; got {duplicates!r}.')
    path = Path(path)
    arrays = _read_arrays(path, NEEDED, "features")
    try:
        labels, fine = arrays.get("labels"), arrays.get("labels_fine")
        pairs = PairedFeatures(arrays["image"], arrays["text"], labels, label_levels(labels, fine))
        if pairs.labels is not None and not pairs.labels.shape[1]:
            raise LabelError("labels have no column, so nothing is relevant to anything; leave the array out.")
        captions = arrays["caption"]
        if captions.ndim != 1 or captions.dtype.kind != "U":
            raise DataError(f"caption is expected as ({len(pairs)},) of text; got {captions.dtype} {captions.shape}.")
        split = Split(train=arrays["train"], query=arrays["query"], database=arrays["database"])
        split.check_range(len(pairs))
        skipped: tuple[Skipped, ...] = ()
        if duplicates == "drop":
            split, skipped = without_duplicates(split, pairs)
        return Dataset(
            name=path.stem,
            pairs=pairs,
            split=split,
            captions=tuple(map(str, captions)),
            labels_fine=fine,
            pictures=_pictures(path.with_name(f"{path.stem}_thumbnails.npz"), len(pairs)),
            skipped=skipped,
            revision=f"{pairs.fingerprint()}-{split.fingerprint()}",
        )
    except SplitError as error:
        hint = ' Or read the file with duplicates="drop".' if "same content" in str(error) else ""
        raise SplitError(f"{path}: {error}{hint}") from error
    except DataError as error:
        raise type(error)(f"{path}: {error}") from error


@dataclass(frozen=True, eq=False)
class Blob(Sequence[bytes]):
    """Many files' contents, one after the other. offsets: n + 1 places; file i lies from offset i to offset i + 1."""

    content: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes]:
        """The content of one file, or of some."""
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = range(len(self))[place]
        return self.content[self.offsets[number] : self.offsets[number + 1]].tobytes()


def _pictures(path: Path, n: int) -> Blob | None:
    """The pictures of a thumbnail file (webp, jpeg or png), or None where there is no such file."""
    if not path.is_file():
        return None
    arrays = _read_arrays(path, (), "pictures")
    for kind in ("webp", "jpeg", "png"):
        if f"{kind}_blob" in arrays and f"{kind}_offsets" in arrays:
            content, offsets = arrays[f"{kind}_blob"], arrays[f"{kind}_offsets"].astype(np.int64)
            if content.dtype != np.uint8 or content.ndim != 1 or offsets.shape != (n + 1,):
                raise DataError(f"{path} is expected to hold bytes and {n + 1} offsets; got {offsets.shape} offsets.")
            if (np.diff(offsets) < 0).any() or offsets[0] < 0 or offsets[-1] > len(content):
                raise DataError(f"{path} has offsets that lie outside its {len(content)} bytes.")
            return Blob(content, offsets)
    raise FileFormatError(f"{path} lacks the arrays webp_blob and webp_offsets (or jpeg_, png_).")


def _read_arrays(path: Path, needed: Sequence[str], what: str) -> dict[str, NDArray[Any]]:
    if not path.is_file():
        raise FileFormatError(f"There is no file of {what} at {path}.")
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            missing = [name for name in needed if name not in file.files]
            if missing:
                raise FileFormatError(
                    f"{path} lacks {', '.join(missing)}; a file of {what} needs {', '.join(needed)} (see docs/data.md)."
                )
            return {name: file[name] for name in file.files}
    except FileFormatError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, AttributeError, TypeError) as error:
        raise FileFormatError(f"{path} is not a whole .npz file of plain arrays ({error}); restore a copy.") from error
