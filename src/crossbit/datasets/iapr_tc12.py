"""IAPR TC-12: 20,000 photos with descriptions (Grubinger et al., 2006), labels of its segmented form SAIAPR TC-12."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np

from crossbit.datasets.benchmark import Benchmark, BenchmarkItem, BenchmarkItems, Record
from crossbit.datasets.counts import Tally
from crossbit.datasets.drawing import RandomSplit
from crossbit.datasets.originals import Originals, read_lines, read_text
from crossbit.errors import FileFormatError

RECORDS = {
    "segmented": Record(
        {"photos": 20_000, "pictures": 20_000, "labels": 255, "pairs": 20_000},
        {"dcmh": RandomSplit(2_000, 10_000)},
        ("labels",),
        {"dcmh": "torchcmh (tc12.py), and by what is commonly said DCMH and its family; mAP@all"},
        {"photos": "page", "pictures": "page", "pairs": "page"},
    )
}
"""What it must hold: photos with a description, and the labels that any region has."""


def read(originals: Originals, variant: str, tally: Tally, pictures: bool) -> BenchmarkItems:
    """All photos with their title and description; labels are those of their regions."""
    folder = originals.find("annotations_complete_eng")
    files = originals.files(folder, "*/*.eng")
    names, kinds = _regions(originals)
    used = sorted({kind for own in kinds.values() for kind in own})
    column = {kind: place for place, kind in enumerate(used)}
    labels = np.zeros((len(files), len(used)), dtype=np.bool_)
    there: frozenset[str] = frozenset()
    prefix = ""
    if pictures:
        photos = originals.find("images/00", "iaprtc12/images").parent if files else folder
        there, prefix = originals.pictures(photos), originals.below(photos)
    items = []
    for row, path in enumerate(files):
        name = f"{path.parent.name}/{path.stem}"
        image = f"{prefix}/{name}.jpg"
        items.append(BenchmarkItem(name, image if image in there else "", _texts(path)))
        if not path.stem.isdecimal():
            raise FileFormatError(f"{path} is not called by a photo's number, such as 25.eng; restore the archive.")
        labels[row, [column[kind] for kind in kinds.get(int(path.stem), ())]] = True
    tally.note("photos", len(files))
    tally.note("labels", len(used))
    tally.note("pairs", len(items))
    if pictures:
        tally.note("pictures", sum(bool(item.image) for item in items))
    return BenchmarkItems(tuple(items), labels, tuple(names[kind] for kind in used), max_words=2_912)


def _texts(path: Path) -> tuple[str, ...]:
    """Title and description of a photo: the file looks like XML, but is not."""
    content = read_text(path)
    found = (re.search(rf"<{field}>(.*?)</{field}>", content, re.DOTALL) for field in ("TITLE", "DESCRIPTION"))
    texts = (" ".join(html.unescape(match[1]).split()) for match in found if match)
    return tuple(text for text in texts if text)


def _regions(originals: Originals) -> tuple[dict[int, str], dict[int, set[int]]]:
    """The words of labels by number, and the labels of every photo's regions."""
    path = originals.find("wlist.txt")
    names = {}
    for number, line in enumerate(read_lines(path), start=1):
        found = re.fullmatch(r"(\d+)\s+(.+)", line)
        if line and not found:
            raise FileFormatError(f"{path}, line {number}: a number and a word are expected; there is {line[:60]!r}.")
        if found:
            names[int(found[1])] = found[2]
    folder = originals.find("saiapr_tc-12", "saiapr_tc_12")
    kinds: dict[int, set[int]] = {}
    for file in originals.files(folder, "*/labels.txt"):
        for number, line in enumerate(read_lines(file), start=1):
            if not line:
                continue
            marks = line.split()
            if len(marks) != 3 or not all(mark.isdecimal() for mark in marks) or int(marks[2]) not in names:
                raise FileFormatError(
                    f"{file}, line {number}: a photo, a region and a label of {path.name} are expected as numbers; "
                    f"there is {line[:60]!r}. Restore the file from its archive."
                )
            kinds.setdefault(int(marks[0]), set()).add(int(marks[2]))
    return names, kinds


IAPR_TC12 = Benchmark(
    name="iapr-tc12",
    title="IAPR TC-12",
    page="https://www.imageclef.org/photodata",
    files=(
        "annotations_complete_eng/*/*.eng and images/*/*.jpg (iaprtc12.tgz)",
        "wlist.txt and saiapr_tc-12/*/labels.txt (SAIAPR TC-12, https://www.imageclef.org/SIAPRdata)",
    ),
    variants={"segmented": "titles and descriptions; the labels of the regions of SAIAPR TC-12"},
    records=RECORDS,
    read=read,
)
