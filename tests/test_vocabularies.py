"""Encoders with a fitted vocabulary: TF-IDF against scikit-learn, and the vocabulary that a hasher keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossbit.cli import main
from crossbit.encoders import BagOfWords, TfIdf, Vocabulary, encoder_of, load_text_encoder, load_vocabulary
from crossbit.errors import DataError, FileFormatError, MismatchError, SettingsError
from crossbit.hasher import Hasher
from crossbit.methods import load_method
from crossbit.testing import planted_pairs

TEXTS = ["a red apple, a red pear", "the pear", "a green apple", "käse und brot", "Brot", "apple apple apple pear"]
FITTED: tuple[Vocabulary, ...] = (TfIdf.fit(TEXTS), BagOfWords.fit(TEXTS), BagOfWords.fit(TEXTS, counts=True))


def test_tf_idf_is_that_of_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    theirs = TfidfVectorizer(token_pattern=r"[^\W_]+", min_df=2)
    expected = theirs.fit_transform(TEXTS).toarray()
    ours = TfIdf.fit(TEXTS)
    assert ours.vocabulary == tuple(theirs.get_feature_names_out())
    assert np.allclose(ours.encode(TEXTS).features, expected, atol=1e-6)
    assert not ours.encode(["nothing known"]).features.any()
    assert ours.encode(["brot", 3]).skipped[0].row == 1  # type: ignore[list-item]  # what a person may give


@pytest.mark.parametrize("encoder", FITTED)
def test_a_vocabulary_comes_back_from_its_file_and_from_plain_values(encoder: Vocabulary, tmp_path: Path) -> None:
    encoder.save(tmp_path / "words.json")
    assert load_vocabulary(tmp_path / "words.json") == encoder
    assert type(encoder).load(tmp_path / "words.json") == encoder
    carried = json.loads(json.dumps(encoder.to_json()))
    for vocabulary in (encoder, carried, tmp_path / "words.json"):
        assert encoder_of(encoder.fingerprint(), vocabulary) == encoder
    with pytest.raises(MismatchError, match="needs its vocabulary"):
        encoder_of(encoder.fingerprint())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vocabulary": ["apple", "brot", "pear", "plum"]}, "altered"),
        ({"texts_with": [1, 2, 3, 3]}, "altered"),
        ({"texts_with": [1, 2]}, "not a whole"),
        ({"texts_with": [1, 2, 99]}, "not a whole"),
        ({"texts_with": None}, "not a whole"),
        ({"n_texts": float("inf")}, "not a whole"),
        ({"fingerprint": ""}, "altered"),
        ({"version": 2}, "version 2"),
        ({"format": "another"}, "no vocabulary of crossbit"),
    ],
)
def test_a_damaged_tf_idf_vocabulary_is_refused(change: dict[str, Any], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "words.json"
    path.write_text(json.dumps(TfIdf.fit(TEXTS).to_json() | change), "utf-8")
    with pytest.raises(FileFormatError, match=expected):
        load_vocabulary(path)


@pytest.mark.parametrize("content", ["", "[]", "3", '{"format": 1}', "[" * 100_000])
def test_what_is_no_vocabulary_file_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "words.json").write_text(content, "utf-8")
    with pytest.raises(FileFormatError):
        load_vocabulary(tmp_path / "words.json")


def test_unfit_tf_idf_is_refused() -> None:
    with pytest.raises(DataError, match="2 words and 1 counts"):
        TfIdf(("a", "b"), (1,), 3)
    with pytest.raises(DataError, match="0 to 3"):
        TfIdf(("a",), (4,), 3)
    with pytest.raises(SettingsError, match="min_count"):
        TfIdf.fit(TEXTS, min_count=0)


def test_a_hasher_keeps_the_vocabulary_of_its_texts(tmp_path: Path) -> None:
    bag = TfIdf.fit(TEXTS)
    bare = load_method("random-projection")().fit(planted_pairs(n=20).pairs)
    bound = bare.with_encoders(image="own", text=bag.fingerprint(), vocabulary=bag.to_json())
    bound.save(tmp_path / "h")
    opened = Hasher.load(tmp_path / "h")
    assert encoder_of(opened.encoders["text"], opened.vocabulary) == bag
    assert opened.fingerprint() == bound.fingerprint()
    with pytest.raises(MismatchError, match="vocabulary is that of"):
        bare.with_encoders(image="own", text="minilm", vocabulary=bag.to_json())


class Brightness:
    """Somebody's own picture encoder: the mean of each colour, and their product."""

    width = 4

    def fingerprint(self) -> str:
        return "brightness-1"

    def encode(self, items: Any) -> Any:
        from crossbit.encoders import Encoded, open_picture

        means = np.array([np.asarray(open_picture(item), np.float32).mean(axis=(0, 1)) / 255 for item in items])
        return Encoded.whole(np.concatenate([means, means.prod(axis=1, keepdims=True)], axis=1))


def photos(folder: Path, captions: list[str], seed: int) -> Path:
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for number, caption in enumerate(captions):
        values = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"{number:02}.png")
        (folder / f"{number:02}.txt").write_text(caption, "utf-8")
    return folder


def crossbit(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path | int) -> int:
    monkeypatch.setattr("sys.argv", ["crossbit", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def own(name: str) -> str:
    return f"own:{Brightness.__module__}:{name}"


@pytest.mark.parametrize("text_encoder", ["bag-of-words", "tf-idf"])
def test_another_folder_is_encoded_with_the_words_of_the_first(
    text_encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    first = photos(tmp_path / "first", ["red apple", "red pear", "green pear", "green apple"] * 4, 0)
    second = photos(tmp_path / "second", ["red plum", "green plum", "plum", "apple plum"] * 2, 1)
    hasher = tmp_path / "h.safetensors"
    encoders = ("--text-encoder", text_encoder, "--image-encoder", own("Brightness"))
    assert crossbit(monkeypatch, "fit", first, "--out", hasher, "--method", "cca-itq", "--bits", 8, *encoders) == 0
    fitted = Hasher.load(hasher)
    assert fitted.encoders["image"] == "brightness-1"
    writer = encoder_of(fitted.encoders["text"], fitted.vocabulary)
    assert writer.width == 4
    capsys.readouterr()
    assert crossbit(monkeypatch, "encode", hasher, second, "--out", tmp_path / "c.npz") == 1
    assert "brightness-1" in capsys.readouterr().err
    assert crossbit(monkeypatch, "index", hasher, second, "--out", tmp_path / "c", *encoders[2:]) == 0
    assert crossbit(monkeypatch, "search", tmp_path / "c", "red apple", "--json") == 0


@pytest.mark.parametrize("name", ["Nobody", "no.such.module:Class", ""])
def test_an_own_encoder_that_cannot_be_made_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be made"):
        load_text_encoder(own(name) if name != "no.such.module:Class" else f"own:{name}")
    with pytest.raises(SettingsError, match="lacks width"):
        load_text_encoder("own:builtins:dict")
