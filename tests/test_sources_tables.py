"""CSV, TSV, JSON Lines and Parquet."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossbit.errors import DataError, FileFormatError
from crossbit.sources import Columns, Record, open_source
from source_makers import IMAGES, jsonl, pictures, png, problems, read

ROWS = [
    {"file_name": "a.png", "caption": "a cat", "keywords": "pet, grey cat", "licence": "CC0"},
    {"file_name": "sub/b.png", "caption": "a dog", "keywords": "", "licence": "MIT"},
]


def written(folder: Path, kind: str) -> Path:
    pictures(folder, "a.png", "sub/b.png")
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), folder / "t.parquet")
    elif kind == "jsonl":
        jsonl(folder / "t.jsonl", *ROWS)
    else:
        parting = {"csv": ",", "tsv": "\t", "txt": "|"}[kind]
        lines = [parting.join(ROWS[0]), *(parting.join(f'"{cell}"' for cell in row.values()) for row in ROWS)]
        (folder / f"t.{kind}").write_text("\n".join(lines) + "\n\n")
    return folder / f"t.{kind}"


@pytest.mark.parametrize("kind", ["csv", "tsv", "txt", "jsonl", "parquet"])
def test_every_kind_of_table_gives_the_same_records(tmp_path: Path, kind: str) -> None:
    source = open_source(written(tmp_path, kind))
    assert read(source) == [
        Record("a.png", tmp_path / "a.png", ("a cat",), ("pet", "grey cat"), {"licence": "CC0"}),
        Record("sub/b.png", tmp_path / "sub" / "b.png", ("a dog",), (), {"licence": "MIT"}),
    ]
    assert "pictures from file_name, text from caption, tags from keywords" in source.layout
    assert source.name == "t"


def test_columns_can_be_named(tmp_path: Path) -> None:
    pictures(tmp_path, "x.png")
    path = jsonl(tmp_path / "t.jsonl", {"where": "x.png", "de": "Katze", "en": "cat", "no": 7, "about": ["a", "b"]})
    with pytest.raises(DataError, match=r"no column of a usual name.*'where', 'de', 'en', 'no', 'about'"):
        open_source(path)
    wished = Columns(image="where", text=("de", "en"), tags="about", id="no")
    (record,) = read(open_source(path, columns=wished))
    assert record == Record("7", tmp_path / "x.png", ("Katze", "cat"), ("a", "b"), {})
    with pytest.raises(DataError, match=r"has no column 'picture'; its columns are 'where'"):
        open_source(path, columns=Columns(image="picture"))


def test_rows_of_one_picture_are_its_captions(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "captions.txt").write_text("image,caption\na.jpg,one\na.jpg,two\na.jpg,one\nb.jpg,three\na.jpg,late\n")
    records = read(open_source(tmp_path / "captions.txt"))
    assert [(record.id, record.texts) for record in records[:2]] == [("a.jpg", ("one", "two")), ("b.jpg", ("three",))]
    assert "'a.jpg' was there before; rows of one item must stand together" in records[2].problem
    table = {"image": ["a.jpg"] * 3, "captions": [["one", "two"], ["three"], [" "]]}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    (record,) = read(open_source(tmp_path / "t.parquet"))
    assert record.texts == ("one", "two", "three", "")


def test_numbered_captions_and_records_of_captions_are_found(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    path = jsonl(tmp_path / "a.jsonl", {"image": "a.jpg", "caption_0": "one", "caption_1": "two"})
    assert read(open_source(path))[0].texts == ("one", "two")
    path = jsonl(tmp_path / "b.jsonl", {"image": "a.jpg", "sentences": [{"raw": "one"}, {"raw": "two", "tokens": []}]})
    assert read(open_source(path))[0].texts == ("one", "two")


def test_pictures_lie_in_a_table_themselves(tmp_path: Path) -> None:
    contents = [png(1), None, png(2)]
    pq.write_table(pa.table({"jpg": contents, "caption": ["a", "b", None]}), tmp_path / "t.parquet")
    records = read(open_source(tmp_path / "t.parquet"))
    assert [record.picture for record in records] == contents
    assert [(record.id, record.texts) for record in records] == [("0", ("a",)), ("1", ("b",)), ("2", ())]
    cells = pa.array([{"bytes": png(3), "path": "x.png"}, {"bytes": None, "path": "a.png"}], IMAGES)
    pictures(tmp_path, "a.png")
    pq.write_table(pa.table({"photo of it": cells, "text": ["c", "d"]}), tmp_path / "u.parquet")
    assert [record.picture for record in read(open_source(tmp_path / "u.parquet"))] == [png(3), tmp_path / "a.png"]
    address = "data:image/png;base64," + base64.b64encode(png(4)).decode()
    path = jsonl(tmp_path / "t.jsonl", {"image": address}, {"image": "data:image/png;base64,!"}, {"image": "data:,x"})
    records = read(open_source(path))
    assert records[0].picture == png(4)
    assert ["cannot be decoded" in problem for problem in problems(records)] == [False, True, False]
    assert "not in base64" in records[2].problem


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("../secret.png", "lies outside the folder of the source"),
        ("sub/../../secret.png", "lies outside"),
        ("link.png", "lies outside"),
        ("none.png", "there is no file 'none.png'"),
        ("https://example.org/a.png", "is an address, which is not fetched"),
        ("file:///etc/passwd", "is an address"),
        ("a\0b.png", "cannot be looked up"),
        ("x" * 5000, "cannot be looked up"),
        ("caf\udce9.png", "is no UTF-8"),
        (7, "expected as a path or as bytes; there is int"),
        ("/", "lies outside"),
    ],
)
def test_paths_that_lead_elsewhere_are_problems(tmp_path: Path, cell: Any, reason: str) -> None:
    pictures(tmp_path, "secret.png", "mine/a.png", "mine/sub/b.png")
    (tmp_path / "mine" / "link.png").symlink_to(tmp_path / "secret.png")
    rows = [{"image": cell, "text": "words"}, {"image": "./sub/../a.png", "text": "good"}]
    bad, good = read(open_source(jsonl(tmp_path / "mine" / "t.jsonl", *rows)))
    assert reason in bad.problem
    assert ("cannot be looked up" in bad.problem) == (reason == "cannot be looked up")
    assert (bad.picture, bad.texts) == (None, ("words",))
    assert (good.picture, good.problem) == (tmp_path / "mine" / "a.png", "")


def test_a_folder_for_pictures_can_be_named(tmp_path: Path) -> None:
    pictures(tmp_path / "pictures", "a.png")
    path = jsonl(tmp_path / "t.jsonl", {"image": "a.png"}, {"image": str(tmp_path / "pictures" / "a.png")})
    assert "there is no file" in problems(read(open_source(path)))[0]
    assert problems(read(open_source(path, image_folder=tmp_path / "pictures"))) == ["", ""]
    windows = jsonl(tmp_path / "w.jsonl", {"image": "pictures\\a.png"})
    assert read(open_source(windows))[0].picture == tmp_path / "pictures" / "a.png"


def test_lines_that_cannot_be_read_are_problems_and_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(
        b"id,text\n1,good\n2\n3,a,b\n4,caf\xe9\n5,\n1,again\n" + b'6,"' + b"x" * 140_000 + b'"\n7,last\n'
    )
    records = read(open_source(tmp_path / "t.csv"))
    assert [record.id for record in records if not record.problem] == ["1", "7"]
    for reason in (
        "1 cells where the first line names 2",
        "3 cells",
        "is no UTF-8",
        "neither picture nor text",
        "its id '1' was there before",
        "field larger than field limit",
    ):
        assert sum(reason in problem for problem in problems(records)) == 1, reason
    (tmp_path / "t.jsonl").write_bytes(
        b'{"text": "good"}\n[1]\n{"text": \n\n{"text": "caf\xe9"}\n{"text": "\\ud800"}\n{"text": '
        + b"1" * 5000 + b"}\n"
        + b"[" * 100_000 + b'\n{"text": "last", "more": {"deep": [1, null]}, "nan": NaN, "big": 99999999999999999999}'
    )  # fmt: skip
    records = read(open_source(tmp_path / "t.jsonl"))
    assert [record.texts[0] for record in records if not record.problem] == ["good", "last"]
    assert len(records) == 8
    assert records[-1].metadata == {"more": '{"deep": [1, null]}', "nan": None, "big": "99999999999999999999"}


def test_parquet_text_that_is_no_utf8_is_a_problem(tmp_path: Path) -> None:
    column = pa.array([b"good", b"caf\xe9", b"fine"]).cast(pa.binary())
    wrong = pa.StringArray.from_buffers(3, column.buffers()[1], column.buffers()[2])
    pq.write_table(pa.table({"text": wrong}), tmp_path / "t.parquet")
    records = read(open_source(tmp_path / "t.parquet"))
    assert [record.texts for record in records] == [("good",), (), ("fine",)]
    assert "no UTF-8" in records[1].problem
    pq.write_table(pa.table({"id": [1, 2, 3], "text": column}), tmp_path / "u.parquet")
    assert [record.problem == "" for record in read(open_source(tmp_path / "u.parquet"))] == [True, False, True]


def test_many_parquet_files_are_one_source(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(3):
        rows = range(5 * number, 5 * number + 5)
        table = pa.table({"key": [f"{row:09d}" for row in rows], "caption": [f"words {row}" for row in rows]})
        table = table.append_column("jpg", pa.array([png(row) if row % 3 else None for row in rows], pa.binary()))
        table = table.append_column(
            "status", pa.array(["success" if row % 3 else "failed_to_download" for row in rows])
        )
        pq.write_table(table, folder / f"{number:05d}.parquet", row_group_size=2)
    records = read(open_source(folder))
    assert [record.id for record in records] == [f"{row:09d}" for row in range(15)]
    assert records[4].picture == png(4)
    assert open_source(folder).layout.startswith("3 Parquet files")
    pq.write_table(pa.table({"other": [1]}), folder / "00003.parquet")
    with pytest.raises(DataError, match=r"other columns than .*they differ in"):
        open_source(folder)
    (folder / "00003.parquet").write_bytes((folder / "00002.parquet").read_bytes()[:-30])
    with pytest.raises(FileFormatError, match="not a whole Parquet file"):
        open_source(folder)


def test_a_parquet_file_damaged_inside_gives_the_rest(tmp_path: Path) -> None:
    texts = [f"{row} words that fill a page" * 50 for row in range(400)]
    pq.write_table(pa.table({"text": texts}), tmp_path / "t.parquet", row_group_size=100, compression="gzip")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    offset = pq.ParquetFile(tmp_path / "t.parquet").metadata.row_group(2).column(0).data_page_offset
    content[offset + 20 : offset + 400] = bytes(380)
    (tmp_path / "t.parquet").write_bytes(content)
    records = list(open_source(tmp_path / "t.parquet").records())
    assert len(records) == 400
    assert ["is damaged in row group 2" in problem for problem in problems(records)] == [
        200 <= row < 300 for row in range(400)
    ]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", DataError, "is empty"),
        (b"\n\n", DataError, "is empty; a table's first line"),
        (b"\xff\xfei\x00d\x00", FileFormatError, "UTF-16"),
        (b"a,a\n1,2\n", DataError, "names the column 'a' twice"),
        (b"\x00\x01\x02", DataError, "binary file of no known kind"),
        (b"\x89PNG \xff,\n", FileFormatError, "no CSV or TSV file"),
        (b"PK\x03\x04 zip", DataError, "unpack it first"),
        (b'[{"text": "a"}]', DataError, "one JSON array"),
        (b'{"text": \n', DataError, "has no line with a JSON object"),
        (b"PAR1 and then nothing", FileFormatError, "not a whole Parquet file"),
        (b"first.png,a cat\n", DataError, "no column of a usual name.*'first.png', 'a cat'"),
    ],
)
def test_files_that_are_no_tables_are_refused(
    tmp_path: Path, content: bytes, error: type[Exception], message: str
) -> None:
    (tmp_path / "t.any").write_bytes(content)
    with pytest.raises(error, match=message):
        open_source(tmp_path / "t.any")


def test_a_folder_with_a_metadata_file_is_read_by_it(tmp_path: Path) -> None:
    pictures(tmp_path, "a.png", "b.png")
    jsonl(tmp_path / "metadata.jsonl", {"file_name": "a.png", "text": "words"})
    (record,) = read(open_source(tmp_path))
    assert (record.picture, record.texts) == (tmp_path / "a.png", ("words",))
