"""WebDataset shards and folders that the package `datasets` saved."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest

from crossbit.errors import DataError, FileFormatError, SettingsError
from crossbit.sources import Columns, Record, open_source
from source_makers import IMAGES, pictures, png, problems, read, saved_dataset, tar


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def test_members_of_one_name_are_one_item(tmp_path: Path) -> None:
    about = json.dumps({"caption": "from json", "tags": ["x", "y"], "width": 9, "url": "http://a/b"}).encode()
    path = tar(
        tmp_path / "s.tar",
        (header("folder", tarfile.DIRTYPE), b""),
        ("folder/000.jpg", png(1)),
        ("folder/000.txt", b" a cat "),
        ("folder/000.json", about),
        ("001.seg.png", png(2)),
        ("001.JSON", about),
        ("001.npy", b"left out"),
        ("002.txt", b"no picture\n\nat all\n"),
        ("003.jpg", png(3)),
        ("003.cls", b"7"),
    )
    further = {"width": 9, "url": "http://a/b"}
    assert read(open_source(path)) == [
        Record("folder/000", png(1), ("a cat",), ("x", "y"), further),
        Record("001", png(2), ("from json",), ("x", "y"), further),
        Record("002", None, ("no picture", "at all")),
        Record("003", png(3), (), (), {"cls": "7"}),
    ]
    chosen = list(open_source(path, columns=Columns(text=("url",))).records())
    assert chosen[0].texts == ("http://a/b",)
    assert chosen[2].problem == "its .json member has no url"
    with pytest.raises(SettingsError, match="--id-column"):
        open_source(path, columns=Columns(id="key"))


def test_several_shards_and_the_output_of_img2dataset(tmp_path: Path) -> None:
    for shard in ("00000", "00001"):
        members = [(f"{shard}{item:04d}.{end}", content) for item in range(2) for end, content in
                   (("jpg", png(item)), ("txt", f"{shard} {item}".encode()))]  # fmt: skip
        tar(tmp_path / f"{shard}.tar", *members)
        (tmp_path / f"{shard}.parquet").write_bytes(b"PAR1 not needed")
        (tmp_path / f"{shard}_stats.json").write_text("{}")
    records = read(open_source(tmp_path))
    assert [(record.id, record.texts[0]) for record in records] == [
        ("00000/000000000", "00000 0"),
        ("00000/000000001", "00000 1"),
        ("00001/000010000", "00001 0"),
        ("00001/000010001", "00001 1"),
    ]
    assert read(open_source(str(tmp_path / "0000*.tar"))) == records
    with pytest.raises(DataError, match="No file is named like"):
        open_source(str(tmp_path / "9*.tar"))


def test_a_hostile_archive_reads_nothing_and_stops_nothing(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "s.tar",
        ("../../etc/a.jpg", b"x"),
        ("/etc/b.jpg", b"x"),
        ("x\\..\\..\\c.jpg", b"x"),
        (header("d.txt", tarfile.SYMTYPE, link="/etc/passwd"), b""),
        (header("e.txt", tarfile.LNKTYPE, link="../secret"), b""),
        (header("f.txt", tarfile.FIFOTYPE), b""),
        ("g.txt", b"x" * ((1 << 20) + 1)),
        ("h.json", b"[" * 100_000),
        ("i.txt", b"caf\xe9"),
        ("j.txt", b"good"),
        ("k.bin", b"nothing of use"),
        ("j.txt", b"again"),
    )
    records = read(open_source(path))
    found = problems(records)
    assert ["leads out of the archive" in problem for problem in found[:3]] == [True] * 3
    assert ["a link or a special file" in problem for problem in found[3:6]] == [True] * 3
    assert "larger than 1 MiB" in found[6]
    assert "is no JSON" in found[7]
    assert "no UTF-8" in found[8]
    assert (records[9].texts, found[9]) == (("good",), "")
    assert "neither picture nor text" in found[10]
    assert "'j' was there before" in found[11]
    assert not any(record.texts or record.picture for record in records[:7])
    assert sorted(os.listdir(tmp_path)) == ["s.tar"]


def test_a_member_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    for kind, told in ((tarfile.REGTYPE, "larger than 256 MiB"), (tarfile.XHDTYPE, "a header claims")):
        block = header("b.jpg", kind, size=1 << 40).tobuf(tarfile.GNU_FORMAT)
        path = tar(tmp_path / "s.tar", ("a.txt", b"good"))
        content = path.read_bytes().rstrip(b"\0")
        content += bytes(-len(content) % 512)
        path.write_bytes(content + block + bytes(1024))
        records = list(open_source(path).records())
        assert records[0].texts == ("good",)
        assert any(told in problem for problem in problems(records)), problems(records)


def test_an_archive_that_ends_early_gives_what_is_before(tmp_path: Path) -> None:
    members = [
        (f"{item}.{end}", png(item) if end == "png" else b"words") for item in range(9) for end in ("png", "txt")
    ]
    whole = tar(tmp_path / "a.tar", *members).read_bytes()
    for cut in (512 * 4 + 700, 512 * 8, 512 * 9 + 10):
        (tmp_path / "a.tar").write_bytes(whole[:cut])
        tar(tmp_path / "b.tar", ("z.txt", b"last"))
        records = list(open_source(tmp_path).records())
        assert records[0].texts == ("words",)
        assert "damaged or cut off" in records[-2].problem
        assert records[-1].texts == ("last",)
    (tmp_path / "b.tar").write_bytes(b"no archive at all" * 100)
    assert "damaged or cut off" in list(open_source(tmp_path).records())[-1].problem


@pytest.mark.parametrize("content", [b"no archive at all" * 100, gzip.compress(bytes(2048)), b"x"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.tar").write_bytes(content)
    with pytest.raises(FileFormatError, match=r"not a whole \.tar archive"):
        open_source(tmp_path)


# folders of `datasets`


def columns(n: int = 5) -> dict[str, pa.Array]:
    cells = [
        {"bytes": png(row), "path": None} if row % 2 == 0 else {"bytes": None, "path": "x.png"} for row in range(n)
    ]
    return {
        "picture": pa.array(cells, IMAGES),
        "sentences": pa.array([[f"one {row}", f"two {row}"] for row in range(n)]),
        "label": pa.array([row % 3 for row in range(n)]),
    }


FEATURES = {"picture": {"_type": "Image"}, "label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}


@pytest.mark.parametrize("files", [1, 2])
def test_a_saved_data_set_is_read(tmp_path: Path, files: int) -> None:
    folder = saved_dataset(tmp_path / "saved", columns(), FEATURES, files)
    pictures(folder, "x.png")
    records = read(open_source(folder))
    assert [record.picture for record in records] == [png(0), folder / "x.png", png(2), folder / "x.png", png(4)]
    assert records[1].texts == ("one 1", "two 1")
    assert [record.metadata["label"] for record in records] == ["cat", "dog", "owl", "cat", "dog"]


def test_splits_are_read_one_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "dict"
    for split, n in (("train", 3), ("test", 2)):
        saved_dataset(folder / split, {"text": pa.array([f"{split} {row}" for row in range(n)])}, {})
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    records = read(open_source(folder))
    assert [record.texts[0] for record in records] == ["train 0", "train 1", "train 2", "test 0", "test 1"]
    assert records[-1].metadata == {"split": "test"}
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["../elsewhere"]}))
    with pytest.raises(FileFormatError, match="outside the folder"):
        open_source(folder)


def test_a_saved_data_set_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    folder = saved_dataset(tmp_path / "saved", columns(), FEATURES)
    (file,) = folder.glob("*.arrow")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    records = list(open_source(folder).records())
    assert records[0].picture == png(0)
    assert "is damaged" in records[-1].problem
    file.write_bytes(b"\x00\x01")
    with pytest.raises(FileFormatError, match="not a whole Arrow file"):
        open_source(folder)
    for state, message in (
        ({"_data_files": [{"filename": "../../other.arrow"}]}, "outside the folder"),
        ({"_data_files": [{"filename": "none.arrow"}]}, "is not there"),
        ({"_data_files": 7}, "names no files"),
        ({"_data_files": [], "_indices_data_files": [{"filename": "i.arrow"}]}, "flatten_indices"),
        ([], "holds no JSON object"),
    ):
        (folder / "state.json").write_text(json.dumps(state))
        with pytest.raises(FileFormatError, match=message):
            open_source(folder)


def test_altered_offsets_of_an_arrow_file_lead_nowhere(tmp_path: Path) -> None:
    texts = pa.array([f"words of row {row}" for row in range(6)])
    folder = saved_dataset(tmp_path / "saved", {"text": texts}, {})
    (file,) = folder.glob("*.arrow")
    content = bytearray(file.read_bytes())
    place = content.find((14).to_bytes(4, "little") + (28).to_bytes(4, "little"))
    assert place > 0
    content[place : place + 4] = (1 << 30).to_bytes(4, "little")
    file.write_bytes(content)
    records = list(open_source(folder).records())
    assert any("damaged" in problem for problem in problems(records))
    assert records[-1].texts == ("words of row 5",)
