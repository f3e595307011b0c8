"""Wikipedia: 2,866 sections of featured articles with a picture, in 10 categories (Rasiwasia et al., ACM MM 2010)."""

from __future__ import annotations

import html
import re
from pathlib import Path

import numpy as np

from crossbit.datasets.benchmark import Benchmark, BenchmarkItem, BenchmarkItems, NamedSplit, Record
from crossbit.datasets.counts import Tally
from crossbit.datasets.mat_files import Arrays, read_arrays
from crossbit.datasets.originals import Originals, fields, read_lines, read_text, whole_number
from crossbit.errors import DataError

_COUNTS = {"train pairs": 2_173, "test pairs": 693, "pictures": 2_866, "categories": 10}
_USED = {"standard": "all that measure on it; relevant is what shares the category, mAP@all"}
RECORDS = {
    "features": Record({**_COUNTS, "image features": 128, "text features": 10}, used_by=_USED),
    "raw": Record(_COUNTS, used_by=_USED),
}
"""What each variant must hold."""

_LISTS = ("trainset_txt_img_cat.list", "testset_txt_img_cat.list")


def read(originals: Originals, variant: str, tally: Tally, pictures: bool) -> BenchmarkItems:
    """The pairs of train, then those of test, in the order of the lists."""
    lists = [_pairs(originals.find(name)) for name in _LISTS]
    pairs = [pair for one in lists for pair in one]
    n_train = len(lists[0])
    tally.note("train pairs", n_train)
    tally.note("test pairs", len(lists[1]))
    names = sorted({name for _, name, _ in pairs})
    numbers = sorted({category for *_, category in pairs})
    tally.note("categories", len(numbers))
    labels = np.array([[category == number for number in numbers] for *_, category in pairs], dtype=np.bool_)
    there: dict[str, str] = {}
    if pictures:
        there = {Path(path).stem: path for path in originals.pictures(originals.find("images"))}
        tally.note("pictures", sum(name in there for name in names))
    folder = originals.look_for("texts")
    items = tuple(BenchmarkItem(text, there.get(image, ""), _text(folder, text)) for text, image, _ in pairs)
    shipped = _features(originals, n_train, len(pairs), tally) if variant == "features" else (None, None)
    train, query = np.arange(n_train), np.arange(n_train, len(pairs))
    split = NamedSplit(train, query, train, "the lists that the data set ships; train is the database")
    return BenchmarkItems(
        items,
        labels,
        tuple(f"category {number}" for number in numbers),
        max_words=3_000,
        splits={"standard": split},
        image_features=shipped[0],
        text_features=shipped[1],
    )


def _pairs(path: Path) -> list[tuple[str, str, int]]:
    """Text, image and category of each line."""
    found = []
    for number, line in enumerate(read_lines(path), start=1):
        if line:
            text, image, category = fields(line, 3, path, number, "a text, an image and a category")
            found.append((text, image, whole_number(category, path, number, 1, 10)))
    return found


def _text(folder: Path | None, name: str) -> tuple[str, ...]:
    """The words of an article's section, without what XML is around them; none where the texts are not there."""
    path = None if folder is None else folder / f"{name}.xml"
    if path is None or not path.is_file():
        return ()
    content = read_text(path)
    inner = re.search(r"<text[^>]*>(.*?)</text>", content, re.DOTALL)
    told = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", inner[1] if inner else content)).split())
    return (told,) if told else ()


def _features(originals: Originals, n_train: int, n: int, tally: Tally) -> tuple[np.ndarray, np.ndarray]:
    """SIFT bags of words and LDA topics as shipped, train then test."""
    path = originals.find("raw_features.mat")
    arrays: Arrays = read_arrays(path)
    missing = [name for name in ("I_tr", "T_tr", "I_te", "T_te") if name not in arrays]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; restore it from its archive, {originals.page}.")
    image, text = (np.concatenate([arrays[f"{side}_tr"], arrays[f"{side}_te"]]) for side in "IT")
    if len(arrays["I_tr"]) != n_train or len(image) != n or len(text) != n:
        raise DataError(
            f"{path} has {len(arrays['I_tr'])} train and {len(image)} image rows and {len(text)} text rows for the "
            f"{n_train} train and {n} pairs of the lists; restore them from one archive."
        )
    tally.note("image features", image.shape[1])
    tally.note("text features", text.shape[1])
    return image.astype(np.float32), text.astype(np.float32)


WIKIPEDIA = Benchmark(
    name="wikipedia",
    title="Wikipedia",
    page="http://www.svcl.ucsd.edu/projects/crossmodal/",
    files=(
        "trainset_txt_img_cat.list and testset_txt_img_cat.list",
        "raw_features.mat",
        "texts/*.xml and images/*/*.jpg",
    ),
    variants={
        "features": "the shipped rows: 128 SIFT words of the picture, 10 topics of the text",
        "raw": "the pictures and the texts themselves",
    },
    records=RECORDS,
    read=read,
)
