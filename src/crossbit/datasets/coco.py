"""MS COCO: 123,287 photos with five captions each and 80 kinds of object (Lin et al., ECCV 2014)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from crossbit.datasets.benchmark import Benchmark, BenchmarkItem, BenchmarkItems, Record
from crossbit.datasets.counts import Tally
from crossbit.datasets.drawing import RandomSplit
from crossbit.datasets.originals import Originals
from crossbit.errors import FileFormatError

RECORDS = {
    "labelled": Record(
        {
            "photos": 123_287,
            "pictures": 122_218,
            "categories": 80,
            "label ones": 357_627,
            "photos without label": 1_069,
            "pairs": 122_218,
        },
        {"clip": RandomSplit(5_000, 10_000)},
        used_by={"clip": "DCHMT, MITH, DSPH; mAP@all"},
        where_noted={"labelled photos of train2014": 82_081, "labelled photos of val2014": 40_137},
    )
}
"""What the union of train and val must hold."""

_PARTS = ("train", "val")


def read(originals: Originals, variant: str, tally: Tally, pictures: bool) -> BenchmarkItems:
    """The photos of train and val that have a label, in the order of their ids, with all their captions."""
    year = "2017" if originals.look_for("annotations/instances_train2017.json", "instances_train2017.json") else "2014"
    photos: dict[int, tuple[str, str]] = {}
    captions: dict[int, list[tuple[int, str]]] = {}
    kinds: dict[int, set[int]] = {}
    categories: dict[int, str] = {}
    for part in _PARTS:
        told = _read(originals, f"captions_{part}{year}.json", "image_id", "caption")
        photos |= {photo["id"]: (f"{part}{year}", photo["file_name"]) for photo in told["images"]}
        for note in told["annotations"]:
            captions.setdefault(note["image_id"], []).append((note["id"], " ".join(note["caption"].split())))
        found = _read(originals, f"instances_{part}{year}.json", "image_id", "category_id")
        categories |= {kind["id"]: kind["name"] for kind in found["categories"]}
        for note in found["annotations"]:
            kinds.setdefault(note["image_id"], set()).add(note["category_id"])
    columns = {category: place for place, category in enumerate(sorted(categories))}
    ids = sorted(photos)
    labels = np.zeros((len(ids), len(columns)), dtype=np.bool_)
    for row, photo in enumerate(ids):
        labels[row, [columns[kind] for kind in kinds.get(photo, ())]] = True
    kept = np.flatnonzero(labels.any(axis=1))
    tally.note("photos", len(ids))
    tally.note("categories", len(columns))
    tally.note("label ones", int(labels.sum()))
    tally.note("photos without label", len(ids) - len(kept))
    tally.note("pairs", len(kept))
    for part in _PARTS:
        own = sum(photos[ids[row]][0] == f"{part}{year}" for row in kept.tolist())
        tally.note(f"labelled photos of {part}{year}", own)
    there = _pictures(originals, year) if pictures else {}
    items = []
    for row in kept.tolist():
        photo = ids[row]
        image = there.get(photos[photo], "")
        items.append(BenchmarkItem(str(photo), image, tuple(text for _, text in sorted(captions.get(photo, [])))))
    if pictures:
        tally.note("pictures", sum(bool(item.image) for item in items))
    return BenchmarkItems(tuple(items), labels[kept], tuple(categories[k] for k in columns), max_words=2_000)


def _read(originals: Originals, name: str, *needed: str) -> dict[str, Any]:
    """An annotation file; outlines of objects, nearly all of it, are let go as they are read."""
    path = originals.find(f"annotations/{name}", name)

    def without_outline(value: dict[str, Any]) -> dict[str, Any]:
        value.pop("segmentation", None)
        return value

    try:
        content = json.loads(path.read_bytes(), object_hook=without_outline)
        if any(key not in note for note in content["annotations"] for key in ("id", *needed)):
            raise KeyError(" or ".join(needed))
        if any(key not in photo for photo in content["images"] for key in ("id", "file_name")):
            raise KeyError("file_name")
        if any(key not in kind for kind in content.get("categories", ()) for key in ("id", "name")):
            raise KeyError("name of a category")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(f"{path} is no whole annotation file ({error}); restore it from its archive.") from error
    return dict(content)


def _pictures(originals: Originals, year: str) -> dict[tuple[str, str], str]:
    """The picture files that are there, by part and name."""
    found: dict[tuple[str, str], str] = {}
    for part in _PARTS:
        folder = originals.find(f"{part}{year}", f"images/{part}{year}")
        found |= {(f"{part}{year}", Path(path).name): path for path in originals.pictures(folder)}
    return found


COCO = Benchmark(
    name="coco",
    title="MS COCO",
    page="https://cocodataset.org/#download",
    files=(
        "annotations/captions_train2017.json and captions_val2017.json (or those of 2014)",
        "annotations/instances_train2017.json and instances_val2017.json (or those of 2014)",
        "train2017/*.jpg and val2017/*.jpg (or those of 2014)",
    ),
    variants={"labelled": "train and val together, photos with a labelled object; 80 labels, all captions"},
    records=RECORDS,
    read=read,
)
