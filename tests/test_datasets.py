"""Data sets from files and folders, and the record they are loaded to."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossbit.datasets import Dataset, folder_dataset, load_dataset, read_features
from crossbit.errors import DataError, FileFormatError, LabelError, SettingsError, SplitError
from crossbit.pairs import PairedFeatures, Split


def arrays(n: int = 8) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        "image": rng.normal(size=(n, 4)).astype(np.float16),
        "text": rng.normal(size=(n, 3)).astype(np.float16),
        "labels": np.eye(n, 2, dtype=bool),
        "labels_fine": np.eye(n, 5, dtype=bool),
        "caption": np.array([f"caption {row}" for row in range(n)]),
        "query": np.array([0, 1]),
        "database": np.arange(2, n),
        "train": np.arange(3, n),
    }


def written(folder: Path, contents: dict[str, Any]) -> Path:
    path = folder / "tiny.npz"
    np.savez(path, **contents)
    return path


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), (shade, 255 - shade, 40)).save(buffer, "PNG")
    return buffer.getvalue()


# the record


def record(**changes: Any) -> Dataset:
    pairs = PairedFeatures(np.eye(4), np.eye(4), np.eye(4, 2))
    settings: dict[str, Any] = {
        "name": "made",
        "pairs": pairs,
        "split": Split(train=[1, 2], query=[0], database=[1, 2, 3]),
        "captions": ("a", "b", "c", "d"),
    }
    return Dataset(**{**settings, **changes})


def test_a_record_serves_pictures_where_there_are_any() -> None:
    assert len(record()) == 4
    assert record().image_bytes(0) is None
    assert record(pictures=[b"a", b"b", b"c", b"d"]).image_bytes(2) == b"c"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"captions": ("a",)}, DataError, "4 captions; got 1"),
        ({"pictures": [b"a"]}, DataError, "4 pictures; got 1"),
        ({"ids": ("a", "b")}, DataError, "4 ids, or none; got 2"),
        ({"ids": ("a", "b", "c", "b")}, DataError, "'b' is given twice"),
        ({"labels_fine": np.eye(3)}, LabelError, r"\(4, classes\)"),
        ({"label_names": ("x", "y", "z")}, LabelError, "3 label names, but 2 label columns"),
        ({"label_names_fine": ("x",)}, LabelError, "1 label names, but no labels"),
        ({"pairs": PairedFeatures(np.ones((4, 2)), np.ones((4, 2)))}, SplitError, "same content"),
        ({"split": Split(train=[1], query=[0], database=[9])}, SplitError, "names row 9"),
    ],
)
def test_a_record_that_does_not_fit_together_is_refused(changes: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        record(**changes)


# .npz files


def test_ready_features_are_read_as_they_stand(tmp_path: Path) -> None:
    contents = arrays()
    data = load_dataset(written(tmp_path, contents))
    assert data.name == "tiny"
    assert data.pairs.image.dtype == np.float32
    assert np.array_equal(data.pairs.text, contents["text"].astype(np.float32))
    assert np.array_equal(data.pairs.labels, contents["labels"])
    assert np.array_equal(data.labels_fine, contents["labels_fine"])
    assert data.captions[3] == "caption 3"
    assert data.split.train.tolist() == [3, 4, 5, 6, 7]
    assert data.image_bytes(0) is None
    assert data.revision == load_dataset(written(tmp_path, contents)).revision
    contents["train"] = np.arange(4, 8)
    assert data.revision != load_dataset(written(tmp_path, contents)).revision


def test_ready_features_need_no_labels(tmp_path: Path) -> None:
    data = read_features(written(tmp_path, {name: array for name, array in arrays().items() if "labels" not in name}))
    assert (data.pairs.labels, data.labels_fine) == (None, None)


def test_pictures_beside_the_features_are_served(tmp_path: Path) -> None:
    path = written(tmp_path, arrays())
    pictures = [png(shade) for shade in range(8)]
    offsets = np.cumsum([0, *map(len, pictures)])
    beside = tmp_path / "tiny_thumbnails.npz"
    np.savez(beside, webp_blob=np.frombuffer(b"".join(pictures), np.uint8), webp_offsets=offsets)
    data = read_features(path)
    assert [data.image_bytes(row) for row in range(8)] == pictures
    np.savez(beside, webp_blob=np.zeros(3, np.uint8), webp_offsets=offsets)
    with pytest.raises(DataError, match="outside its 3 bytes"):
        read_features(path)
    np.savez(beside, webp_blob=np.zeros(3, np.uint8), webp_offsets=offsets[:3])
    with pytest.raises(DataError, match="9 offsets; got"):
        read_features(path)
    np.savez(beside, other=offsets)
    with pytest.raises(FileFormatError, match="lacks the arrays webp_blob"):
        read_features(path)


@pytest.mark.parametrize(
    ("key", "value", "error", "message"),
    [
        ("labels", np.empty((8, 0)), LabelError, "no column"),
        ("query", None, FileFormatError, "lacks query;"),
        ("image", np.full((8, 4), np.nan), DataError, "image features hold NaN"),
        ("image", np.zeros((7, 4)), DataError, "7 image rows and 8 text rows"),
        ("caption", np.arange(8), DataError, "caption is expected"),
        ("query", np.array([2]), SplitError, "query and database at once"),
        ("database", np.array([2, 80]), SplitError, "row 80"),
        ("labels", np.full((8, 2), 3), LabelError, "0 and 1"),
        ("caption", np.array([{}] * 8, dtype=object), FileFormatError, "plain arrays"),
    ],
)
def test_files_that_do_not_fit_say_what_is_wrong(
    tmp_path: Path, key: str, value: Any, error: type[Exception], message: str
) -> None:
    contents = {**arrays(), key: value}
    with pytest.raises(error, match=message):
        read_features(written(tmp_path, {name: array for name, array in contents.items() if array is not None}))


def test_a_query_that_stands_in_the_database_is_refused_or_its_double_dropped(tmp_path: Path) -> None:
    contents = arrays()
    for name in ("image", "text"):
        contents[name][5] = contents[name][1]
    path = written(tmp_path, contents)
    with pytest.raises(SplitError, match=r'query row 1 = row 5.*duplicates="drop"'):
        read_features(path)
    data = load_dataset(path, duplicates="drop")
    assert data.split.query.tolist() == [0, 1]
    assert data.split.database.tolist() == [2, 3, 4, 6, 7]
    assert data.split.train.tolist() == [3, 4, 6, 7]
    assert [(skip.row, "query row 1" in skip.reason) for skip in data.skipped] == [(5, True)]
    with pytest.raises(SettingsError, match="refuse"):
        read_features(path, duplicates="ignore")


def test_files_that_are_no_feature_files_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, arrays())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FileFormatError, match=r"not a whole \.npz file"):
        read_features(path)
    np.save(tmp_path / "one.npy", np.arange(3))
    (tmp_path / "one.npy").rename(path)
    with pytest.raises(FileFormatError, match=r"not a whole \.npz file"):
        read_features(path)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"not a whole \.npz file"):
        read_features(path)
    with pytest.raises(FileFormatError, match="no file of features"):
        read_features(tmp_path / "none.npz")
    with pytest.raises(DataError, match="no data set 'emojis'"):
        load_dataset("emojis")


@pytest.mark.parametrize(
    ("name", "n", "n_doubles"), [("fashion6k", 6583, 8), ("openclipart5k", 5169, 2), ("wiki", 2866, 0)]
)
def test_the_development_data_is_read(shared_data: Path, name: str, n: int, n_doubles: int) -> None:
    data = read_features(shared_data / f"{name}.npz", duplicates="drop")
    assert len(data) == n
    assert len(data.skipped) == n_doubles
    if (shared_data / f"{name}_thumbnails.npz").is_file():
        assert Image.open(io.BytesIO(data.image_bytes(n - 1) or b"")).size == (128, 128)


# folders


def folder_of_pictures(folder: Path) -> Path:
    for number, name in enumerate(
        ("b.png", "a.PNG", "deep/c.png", "deep/d.png", "no caption.png", "empty.png", "broken.png")
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png(30 * number))
        path.with_suffix(".txt").write_text(f"\ufeffa tile, number {number}\n", "utf-8")
    (folder / "no caption.txt").unlink()
    (folder / "empty.txt").write_text(" \n")
    (folder / "broken.png").write_bytes(png(200)[:-30])
    (folder / "deep" / "latin.png").write_bytes(png(1))
    (folder / "deep" / "latin.txt").write_bytes("Käse".encode("latin-1"))
    (folder / ".hidden.png").write_bytes(png(1))
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_folder_becomes_a_data_set(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "photos").mkdir()
    folder = folder_of_pictures(tmp_path / "photos")
    for ending, content in ((".png", (folder / "b.png").read_bytes()), (".txt", (folder / "b.txt").read_bytes())):
        (folder / f"copy of b{ending}").write_bytes(content)
    data = load_dataset(folder, cache=tmp_path / "cache")
    assert data.name == "photos"
    assert data.captions == tuple(f"a tile, number {number}" for number in (1, 0, 2, 3))
    assert data.ids == ("a.PNG", "b.png", "deep/c.png", "deep/d.png")
    assert data.vocabulary is None
    assert data.pairs.labels is None
    assert sorted([*data.split.query, *data.split.database]) == [0, 1, 2, 3]
    assert data.image_bytes(1) == (folder / "b.png").read_bytes()
    assert set(data.encoders) == {"image", "text"}
    reasons = [(skip.row, skip.reason.partition(": ")[0], skip.reason.partition(": ")[2]) for skip in data.skipped]
    assert [reason[:2] for reason in reasons] == [
        (2, "broken.png"),
        (3, "copy of b.png"),
        (6, "deep/latin.png"),
        (7, "empty.png"),
        (8, "no caption.png"),
        (9, "notes.txt"),
    ]
    for (_, _, reason), told in zip(
        reasons,
        ("damaged or cut off", "the same picture and text as b.png", "UTF-8", "empty", "no text", "no picture"),
        strict=True,
    ):
        assert told in reason


def test_captions_that_an_encoder_cannot_tell_apart_do_not_stop_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(png(7))
        (tmp_path / f"{number}.txt").write_text("green tile" + "!" * number)
    (tmp_path / "other.png").write_bytes(png(200))
    (tmp_path / "other.txt").write_text("red tile")
    data = load_dataset(tmp_path, text_encoder="bag-of-words", cache=tmp_path / "cache")
    assert len(data) == 7
    assert len(data.split.query) == 1
    assert len(data.split.database) + len(data.skipped) == 6
    assert data.vocabulary is not None
    assert data.vocabulary.fingerprint() == data.encoders["text"]
    assert data.split.query[0] == 6 or len(data.skipped) == 5


def test_folders_without_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        folder_dataset(tmp_path / "none")
    with pytest.raises(DataError, match="no pictures"):
        folder_dataset(tmp_path)
    pytest.importorskip("torch")
    (tmp_path / "one.png").write_bytes(png(1))
    (tmp_path / "one.txt").write_text("alone")
    with pytest.raises(DataError, match="at least 2"):
        load_dataset(tmp_path, cache=tmp_path / "cache")
