"""Miniatures of public data sets, written exactly as their sites ship them, with what makes real archives hard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crossbit.datasets.benchmark import Record
from crossbit.datasets.drawing import ClassSplit, RandomSplit
from source_makers import png

CONCEPTS = ("animals", "baby", "sky")


def jpeg(path: Path, shade: int) -> None:
    """A picture that opens, whatever its ending says, as many of those sites' do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(shade % 256))


def mirflickr(root: Path, n: int = 40) -> Record:
    """MIRFLICKR-25K with n photos: CRLF and Latin-1 files, `._` files of a Mac, an empty tag file. Its record."""
    rng = np.random.default_rng(0)
    words = [f"tag{number}" for number in range(6)] + ["caf\u00e9"]
    (root / "mirflickr" / "doc").mkdir(parents=True)
    (root / "mirflickr" / "meta" / "tags").mkdir(parents=True)
    lines = "\r\n".join(f"{word} {20 + place}" for place, word in enumerate(words))
    (root / "mirflickr" / "doc" / "common_tags.txt").write_bytes(lines.encode("latin-1"))
    ones = kept = labelled = 0
    labels = rng.random((n, len(CONCEPTS))) < 0.4
    labels[0], labels[1:4, 0] = False, True  # a photo without a label
    for number in range(1, n + 1):
        jpeg(root / "mirflickr" / f"im{number}.jpg", number)
        own = [word for word in words if rng.random() < 0.4] if number != 2 else []
        written = [*own, *own[:1], "notcommon"] if number != 2 else []
        end = "\n" if number % 3 else "\r"
        content = end.join(written) + (end if number % 2 else "")
        encoding = "latin-1" if number % 2 else "utf-8"
        (root / "mirflickr" / "meta" / "tags" / f"tags{number}.txt").write_bytes(content.encode(encoding))
        ones += len(own)
        labelled += bool(labels[number - 1].any())
        kept += bool(labels[number - 1].any() and own)
    folder = root / "mirflickr25k_annotations_v080"
    folder.mkdir()
    for column, name in enumerate(CONCEPTS):
        ids = [str(row + 1) for row in np.flatnonzero(labels[:, column])]
        (folder / f"{name}.txt").write_bytes("\r\n".join([*ids, ""]).encode())
        (folder / f"{name}_r1.txt").write_text("\n".join(ids[:2]))
        (folder / f"._{name}.txt").write_bytes(b"\0\5\x16\7Mac")
    (folder / "README.txt").write_text("not a concept\n")
    (root / "__MACOSX" / "mirflickr" / "doc").mkdir(parents=True)
    (root / "__MACOSX" / "mirflickr" / "doc" / "common_tags.txt").write_bytes(b"\0")
    counts = {"photos": n, "pictures": n, "common tags": 7, "concepts": 3, "label ones": int(labels.sum())}
    counts |= {"tag ones": ones, "pairs": kept}
    return Record(counts, {"dcmh": RandomSplit(6, 12), "unsup": ClassSplit(2, 3, 3, first=(3, 4), total_train=13)})


def nus_wide(root: Path, n: int = 60) -> Record:
    """NUS-WIDE with n photos: backslashes, blanks at line ends, a photo twice, the corrupt line of lake. Its record."""
    rng = np.random.default_rng(1)
    concepts = [f"concept{number}" for number in range(12)] + ["lake"]
    words = [f"word{number}" for number in range(8)]
    photos = [f"actor\\{number:04d}_{9000 + number}.jpg" for number in range(n - 1)] + ["zebra\\0001_9003.jpg"]
    _text(root / "ImageList" / "Imagelist.txt", photos, "\r\n")
    _text(root / "ConceptsList" / "Concepts81.txt", concepts, "\n")
    share = np.linspace(0.05, 0.5, len(concepts))
    labels = rng.random((n, len(concepts))) < share
    for column, name in enumerate(concepts):
        marks = [str(int(mark)) for mark in labels[:, column]]
        _text(root / "Groundtruth" / "AllLabels" / f"Labels_{name}.txt", marks, " \r\n")
        _text(root / "Groundtruth" / "TrainTestLabels" / f"Labels_{name}_Train.txt", ["-1130179", *marks], "\n")
    tags = rng.random((n, len(words))) < 0.2
    _text(root / "NUS_WID_Tags" / "TagList1k.txt", words, "\r\n")
    _text(root / "NUS_WID_Tags" / "AllTags1k.txt", [rows(row) for row in tags], "\n")
    for photo in photos[: n - 3]:  # three are missing
        jpeg(root / "Flickr" / photo.replace("\\", "/"), len(photo) + photos.index(photo))
    (root / "Flickr" / "actor" / "._0001_9001.jpg").write_bytes(b"Mac")
    top = np.sort(np.argsort(-labels.sum(axis=0), kind="stable")[:10])
    kept = labels[:, top].any(axis=1)
    counts = {"photos": n, "pictures": n - 3, "concepts": 13, "label ones": int(labels.sum()), "tags": 8}
    counts |= {"tag ones": int(tags.sum()), "label ones of the top 10": int(labels[:, top].sum())}
    return Record({**counts, "pairs": int(kept.sum())}, {"unsup": ClassSplit(1, 2, 10), "all": RandomSplit(5, 20)})


def rows(marks: Sequence[object]) -> str:
    """A line of 0 and 1, with a blank at its end."""
    return " ".join(str(int(bool(mark))) for mark in marks) + " "


def _text(path: Path, lines: Sequence[str], end: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join([*lines, ""]).encode())
