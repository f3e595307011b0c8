"""MIRFLICKR-25K: 25,000 photos of Flickr with their tags and 24 annotated concepts (Huiskes and Lew, MIR 2008)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossbit.datasets.benchmark import Benchmark, BenchmarkItem, BenchmarkItems, Evidence, Record, multi_hot
from crossbit.datasets.counts import Tally
from crossbit.datasets.drawing import ClassSplit, RandomSplit
from crossbit.datasets.originals import Originals, fields, read_lines, whole_number
from crossbit.errors import DataError, FileFormatError

N_PHOTOS = 25_000

_EVIDENCE: dict[str, Evidence] = {"photos": "page", "pictures": "page"}
_SHARED = {"photos": N_PHOTOS, "pictures": N_PHOTOS, "common tags": 1_386, "tag ones": 94_281}
_DCMH = RandomSplit(2_000, 10_000)
_UNSUP = ClassSplit(80, 200, 24, first=(160, 400), total_train=5_000)
_USED = {
    "dcmh": "DCMH, SSAH, AGAH, DADH, MITH; mAP@all",
    "unsup": "DJSRH, JDSH, CFRH and their family; mAP@50. Labels choose the pairs.",
    "clip": "DCHMT, DSPH, DNPH; mAP@all",
}

RECORDS = {
    "tags": Record(
        {**_SHARED, "concepts": 24, "label ones": 92_902, "pairs": 20_015},
        {"dcmh": _DCMH, "unsup": _UNSUP},
        used_by=_USED,
        evidence=_EVIDENCE,
    ),
    "tags-38": Record({**_SHARED, "concepts": 38, "pairs": 20_015}, {"dcmh": _DCMH}, ("pairs",), _USED, _EVIDENCE),
    "captions": Record(
        {**_SHARED, "concepts": 24, "label ones": 92_902, "pairs": 24_581},
        {"clip": RandomSplit(5_000, 10_000)},
        ("pairs",),
        _USED,
        _EVIDENCE,
    ),
}
"""What each variant must hold, over all photos but for the pairs that are kept."""


def read(originals: Originals, variant: str, tally: Tally, pictures: bool) -> BenchmarkItems:
    """The pairs: photos with a label and, but for the variant "captions", with one of the common tags."""
    words = _common_tags(originals.find("mirflickr/doc/common_tags.txt", "doc/common_tags.txt", "common_tags.txt"))
    tags = _tags(originals)
    n = len(tags)
    names, labels = _labels(originals, n, with_relevant=variant == "tags-38")
    column = {word: place for place, word in enumerate(words)}
    places = [(row, column[tag]) for row, own in enumerate(tags) for tag in own if tag in column]
    rows, columns = np.array(places, dtype=np.int64).reshape(-1, 2).T
    text = multi_hot(rows, columns, n, len(words))
    tally.note("photos", n)
    tally.note("common tags", len(words))
    tally.note("concepts", len(names))
    tally.note("label ones", int(labels.sum()))
    tally.note("tag ones", text.nnz)
    images = _pictures(originals, n, tally) if pictures else [""] * n
    kept = np.flatnonzero(labels.any(axis=1))
    if variant != "captions":
        kept = kept[np.diff(text.indptr)[kept] > 0]
    tally.note("pairs", len(kept))
    items = []
    for row in kept.tolist():
        known = tuple(words[place] for place in sorted(text.indices[text.indptr[row] : text.indptr[row + 1]]))
        raw = (" ".join(tags[row]),) if variant == "captions" and tags[row] else ()
        items.append(BenchmarkItem(f"im{row + 1}", images[row], raw, known))
    return BenchmarkItems(tuple(items), labels[kept], names, words=words, text=text[kept])


def _common_tags(path: Path) -> tuple[str, ...]:
    """The tags, each of which its file says in how many photos it stands; the order is that of the columns."""
    words = []
    for number, line in enumerate(read_lines(path), start=1):
        if line:
            words.append(fields(line, 2, path, number, "a tag and its count")[0])
    if len(set(words)) < len(words):
        raise FileFormatError(f"{path} lists a tag twice; restore it from its archive.")
    return tuple(words)


def _tags(originals: Originals) -> list[tuple[str, ...]]:
    """The cleaned tags of every photo, by its number."""
    folder = originals.find("mirflickr/meta/tags", "meta/tags", "tags")
    files = {path.name: path for path in originals.files(folder, "tags*.txt")}
    n = len(files)
    missing = [number for number in range(1, n + 1) if f"tags{number}.txt" not in files]
    if missing or not n:
        raise DataError(
            f"{folder} lacks tags{missing[0] if missing else 1}.txt: the files must be tags1.txt to tags{n}.txt "
            f"without gaps. Unpack the archive again; see {originals.page}."
        )
    return [
        tuple(dict.fromkeys(tag for tag in read_lines(files[f"tags{number}.txt"]) if tag)) for number in range(1, n + 1)
    ]


def _labels(originals: Originals, n: int, *, with_relevant: bool) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """The concepts in alphabetic order, and which photos have them; the `_r1` files hold those most relevant."""
    folder = originals.find("mirflickr25k_annotations_v080", "annotations_v080", "annotations")
    files = [
        path
        for path in originals.files(folder, "*.txt")
        if path.stem.lower() != "readme" and (with_relevant or not path.stem.endswith("_r1"))
    ]
    if not files:
        raise DataError(f"{folder} holds no annotations such as sky.txt; see {originals.page}.")
    labels = np.zeros((n, len(files)), dtype=np.bool_)
    for column, path in enumerate(files):
        for number, line in enumerate(read_lines(path), start=1):
            if line:
                labels[whole_number(line, path, number, 1, n) - 1, column] = True
    return tuple(path.stem for path in files), labels


def _pictures(originals: Originals, n: int, tally: Tally) -> list[str]:
    """The path of every photo, "" where it is missing."""
    folder = originals.find("mirflickr/im1.jpg", "images/im1.jpg", "im1.jpg").parent
    found = originals.pictures(folder)
    below = originals.below(folder)
    prefix = "" if below == "." else f"{below}/"
    images = [path if (path := f"{prefix}im{number}.jpg") in found else "" for number in range(1, n + 1)]
    tally.note("pictures", sum(map(bool, images)))
    return images


MIRFLICKR = Benchmark(
    name="mirflickr25k",
    title="MIRFLICKR-25K",
    page="https://press.liacs.nl/mirflickr/",
    files=(
        "mirflickr/im1.jpg to im25000.jpg (mirflickr25k.zip)",
        "mirflickr/meta/tags/tags1.txt to tags25000.txt",
        "mirflickr/doc/common_tags.txt",
        "mirflickr25k_annotations_v080/*.txt (mirflickr25k_annotations_v080.zip)",
    ),
    variants={
        "tags": "24 concepts, the 1,386 common tags; photos without a label or such a tag left out",
        "tags-38": "the same with the 14 `_r1` annotations as concepts of their own",
        "captions": "every photo with a label; all its tags in one line are its caption, as the papers on CLIP do",
    },
    records=RECORDS,
    read=read,
)
