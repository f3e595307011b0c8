"""Flickr30k and COCO with the splits of Karpathy and Fei-Fei (CVPR 2015), for finding the one right pair.

Captions and no labels: relevant to a picture is what was written of it, which `crossbit.evaluation.pair_recall` and
the pair recall of an evaluation measure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossbit.datasets.benchmark import Benchmark, BenchmarkItem, BenchmarkItems, NamedSplit, Record
from crossbit.datasets.counts import Tally
from crossbit.datasets.drawing import RandomSplit
from crossbit.datasets.originals import Originals, read_lines
from crossbit.errors import FileFormatError

_USED = {"karpathy": "image-caption retrieval (VSE++, CLIP and after); recall of the own pair"}
_PARTS = ("train", "restval", "val", "test")
_TOLD = "the split of the file: test pairs are queries, train pairs (with restval) train and database"


def _read_shipped(
    originals: Originals, name: str, folders: Sequence[str], tally: Tally, pictures: bool
) -> BenchmarkItems:
    """All pictures of the JSON file in its order, with all captions."""
    path = originals.find(name)
    there: dict[tuple[str, str], str] = {}
    if pictures:
        for folder in folders:
            for found in originals.pictures(originals.find(folder)):
                there[folder if len(folders) > 1 else "", Path(found).name] = found
    items, parts = [], list[str]()
    for photo in _photos(path):
        image = there.get((photo.get("filepath", "") if len(folders) > 1 else "", photo["filename"]), "")
        captions = tuple(" ".join(sentence["raw"].split()) for sentence in photo["sentences"])
        items.append(BenchmarkItem(Path(photo["filename"]).stem, image, captions))
        parts.append(photo["split"])
    _tally(tally, items, pictures)
    for part, n in Counter(parts).items():
        tally.note(f"{part} photos", n)
    rows = {part: np.flatnonzero([own == part for own in parts]) for part in _PARTS}
    train = np.union1d(rows["train"], rows["restval"])
    split = NamedSplit(train, rows["test"], train, _TOLD)
    return BenchmarkItems(tuple(items), max_words=10_000, splits={"karpathy": split})


def _photos(path: Path) -> list[dict[str, Any]]:
    """The pictures of the JSON file; raises FileFormatError where one lacks what is read of it."""
    try:
        photos = json.loads(path.read_bytes())["images"]
        for photo in photos:
            if photo["split"] not in _PARTS:
                raise ValueError(f"split {photo['split']!r}")
            if not photo["filename"] or any(not isinstance(each["raw"], str) for each in photo["sentences"]):
                raise ValueError("a picture without name or captions")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path} is no whole caption file ({error}); restore it from its archive.") from error
    return list(photos)


def _tally(tally: Tally, items: Sequence[BenchmarkItem], pictures: bool) -> None:
    tally.note("photos", len(items))
    tally.note("captions", sum(len(item.captions) for item in items))
    if pictures:
        tally.note("pictures", sum(bool(item.image) for item in items))


def read_flickr30k(originals: Originals, variant: str, tally: Tally, pictures: bool) -> BenchmarkItems:
    """Flickr30k by the JSON file of the split, or all of it by the file of captions of its own site."""
    folder = next((name for name in _FLICKR_FOLDERS if originals.look_for(name)), _FLICKR_FOLDERS[0])
    if variant == "karpathy":
        return _read_shipped(originals, "dataset_flickr30k.json", [folder], tally, pictures)
    path = originals.find("results_20130124.token")
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        name, _, told = line.partition("\t")
        name, mark, place = name.partition("#")
        if line and not (name and mark and place.isdecimal() and told.strip()):
            raise FileFormatError(
                f"{path}, line {number}: NAME.jpg#0, a tab and a caption are expected; {line[:60]!r}."
            )
        if line:
            captions.setdefault(name, []).append(told.strip())
    there: dict[str, str] = {}
    if pictures:
        there = {Path(found).name: found for found in originals.pictures(originals.find(folder))}
    items = [BenchmarkItem(Path(name).stem, there.get(name, ""), tuple(texts)) for name, texts in captions.items()]
    _tally(tally, items, pictures)
    return BenchmarkItems(tuple(items), max_words=10_000)


def read_coco(originals: Originals, variant: str, tally: Tally, pictures: bool) -> BenchmarkItems:
    """COCO by the JSON file of the split; pictures lie in the folders of 2014."""
    return _read_shipped(originals, "dataset_coco.json", ["train2014", "val2014"], tally, pictures)


_FLICKR_FOLDERS = ("flickr30k-images", "flickr30k_images", "images")
_PAGE = "https://cs.stanford.edu/people/karpathy/deepimagesent/"

FLICKR30K = Benchmark(
    name="flickr30k",
    title="Flickr30k",
    page="https://shannon.cs.illinois.edu/DenotationGraph/",
    files=(
        "flickr30k-images/*.jpg",
        f"dataset_flickr30k.json ({_PAGE}), or results_20130124.token for the variant token",
    ),
    variants={
        "karpathy": "the photos and the split of Karpathy and Fei-Fei",
        "token": "all photos by the captions of its own site, and a split drawn by the seed",
    },
    records={
        "karpathy": Record(
            {
                **{"photos": 31_014, "pictures": 31_014, "captions": 155_070},
                **{"train photos": 29_000, "val photos": 1_014, "test photos": 1_000},
            },
            recalled=("photos", "pictures", "captions", "train photos", "val photos", "test photos"),
            used_by=_USED,
        ),
        "token": Record(
            {"photos": 31_783, "pictures": 31_783, "captions": 158_915},
            {"random": RandomSplit(1_000, 29_783)},
            ("photos", "pictures", "captions"),
            {"random": "none that we read"},
        ),
    },
    read=read_flickr30k,
)

COCO_KARPATHY = Benchmark(
    name="coco-karpathy",
    title="MS COCO with Karpathy's split",
    page="https://cocodataset.org/#download",
    files=("train2014/*.jpg and val2014/*.jpg", f"dataset_coco.json ({_PAGE})"),
    variants={"karpathy": "the photos and the split of Karpathy and Fei-Fei, restval among train"},
    records={
        "karpathy": Record(
            {
                **{"photos": 123_287, "pictures": 123_287, "captions": 616_767},
                **{"train photos": 82_783, "restval photos": 30_504, "val photos": 5_000, "test photos": 5_000},
            },
            recalled=("captions", "train photos", "restval photos", "val photos", "test photos"),
            used_by=_USED,
        )
    },
    read=read_coco,
)
