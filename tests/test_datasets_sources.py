"""Sources as data sets and as coded items: several captions, tags, what has no partner, what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossbit.datasets import Reading, code_source, load_dataset, source_dataset
from crossbit.datasets.coded import metadata_columns
from crossbit.datasets.parts import Contents, LeftOut, picture_parts, write_left_out
from crossbit.datasets.reading import text_features
from crossbit.encoders import BagOfWords, Encoded, Skipped
from crossbit.errors import DataError, SettingsError
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.sources import Columns, Record, open_source
from source_makers import LetterCounts, MeanColour, jsonl, pictures, png, tar

RECORD = Record("a", texts=("one cat", " ", "two cats"), tags=("pet", "grey"))


@pytest.mark.parametrize(
    ("captions", "joined", "texts"),
    [
        ("all", False, ("one cat", "two cats")),
        ("all", True, ("one cat two cats pet grey",)),
        ("first", False, ("one cat",)),
        ("first", True, ("one cat pet grey",)),
    ],
)
def test_the_texts_of_an_item(captions: Any, joined: bool, texts: tuple[str, ...]) -> None:
    assert Reading(captions=captions).texts(RECORD, joined=joined) == texts


def test_tags_stand_for_missing_captions_only() -> None:
    reading = Reading()
    assert reading.texts(Record("a", tags=("x", "y")), joined=False) == ("x, y",)
    assert reading.texts(Record("a", texts=("",)), joined=False) == ()
    assert reading.texts(Record("a"), joined=True) == ()
    assert reading.caption(RECORD) == "one cat / two cats"


def test_several_texts_have_the_mean_of_their_directions_at_their_mean_length(tmp_path: Path) -> None:
    class Compass:
        width = 2

        def fingerprint(self) -> str:
            return "compass"

        def encode(self, items: Any) -> Encoded:
            known = {"north": (0, 1), "east": (1, 0), "far east": (3, 0)}
            kept = [row for row, item in enumerate(items) if item in known]
            skipped = tuple(Skipped(row, "unknown") for row in range(len(items)) if row not in kept)
            return Encoded(np.array([known[items[row]] for row in kept], np.float32).reshape(-1, 2), kept, skipped)

    def features(*items: tuple[str, ...]) -> list[list[float]]:
        return [[round(value, 4) for value in row] for row in text_features(items, Compass(), tmp_path).tolist()]

    assert features(("north",), (), ("north", "east"), ("nowhere", "far east")) == [
        [0, 1], [0, 0], [0.7071, 0.7071], [3, 0],
    ]  # fmt: skip
    assert features(("east", "far east")) == [[2, 0]]
    assert features(("north",), ("far east",)) == [[0, 1], [3, 0]]
    assert features(()) == [[0, 0]]


def folder(place: Path) -> Path:
    """Twelve pairs, a copy of one of them, a picture and a text alone, a broken picture, an empty text."""
    names = [f"{number:02d}.png" for number in range(12)]
    pictures(place, *names, "13 alone.png", "14 broken.png", "15 empty.png")
    for number, name in enumerate(names):
        (place / name).with_suffix(".txt").write_text("ae" * number + "io")
    (place / "12 copy.png").write_bytes(png(110))
    (place / "12 copy.txt").write_text("ae" * 11 + "io")
    (place / "14 broken.png").write_bytes(b"no picture")
    (place / "14 broken.txt").write_text("words")
    (place / "15 empty.txt").write_text(" ")
    (place / "16 words.txt").write_text("ouch")
    return place


@pytest.fixture
def hasher() -> Hasher:
    rng = np.random.default_rng(0)
    weights = {width: rng.normal(size=(width, 16)).astype(np.float32) for width in (4, 5)}
    image, text = (HashFunction((Layer(weights[width], np.zeros(16, np.float32)),)) for width in (4, 5))
    return Hasher(image=image, text=text, method="random-projection").with_encoders(
        image="mean-colour-1", text="letter-counts-1"
    )


def test_a_fit_is_made_on_pairs_and_the_rest_is_named(tmp_path: Path) -> None:
    data = load_dataset(
        folder(tmp_path / "mine"), image_encoder=MeanColour(), text_encoder=LetterCounts(), cache=tmp_path / "cache"
    )
    assert data.ids == tuple(f"{number:02d}.png" for number in range(12))
    assert data.pairs.text[3].tolist() == [3, 3, 1, 1, 0]
    assert [(skip.row, skip.reason) for skip in data.skipped] == [
        (12, "12 copy.png: the same picture and text as 11.png"),
        (13, "13 alone.png: it has no text"),
        (14, "14 broken.png: not a picture of a kind that can be read"),
        (15, "15 empty.png: its text is empty"),
        (16, "16 words.txt: it has no picture"),
    ]
    assert data.image_bytes(11) == png(110)
    place = write_left_out(tmp_path / "out" / "x.skipped.jsonl", data.skipped)
    assert place is not None
    lines = [json.loads(line) for line in place.read_text().splitlines()]
    assert lines[1] == {"row": 13, "id": "13 alone.png", "reason": "it has no text"}
    assert write_left_out(place, [Skipped(7, "why")]) == place
    assert json.loads(place.read_text()) == {"row": 7, "id": "7", "reason": "why"}
    assert write_left_out(place, []) is None
    assert not place.exists()


def test_an_index_is_made_of_everything_with_a_picture_or_words(tmp_path: Path, hasher: Hasher) -> None:
    source = open_source(folder(tmp_path / "mine"))
    items = code_source(
        source, hasher, image_encoder=MeanColour(), text_encoder=LetterCounts(), cache=tmp_path / "cache"
    )
    assert len(items) == 16
    assert items.has_image.sum() == 15
    assert items.has_text.sum() == 14
    assert [item.id for item in items.left_out] == ["14 broken.png"]
    assert items.ids[-1] == "16 words.txt"
    assert (items.pictures[0], items.pictures[-1]) == (str(tmp_path / "mine" / "00.png"), "")
    assert np.array_equal(items.image.packed[11], items.image.packed[12])
    assert items.contents is not None
    assert items.contents[13] == png(120)


def test_nothing_that_can_be_coded_is_an_error(tmp_path: Path, hasher: Hasher) -> None:
    (tmp_path / "t.csv").write_text("text\n\nxyz\n")
    with pytest.raises(DataError, match=r"no item with a picture or a text.*no text of which the encoder knows a word"):
        code_source(
            open_source(tmp_path / "t.csv"), hasher, image_encoder=MeanColour(), text_encoder=LetterCounts(),
            cache=tmp_path / "cache",
        )  # fmt: skip
    with pytest.raises(DataError, match=r"gives 0 pairs.*it has no picture.*pictures from no column, text from text"):
        load_dataset(tmp_path / "t.csv", image_encoder=MeanColour(), cache=tmp_path / "cache")


def test_a_vocabulary_reads_captions_and_tags_together(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(4)]
    rows = [{"image": name, "captions": ["a cat", f"number {name[0]}"], "tags": ["pet"]} for name in names]
    path = jsonl(pictures(tmp_path, *names) / "t.jsonl", *rows)
    data = source_dataset(
        open_source(path), image_encoder=MeanColour(), text_encoder="bag-of-words", cache=tmp_path / "cache"
    )
    assert isinstance(data.vocabulary, BagOfWords)
    assert {"cat", "pet", "number"} <= set(data.vocabulary.vocabulary)
    assert data.captions[0] == "a cat / number 0"
    first = load_dataset(
        path,
        image_encoder=MeanColour(),
        text_encoder=LetterCounts(),
        reading=Reading(columns=Columns(text=("captions",)), captions="first"),
        cache=tmp_path / "cache",
    )
    assert first.pairs.text.tolist() == [[2, 0, 0, 0, 0]] * 4
    path.unlink()
    with pytest.raises(SettingsError, match="has no columns"):
        load_dataset(tmp_path, reading=Reading(columns=Columns(image="x")))


def test_contents_are_read_in_any_order(tmp_path: Path) -> None:
    members = [(f"{number}.png", png(10 * number)) for number in range(5)]
    source = open_source(tar(tmp_path / "s.tar", *members))
    contents = Contents(source, np.array([0, 2, 4]), (None, None, None))
    assert [contents[place] for place in (0, 1, 2, 1, 0, -1)] == [png(0), png(20), png(40), png(20), png(0), png(40)]
    assert list(contents[1:]) == [png(20), png(40)]
    tar(tmp_path / "s.tar", *members[:2])
    assert contents[2] == b""
    pictures(tmp_path, "a.png", "b.png")
    assert list(Contents(source, np.array([0, 1]), (tmp_path / "b.png", None))) == [png(10), png(10)]


def test_pictures_are_encoded_once_and_again_when_they_change(tmp_path: Path) -> None:
    class Counted(MeanColour):
        seen = 0

        def encode(self, items: Any) -> Encoded:
            self.seen += len(items)
            return super().encode(items)

    names = [f"{number}.png" for number in range(5)]
    path = jsonl(pictures(tmp_path, *names) / "t.jsonl", *({"image": name} for name in names))
    painter = Counted()
    steps = []

    def parts() -> Any:
        return list(picture_parts(open_source(path), painter, tmp_path / "cache", steps.append))

    (first,) = parts()
    assert painter.seen == 5
    assert (steps[-1].stage, steps[-1].done, steps[-1].total) == ("encode pictures", 5, 5)
    (again,) = parts()
    assert painter.seen == 5
    assert np.array_equal(first.image, again.image)
    (tmp_path / "3.png").write_bytes(b"broken by now")
    (changed,) = parts()
    assert painter.seen == 10
    assert changed.rows.tolist() == [0, 1, 2, 4]
    assert [item.id for item in changed.left_out] == ["3.png"]
    for file in (tmp_path / "cache").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[:50])
    (mended,) = parts()
    assert np.array_equal(mended.image, changed.image)


def test_metadata_becomes_columns_of_one_type() -> None:
    records = [
        Record("a", metadata={"width": 3, "score": 1, "mixed": "x", "id": 5, "none": None}, tags=("x", "y")),
        Record("b", metadata={"width": 4, "score": 0.5, "mixed": 7}),
    ]
    assert metadata_columns(records) == {
        "width": (3, 4),
        "score": (1.0, 0.5),
        "mixed": ("x", "7"),
        "id_": (5, None),
        "none": (None, None),
        "tags": ("x, y", None),
    }
    assert LeftOut.of(3, Record("a", problem="why")) == LeftOut(3, "a: why", "a")
