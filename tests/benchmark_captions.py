"""Miniatures of captioned data sets as their sites ship them: COCO, IAPR TC-12, Wikipedia, Flickr30k."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import scipy.io

from benchmark_makers import jpeg
from crossbit.datasets.benchmark import Record
from crossbit.datasets.drawing import RandomSplit

WORDS = ("dog", "cat", "boat", "tree", "plane", "red", "small", "old")


def caption(row: int, place: int = 0) -> str:
    return f"A {WORDS[row % 8]}  and a\n{WORDS[(row * 3 + place) % 8]}."


def coco(root: Path, n: int = 24, year: str = "2017") -> Record:
    """COCO with n photos, category ids with gaps, outlines, a photo without label, one without its picture."""
    categories = [{"id": 1, "name": "person"}, {"id": 90, "name": "toothbrush"}, {"id": 13, "name": "stop sign"}]
    ones = labelled = 0
    for part, rows in (("train", range(n - 8)), ("val", range(n - 8, n))):
        photos = [{"id": 500 - row, "file_name": f"{500 - row:012d}.jpg", "license": 1} for row in rows]
        told, found = [], []
        for row in rows:
            told += [
                {"id": 10 * row + place, "image_id": 500 - row, "caption": caption(row, place)} for place in range(5)
            ]
            own = [categories[k]["id"] for k in range(3) if (row + 1) % (k + 2) == 0]
            found += [
                {"id": len(found), "image_id": 500 - row, "category_id": kind, "segmentation": [[1.0, 2.0]]}
                for kind in [*own, *own[:1]]  # two objects of one kind are one label
            ]
            ones, labelled = ones + len(own), labelled + bool(own)
            if row != 5:
                jpeg(root / f"{part}{year}" / f"{500 - row:012d}.jpg", 7 * row)
        base = {"info": {}, "images": photos}
        _json(root / "annotations" / f"captions_{part}{year}.json", {**base, "annotations": told})
        _json(
            root / "annotations" / f"instances_{part}{year}.json",
            {**base, "annotations": found, "categories": categories},
        )
    counts = {"photos": n, "pictures": labelled - 1, "categories": 3, "label ones": ones}
    counts |= {"photos without label": n - labelled, "pairs": labelled}
    return Record(counts, {"clip": RandomSplit(3, 8)})


def iapr(root: Path, n: int = 12) -> Record:
    """IAPR TC-12 with n photos in two folders: Latin-1, entities, a photo without a region."""
    lines = []
    for number in range(1, n + 1):
        folder = f"{number % 2:02d}"
        text = (
            f"<DOC>\r\n<DOCNO>{folder}/{number}.eng</DOCNO>\r\n<TITLE>S\u00e3o {WORDS[number % 8]}</TITLE>\r\n"
            f"<DESCRIPTION>a {WORDS[number % 8]} &amp; a boat;\r\n a tree;</DESCRIPTION>\r\n<NOTES></NOTES>\r\n</DOC>"
        )
        path = root / "annotations_complete_eng" / folder / f"{number}.eng"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
        jpeg(root / "images" / folder / f"{number}.jpg", 9 * number)
        if number != 4:
            lines.append((folder, f"{number}\t1\t{1 + number % 3}\r\n{number} 2 {1 + number % 3}\r\n"))
    for folder in ("00", "01"):
        path = root / "saiapr" / "saiapr_tc-12" / folder / "labels.txt"
        path.parent.mkdir(parents=True)
        path.write_bytes("".join(line for own, line in lines if own == folder).encode() + b"\r\n")
    (root / "saiapr" / "wlist.txt").write_bytes(b"1\tair-hockey table\r\n2\tboat\r\n3\ttree\r\n4\tnever used\r\n")
    counts = {"photos": n, "pictures": n, "labels": 3, "pairs": n}
    return Record(counts, {"dcmh": RandomSplit(2, 6)}, ("labels",))


def wikipedia(root: Path, n: int = 20) -> Record:
    """Wikipedia with n pairs, a fifth of them test; its features; a text that is missing."""
    rng = np.random.default_rng(2)
    n_train = n * 4 // 5
    root.mkdir(parents=True)
    for name, rows in (("train", range(n_train)), ("test", range(n_train, n))):
        lines = [f"text{row}\timage{row}\t{1 + row % 3}" for row in rows]
        (root / f"{name}set_txt_img_cat.list").write_bytes("\r\n".join(lines).encode())
    for row in range(n):
        jpeg(root / "images" / ("art", "biology", "music")[row % 3] / f"image{row}.jpg", 11 * row)
        if row != 2:
            (root / "texts").mkdir(exist_ok=True)
            told = f"<?xml version='1.0'?><document><name>x</name><text>{caption(row)} &lt;b&gt;</text></document>"
            (root / "texts" / f"text{row}.xml").write_text(told)
    arrays = {f"I_{part}": rng.random((rows, 6)) for part, rows in (("tr", n_train), ("te", n - n_train))}
    arrays |= {f"T_{part}": rng.random((rows, 4)) for part, rows in (("tr", n_train), ("te", n - n_train))}
    scipy.io.savemat(root / "raw_features.mat", arrays)
    counts = {"train pairs": n_train, "test pairs": n - n_train, "pictures": n, "categories": 3}
    return Record({**counts, "image features": 6, "text features": 4})


def karpathy(root: Path, n: int = 20, coco: bool = False) -> Record:
    """A caption file of Karpathy and Fei-Fei with n pictures; for COCO in two folders."""
    parts = ["train"] * (n - 8) + (["restval"] * 2 if coco else ["train"] * 2) + ["val"] * 2 + ["test"] * 4
    photos = []
    for row, part in enumerate(parts):
        folder = ("train2014" if row % 2 else "val2014") if coco else "flickr30k-images"
        jpeg(root / folder / f"{3000 + row}.jpg", 5 * row)
        sentences = [{"raw": caption(row, place), "tokens": [], "sentid": place} for place in range(5)]
        photos.append({"filename": f"{3000 + row}.jpg", "split": part, "sentences": sentences, "filepath": folder})
    _json(root / f"dataset_{'coco' if coco else 'flickr30k'}.json", {"images": photos, "dataset": "x"})
    counts = {"photos": n, "pictures": n, "captions": 5 * n, "val photos": 2, "test photos": 4}
    return Record({**counts, "train photos": n - 8 if coco else n - 6, **({"restval photos": 2} if coco else {})})


def _json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
