"""Data with labels in two layers: FashionVC and Ssense as SHDCH and HiCHNet release them, and Food-71.

image.mat, tag.mat and label.mat, a row a pair; the columns of the coarse layer come first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossbit.datasets.benchmark import Benchmark, BenchmarkItem, BenchmarkItems, Record
from crossbit.datasets.counts import Tally
from crossbit.datasets.drawing import OrderSplit, ShareSplit
from crossbit.datasets.legacy_mat import LABELS, TEXT
from crossbit.datasets.mat_files import Pixels, find_pixels, read_arrays
from crossbit.datasets.originals import Originals
from crossbit.errors import DataError, LabelError

_USED = {"order": "SHDCH; relevant is what shares the finest label"}
RECORDS = {
    "fashionvc": Record(
        {"pairs": 19_862, "coarse labels": 8, "fine labels": 27, "tags": 2_685},
        {"order": OrderSplit(3_000, 16_862)},
        used_by=_USED,
    ),
    "ssense": Record(
        {"pairs": 15_696, "coarse labels": 4, "fine labels": 28}, {"order": OrderSplit(2_000, 13_696)}, used_by=_USED
    ),
    "food71": Record(
        {"pairs": 30_817, "coarse labels": 5, "fine labels": 66, "tags": 316},
        {"random": ShareSplit(1_000)},
        evidence=dict.fromkeys(("pairs", "coarse labels", "fine labels", "tags"), "readme"),
    ),
}
"""What each variant must hold. The count of coarse labels also says where the columns are parted."""


def reader(records: dict[str, Record]) -> Benchmark:
    """The data sets of two layers with the records they are checked against."""

    def read(originals: Originals, variant: str, tally: Tally, pictures: bool) -> BenchmarkItems:
        return _read(originals, records[variant].counts["coarse labels"], tally, pictures)

    return Benchmark(
        name="fashionvc",
        title="FashionVC and its like",
        page="https://github.com/SDU-MIMA/SHDCH",
        files=("image.mat (pixels)", "tag.mat", "label.mat: coarse labels first, then fine ones"),
        variants={
            "fashionvc": "19,862 outfits' pieces, 8 and 27 labels, in the order of the files",
            "ssense": "15,696 pieces, 4 and 28 labels, in the order of the files",
            "food71": "30,817 dishes, 5 and 66 labels, 316 ingredients (HIER Food-71); no split is known to us",
        },
        records=records,
        read=read,
    )


def _read(originals: Originals, n_coarse: int, tally: Tally, pictures: bool) -> BenchmarkItems:
    """All pairs in the order of the files; labels are the finest layer, by which relevance is told."""
    paths = {name: originals.find(f"{name}.mat", f"{name.capitalize()}.mat") for name in ("tag", "label")}
    tags, marks = (_array(paths[name], names) for name, names in (("tag", TEXT), ("label", LABELS)))
    n = next((n for n in tags.shape if n in marks.shape), None)
    if n is None:
        raise DataError(
            f"{paths['tag']} {tags.shape} and {paths['label']} {marks.shape} have no number of pairs alike."
        )
    tags, marks = (array if len(array) == n else array.T for array in (tags, marks))
    if not np.isin(marks, (0, 1)).all():
        raise LabelError(f"{paths['label']}: labels are expected as 0 and 1.")
    labels = marks.astype(np.bool_)
    coarse, fine = labels[:, :n_coarse], labels[:, n_coarse:]
    for layer, name in ((coarse, "coarse"), (fine, "fine")):
        wrong = np.flatnonzero(layer.sum(axis=1) != 1)
        if len(wrong):
            raise LabelError(
                f"{paths['label']}, row {int(wrong[0])}: one {name} label is expected, there are "
                f"{int(layer[wrong[0]].sum())}; so it is in {len(wrong)} rows. The first {n_coarse} columns were read "
                "as the coarse layer: is it another data set of this kind (--variant)?"
            )
    tally.note("pairs", n)
    tally.note("coarse labels", coarse.shape[1])
    tally.note("fine labels", fine.shape[1])
    tally.note("tags", tags.shape[1])
    pixels = _pixels(originals, n) if pictures else None
    items = tuple(BenchmarkItem(f"{row:06d}", f"pictures/{row:06d}.png" if pictures else "") for row in range(n))
    return BenchmarkItems(
        items,
        fine,
        tuple(f"fine {place}" for place in range(fine.shape[1])),
        coarse,
        tuple(f"coarse {place}" for place in range(n_coarse)),
        text_features=tags.astype(np.float32),
        pixels=pixels,
    )


def _pixels(originals: Originals, n: int) -> Pixels:
    path = originals.find("image.mat", "Image.mat")
    pixels = find_pixels(path)
    if pixels is None or pixels.n != n:
        told = "none" if pixels is None else f"{pixels.n:,}"
        raise DataError(f"{path} is expected to hold {n:,} pictures as an array of pixels; it holds {told}.")
    return pixels


def _array(path: Path, names: tuple[str, ...]) -> NDArray[np.generic]:
    arrays = read_arrays(path, largest_dimension=2)
    name = next((name for name in names if name in arrays), next(iter(arrays), None))
    if name is None:
        raise DataError(f"{path} holds no array of numbers; restore it.")
    return arrays[name]


FASHIONVC = reader(RECORDS)
