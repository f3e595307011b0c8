"""Any folder of .mat files in the layouts of the literature as items: also those with pixels, captions or names.

DCMH (images or IAll, YAll, LAll), DJSRH and its family (the same in three files), UCCH (XAll or VDatabase and VTest),
BMC-SDNU (I_tr, T_tr, ...), DCHMT (caption, index, category) and torchcmh (imgList, tagList, labelList).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crossbit.datasets.benchmark import Benchmark, BenchmarkItem, BenchmarkItems, NamedSplit, Record
from crossbit.datasets.counts import Tally
from crossbit.datasets.drawing import ShareSplit
from crossbit.datasets.legacy_mat import IMAGE, LABELS, TEXT, UCCH_NAMES, labels_of, parted
from crossbit.datasets.mat_files import Arrays, Pixels, find_pixels, read_arrays, read_texts
from crossbit.datasets.originals import Originals, read_lines
from crossbit.errors import DataError

NAMES = ("index", "FAll", "imgs", "imgList")
CAPTIONS = ("caption", "captions", "txtList")

RECORDS = {"any": Record({}, {"drawn": ShareSplit(1_000), "last": ShareSplit(2_000, last=True)})}
"""Nothing is known of files of somebody's own."""


def read(originals: Originals, variant: str, tally: Tally, pictures: bool) -> BenchmarkItems:
    """The pairs of the files, with whatever of pixels, names, captions, features and labels there is."""
    files = [path for path in sorted(originals.folder.rglob("*")) if _is_mat(path) and originals.is_own(path)]
    if not files:
        raise DataError(f"{originals.folder} holds no .mat files.")
    arrays: Arrays = {}
    texts: dict[str, tuple[str, ...]] = {}
    for path in files:
        for name, array in read_arrays(path, largest_dimension=2).items():
            if UCCH_NAMES.get(name, name) in arrays:
                raise DataError(f"Two files of {originals.folder} hold an array {name}; keep those of one data set.")
            arrays[UCCH_NAMES.get(name, name)] = array
        texts |= read_texts(path)
    if "I_tr" in arrays:
        return _parted(arrays, tally)
    pixels = next((found for found in map(find_pixels, files) if found is not None), None) if pictures else None
    lines = originals.look_for("caption.txt")
    if lines is not None:
        texts.setdefault("caption", tuple(read_lines(lines)))
    return _whole(originals, arrays, texts, pixels, tally, pictures)


def _is_mat(path: Path) -> bool:
    return path.suffix in (".mat", ".h5py", ".h5") and path.is_file()


def _parted(arrays: Arrays, tally: Tally) -> BenchmarkItems:
    pairs, split = parted(arrays)
    tally.note("pairs", len(pairs))
    shipped = NamedSplit(split.train, split.query, split.database, "the parts that the files are in")
    labels = pairs.labels
    return BenchmarkItems(
        tuple(BenchmarkItem(str(row)) for row in range(len(pairs))),
        labels,
        () if labels is None else _numbered(labels),
        splits={"shipped": shipped},
        image_features=pairs.image,
        text_features=pairs.text,
    )


def _whole(
    originals: Originals,
    arrays: Arrays,
    texts: Mapping[str, tuple[str, ...]],
    pixels: Pixels | None,
    tally: Tally,
    pictures: bool,
) -> BenchmarkItems:
    image, text, marks = (_first(arrays, names) for names in (IMAGE, TEXT, LABELS))
    names, captions = _first(texts, NAMES), _first(texts, CAPTIONS)
    sizes = [len(found) for found in (names, captions) if found] + ([pixels.n] if pixels else [])
    shapes = [array.shape for array in (image, text, marks) if array is not None]
    candidates = sizes or (list(shapes[0]) if shapes else [])
    n = next((n for n in candidates if set(sizes) <= {n} and all(n in shape for shape in shapes)), None)
    if n is None or (image is None and pixels is None and names is None) or (text is None and captions is None):
        told = {k: str(v.shape) for k, v in arrays.items()} | {k: f"({len(v)} texts)" for k, v in texts.items()}
        held = ", ".join(f"{name} {what}" for name, what in told.items())
        raise DataError(
            f"{originals.folder} needs pictures (pixels, names or features) and texts (captions or tags) of one number "
            f"of pairs; it holds {held or 'nothing that is known'}{f' and {pixels.n} pictures' if pixels else ''}."
        )
    image, text, marks = (array if array is None or len(array) == n else array.T for array in (image, text, marks))
    labels = None if marks is None else labels_of(marks)
    paths = [f"pictures/{row:06d}.png" for row in range(n)] if pixels else [""] * n
    if names and not pixels and pictures:
        paths = _places(originals, names, tally)
    items = tuple(
        BenchmarkItem(str(row), paths[row], (captions[row],) if captions and captions[row] else ()) for row in range(n)
    )
    tally.note("pairs", n)
    return BenchmarkItems(
        items,
        labels,
        () if labels is None else _numbered(labels),
        max_words=2_000,
        image_features=None if image is None else image.astype(np.float32),
        text_features=None if text is None else text.astype(np.float32),
        pixels=pixels,
    )


Held = TypeVar("Held")


def _first(found: Mapping[str, Held], names: tuple[str, ...]) -> Held | None:
    return next((found[name] for name in names if name in found), None)


def _numbered(labels: NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(f"label {place}" for place in range(labels.shape[1]))


def _places(originals: Originals, names: tuple[str, ...], tally: Tally) -> list[str]:
    """Where the named pictures lie: as written below the folder, or by their file name, whatever machine wrote it."""
    there = originals.pictures(originals.folder)
    by_name = {Path(path).name: path for path in sorted(there)}
    written = [name.replace("\\", "/") for name in names]
    found = [name if name in there else by_name.get(name.rsplit("/", 1)[-1], "") for name in written]
    tally.note("pictures", sum(map(bool, found)))
    return found


LEGACY_MAT = Benchmark(
    name="legacy-mat",
    title="A folder of .mat files",
    page="the repository that released them",
    files=("*.mat in the layouts of DCMH, DJSRH, UCCH, BMC-SDNU, DCHMT or torchcmh",),
    variants={"any": "whatever the files hold: pixels become PNG files, names are looked up among the pictures"},
    records=RECORDS,
    read=read,
)
