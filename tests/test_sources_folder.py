"""A folder of pictures with captions beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossbit.errors import DataError, SettingsError
from crossbit.sources import Columns, open_source
from source_makers import pictures, png, problems, read


def test_pictures_and_texts_are_paired_by_their_names(tmp_path: Path) -> None:
    pictures(tmp_path, "b.JPG", "a.png", "deep/er/c.webp", "lonely.png", ".hidden/x.png")
    (tmp_path / "a.txt").write_text("\ufeff a cat \n", "utf-8")
    (tmp_path / "b.txt").write_text("ein Hund, größer", "utf-8")
    (tmp_path / "deep" / "er" / "c.txt").write_text("")
    (tmp_path / "deep" / "words alone.txt").write_text("no picture")
    (tmp_path / "notes.md").write_text("not read")
    records = read(open_source(tmp_path))
    assert [(record.id, record.texts) for record in records] == [
        ("a.png", ("a cat",)),
        ("b.JPG", ("ein Hund, größer",)),
        ("deep/er/c.webp", ("",)),
        ("deep/words alone.txt", ("no picture",)),
        ("lonely.png", ()),
    ]
    assert [record.picture for record in records] == [
        tmp_path / "a.png",
        tmp_path / "b.JPG",
        tmp_path / "deep/er/c.webp",
        None,
        tmp_path / "lonely.png",
    ]
    assert problems(records) == [""] * 5


def test_each_line_of_a_text_file_is_a_caption(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "a.txt").write_text("a cat\n\n  a grey cat \r\na cat\n", "utf-8")
    (tmp_path / "b.txt").write_text("\n \n")
    prose = "\n".join(f"line {row}" for row in range(1001))
    (tmp_path / "c.txt").write_text(prose)
    assert [record.texts for record in read(open_source(tmp_path))] == [("a cat", "a grey cat"), ("",), (prose,)]


def test_what_is_wrong_with_one_item_is_a_problem_of_its_record(tmp_path: Path) -> None:
    outside = pictures(tmp_path / "outside", "secret.png")
    mine = pictures(tmp_path / "mine", "a.png", "b.png", "c.png", "good.png")
    (mine / "a.txt").write_bytes("café".encode("latin-1"))
    (mine / "b.txt").write_bytes(b"x" * (1 << 20) + b"x")
    (mine / "c.txt").mkdir()
    (mine / "d.png").symlink_to(outside / "secret.png")
    (mine / "e.txt").symlink_to(outside / "secret.png")
    (mine / "good.txt").write_text("fine")
    (mine / "loop").symlink_to(mine)
    records = {record.id: record for record in read(open_source(mine))}
    assert "cannot be read as UTF-8" in records["a.png"].problem
    assert "larger than 1 MiB" in records["b.png"].problem
    assert "cannot be read" in records["c.png"].problem
    assert "leads out of the folder" in records["d.png"].problem
    assert "leads out of the folder" in records["e.txt"].problem
    assert records["good.png"].problem == ""
    assert len(records) == 6
    told = {record.id: record.problem for record in open_source(mine, image_folder=tmp_path).records()}
    assert told["d.png"] == ""


def test_the_files_layout_of_img2dataset_has_its_metadata(tmp_path: Path) -> None:
    shard = pictures(tmp_path / "00000", "000000000.jpg", "000000001.jpg", "000000002.jpg")
    for number in range(2):
        about = {"caption": f"words {number}", "url": "http://x/y.jpg", "width": 9, "status": "success", "exif": "{}"}
        (shard / f"00000000{number}.json").write_text(json.dumps(about))
    (shard / "000000000.txt").write_text("words 0")
    (shard / "000000002.json").write_text("{broken")
    (tmp_path / "00000_stats.json").write_text("{}")
    (tmp_path / "00000.parquet").write_bytes(b"PAR1 not needed")
    records = read(open_source(tmp_path))
    assert [record.texts for record in records] == [("words 0",), ("words 1",), ()]
    assert records[0].metadata == {"url": "http://x/y.jpg", "width": 9, "status": "success", "exif": "{}"}
    assert "is no JSON" in records[2].problem


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no pictures, no \.tar shards and no Parquet files"):
        open_source(tmp_path)
    with pytest.raises(DataError, match=r"nothing at '.*none'; expected a folder of pictures"):
        open_source(tmp_path / "none")
    pictures(tmp_path, "a.png")
    with pytest.raises(SettingsError, match="has no columns to name"):
        open_source(tmp_path, columns=Columns(text=("caption",)))
    with pytest.raises(DataError, match="no folder"):
        open_source(tmp_path, image_folder=tmp_path / "none")


def test_the_fingerprint_follows_the_content(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    first = open_source(tmp_path).fingerprint()
    (tmp_path / "a.txt").write_text("words")
    second = open_source(tmp_path).fingerprint()
    (tmp_path / "b.png").write_bytes(png(99) + b"more")
    assert len({first, second, open_source(tmp_path).fingerprint()}) == 3
