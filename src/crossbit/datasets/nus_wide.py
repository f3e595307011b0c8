"""NUS-WIDE: 269,648 photos of Flickr with tags and 81 concepts (Chua et al., CIVR 2009)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from crossbit.datasets.benchmark import Benchmark, BenchmarkItem, BenchmarkItems, Record
from crossbit.datasets.counts import Tally
from crossbit.datasets.drawing import ClassSplit, RandomSplit, SplitRule
from crossbit.datasets.originals import Originals, read_lines
from crossbit.errors import DataError, FileFormatError

N_PHOTOS = 269_648

_SHARED = {"photos": N_PHOTOS, "pictures": N_PHOTOS, "concepts": 81, "label ones": 503_848}
_SHARED |= {"photo ids": 269_642}  # six photos stand there twice, and their labels can disagree
_SHARED |= {"tags": 1_000, "tag ones": 1_559_464}
_TC10, _TC21 = {"label ones of the top 10": 332_189}, {"label ones of the top 21": 411_438}
_TC10_SPLITS: dict[str, SplitRule] = {
    "unsup": ClassSplit(200, 500, 10),
    "clip": RandomSplit(5_000, 10_000),
    "all": RandomSplit(2_000, 10_000),
}
_TC21_SPLITS: dict[str, SplitRule] = {
    "dcmh": RandomSplit(2_100, 10_500),
    "classes": ClassSplit(100, 500, 21, scarce_first=True),
    "clip": RandomSplit(5_000, 10_000),
}
_USED = {
    "unsup": "DJSRH, JDSH, CFRH and their family; mAP@50. Labels choose the pairs.",
    "dcmh": "torchcmh and MITH; that DCMH's own paper uses it is recalled, not read",
    "classes": "make.split.py of iTomxy/data. Labels choose the pairs.",
    "clip": "DCHMT, DSPH, DNPH; mAP@all",
    "all": "none that we read: as many queries as unsup, without a look at labels",
}

RECORDS = {
    "tc10": Record({**_SHARED, **_TC10, "pairs": 186_577}, _TC10_SPLITS, (), _USED),
    "tc21": Record({**_SHARED, **_TC21, "pairs": 195_834}, _TC21_SPLITS, (), _USED),
    "tc10-texts": Record({**_SHARED, **_TC10, "pairs": 181_365}, _TC10_SPLITS, (), _USED),
    "tc21-texts": Record({**_SHARED, **_TC21, "pairs": 190_421}, _TC21_SPLITS, (), _USED),
}
"""What each variant must hold, over all photos but for the pairs that are kept."""

_TOP = {"tc10": 10, "tc21": 21}


def read(originals: Originals, variant: str, tally: Tally, pictures: bool) -> BenchmarkItems:
    """The pairs: photos with one of the most frequent concepts, and for "-texts" with one of the 1,000 tags."""
    photos = [
        line.replace("\\", "/") for line in read_lines(originals.find("ImageList/Imagelist.txt", "Imagelist.txt"))
    ]
    n = len(photos)
    names, labels = _labels(originals, n)
    text, words = _tags(originals, n)
    tally.note("photos", n)
    tally.note("photo ids", len({Path(photo).stem.rpartition("_")[2] for photo in photos}))
    tally.note("concepts", len(names))
    tally.note("label ones", int(labels.sum()))
    tally.note("tags", len(words))
    tally.note("tag ones", text.nnz)
    kind, _, texts = variant.partition("-")
    top = np.sort(np.argsort(-labels.sum(axis=0), kind="stable")[: _TOP[kind]])
    labels = labels[:, top]
    tally.note(f"label ones of the top {_TOP[kind]}", int(labels.sum()))
    kept = np.flatnonzero(labels.any(axis=1))
    if texts:
        kept = kept[np.diff(text.indptr)[kept] > 0]
    tally.note("pairs", len(kept))
    paths = _pictures(originals, photos, tally) if pictures else [""] * n
    items = tuple(
        BenchmarkItem(
            photos[row].removesuffix(".jpg"),
            paths[row],
            tags=tuple(words[place] for place in text.indices[text.indptr[row] : text.indptr[row + 1]]),
        )
        for row in kept.tolist()
    )
    return BenchmarkItems(items, labels[kept], tuple(names[place] for place in top), words=words, text=text[kept])


def _labels(originals: Originals, n: int) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """All concepts in the order of Concepts81.txt. The folder TrainTestLabels is not read: its lake is corrupt."""
    names = tuple(line for line in read_lines(originals.find("ConceptsList/Concepts81.txt", "Concepts81.txt")) if line)
    labels = np.zeros((n, len(names)), dtype=np.bool_)
    for column, name in enumerate(names):
        path = originals.find(f"AllLabels/Labels_{name}.txt", f"Labels_{name}.txt")
        marks = path.read_bytes().translate(None, b" \t\r\n")
        if len(marks) != n or marks.strip(b"01"):
            raise FileFormatError(_first_wrong(path, n, 1))
        labels[:, column] = np.frombuffer(marks, np.uint8) == ord("1")
    return names, labels


def _tags(originals: Originals, n: int) -> tuple[scipy.sparse.csr_matrix, tuple[str, ...]]:
    """The 1,000 tags in the order of their list, and which photos have them, a line a photo."""
    words = tuple(line for line in read_lines(originals.find("NUS_WID_Tags/TagList1k.txt", "TagList1k.txt")) if line)
    path = originals.find("NUS_WID_Tags/AllTags1k.txt", "AllTags1k.txt")
    ends, columns = [0], list[NDArray[np.int64]]()
    with path.open("rb") as file:
        for line in file:
            marks = line.translate(None, b" \t\r\n")
            if not marks:
                continue
            if len(marks) != len(words) or marks.strip(b"01"):
                raise FileFormatError(_first_wrong(path, n, len(words)))
            columns.append(np.flatnonzero(np.frombuffer(marks, np.uint8) == ord("1")))
            ends.append(ends[-1] + len(columns[-1]))
    if len(columns) != n:
        raise FileFormatError(f"{path} has {len(columns):,} lines for {n:,} photos; restore it from its archive.")
    places = np.concatenate([*columns, np.zeros(0, np.int64)])
    text = scipy.sparse.csr_matrix((np.ones(len(places), np.float32), places, ends), shape=(n, len(words)))
    return text, words


def _first_wrong(path: Path, n: int, width: int) -> str:
    """What is wrong with a file of n lines of 0 and 1, in words."""
    lines = read_lines(path)
    for number, line in enumerate(lines, start=1):
        marks = line.split()
        if len(marks) != width or set(marks) - {"0", "1"}:
            return (
                f"{path}, line {number:,}: {width} of 0 and 1 are expected; there is {line[:60]!r}. Restore the file "
                "from its archive (labels are read of AllLabels, not of TrainTestLabels)."
            )
    return f"{path} has {len(lines):,} lines for {n:,} photos; restore it from its archive."


def _pictures(originals: Originals, photos: list[str], tally: Tally) -> list[str]:
    """The path of every photo, "" where it is missing."""
    folder = originals.look_for("Flickr", "images")
    if folder is None:
        raise DataError(
            f"{originals.title} has no folder Flickr with its photos in {originals.folder}: its site gives them out "
            f"on request ({originals.page}). Without photos, say --without-pictures."
        )
    found = originals.pictures(folder)
    below = originals.below(folder)
    paths = [path if (path := f"{below}/{photo}") in found else "" for photo in photos]
    tally.note("pictures", sum(map(bool, paths)))
    return paths


_KEPT = "photos with one of the {} most frequent concepts"

NUS_WIDE = Benchmark(
    name="nus-wide",
    title="NUS-WIDE",
    page="https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html",
    files=(
        "ImageList/Imagelist.txt",
        "ConceptsList/Concepts81.txt",
        "Groundtruth/AllLabels/Labels_*.txt",
        "NUS_WID_Tags/AllTags1k.txt and TagList1k.txt",
        "Flickr/*/*.jpg (on request)",
    ),
    variants={
        "tc10": _KEPT.format(10) + ", 1,000 tags; a photo may have no tag",
        "tc21": _KEPT.format(21) + ", 1,000 tags; a photo may have no tag",
        "tc10-texts": _KEPT.format(10) + " and one of the 1,000 tags",
        "tc21-texts": _KEPT.format(21) + " and one of the 1,000 tags",
    },
    records=RECORDS,
    read=read,
)
