"""From one's own pictures and words, in whatever they are kept, to a hasher, codes and a collection."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crossbit.cli import main
from crossbit.collection import Collection
from source_makers import IMAGES, jsonl, pictures, png, saved_dataset, tar

Run = Callable[..., tuple[int, str, str]]
OWN = ("--image-encoder", "own:source_makers:MeanColour", "--text-encoder", "own:source_makers:LetterCounts")
WORDS = [f"x{'a' * (number % 4)}{'e' * (number % 5)} i{'o' * number}" for number in range(14)]
N = len(WORDS)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in an empty folder: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def made(kind: str, place: Path) -> tuple[str, ...]:
    """Fourteen pairs, and one whose picture is broken, in a kind of source: what is typed for it."""
    names = [f"{number:02d}.png" for number in range(N)]
    contents = [*(png(10 * number) for number in range(N)), b"no picture"]
    words = [*WORDS, "broken"]
    if kind in ("folder", "csv", "jsonl"):
        pictures(place / "data", *names)
        (place / "data" / "99.png").write_bytes(contents[-1])
    rows = list(zip([*names, "99.png"], words, strict=True))
    if kind == "folder":
        for name, text in rows:
            (place / "data" / name).with_suffix(".txt").write_text(text)
        return ("data",)
    if kind == "csv":
        lines = ["where;what;who", *(f"{name};{text};me" for name, text in rows)]
        (place / "list.csv").write_text("\n".join(lines))
        columns = ("--image-column", "where", "--text-column", "what")
        return ("list.csv", *columns, "--image-folder", "data")
    if kind == "jsonl":
        jsonl(place / "data" / "list.jsonl", *({"image": name, "text": [text], "n": len(text)} for name, text in rows))
        return ("data/list.jsonl",)
    if kind == "shards":
        members = [(f"{number:02d}.{end}", content) for number, text in enumerate(words)
                   for end, content in (("png", contents[number]), ("txt", text.encode()))]  # fmt: skip
        tar(place / "0.tar", *members[:10])
        tar(place / "1.tar", *members[10:])
        return ("*.tar",)
    if kind == "parquet":
        pq.write_table(pa.table({"bytes": contents, "title": words}), place / "t.parquet", row_group_size=4)
        return ("t.parquet",)
    cells = pa.array([{"bytes": content, "path": None} for content in contents], IMAGES)
    saved_dataset(place / "saved", {"image": cells, "text": pa.array(words)}, {}, files=2)
    return ("saved",)


@pytest.mark.parametrize("kind", ["folder", "csv", "jsonl", "shards", "parquet", "saved"])
def test_every_kind_goes_from_fit_to_search(run: Run, tmp_path: Path, kind: str) -> None:
    typed = made(kind, tmp_path)
    code, out, err = run("fit", *typed, *OWN, "--method", "cca-itq", "--bits", "8", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["train_pairs"] == N - 1
    (skipped,) = result["skipped"]
    assert "not a picture of a kind that can be read" in skipped["reason"]
    assert result["skipped_file"] == "hasher.skipped.jsonl"
    line = json.loads(Path("hasher.skipped.jsonl").read_text())
    assert line["row"] == skipped["row"] == N
    assert line["reason"] == "not a picture of a kind that can be read"
    code, out, err = run("index", "hasher.safetensors", *typed, *OWN, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["n"], result["n_image"], result["n_text"]) == (N, N, N)
    collection = Collection.open("collection")
    names = list(collection.ids())
    assert [collection.get(name).caption for name in names] == WORDS
    assert all(collection.thumbnail(name) for name in names)
    further = {"csv": {"who": "me"}, "jsonl": {"n": len(WORDS[5])}}
    assert collection.get(names[5]).metadata == further.get(kind, {})
    code, out, err = run("search", "collection", "--item", names[5], "-k", "3", "--json")
    assert (code, err) == (0, "")
    assert len(json.loads(out)["hits"]) == 3
    code, out, err = run("encode", "hasher.safetensors", *typed, *OWN, "--json")
    assert (code, err) == (0, "")
    with np.load("codes.npz", allow_pickle=False) as codes:
        assert codes["ids"].tolist() == names
        assert codes["has_image"].all()
        assert np.array_equal(codes["image"][5:6], collection.code(names[5], "image").packed)


def test_the_next_command_repeats_how_data_is_read(run: Run, tmp_path: Path) -> None:
    typed = made("csv", tmp_path)
    code, out, _ = run("fit", *typed, *OWN, "--method", "cca-itq", "--bits", "8", "--captions", "first")
    assert code == 0
    options = "--image-column where --text-column what --image-folder data --captions first"
    encoders = " ".join(OWN)
    assert f"index hasher.safetensors list.csv {options} {encoders} --out collection" in out
    assert "Left out: 1, the first: 99.png: not a picture" in out
    assert "(all in hasher.skipped.jsonl)" in out


def test_items_without_a_partner_are_indexed(run: Run, tmp_path: Path) -> None:
    typed = made("folder", tmp_path)
    assert run("fit", *typed, *OWN, "--method", "cca-itq", "--bits", "8")[0] == 0
    alone = pictures(tmp_path / "alone", "picture.png", "nothing to read.png")
    (alone / "words.txt").write_text("aa ee")
    (alone / "nothing to read.png").write_bytes(b"")
    (alone / "unknown.txt").write_text("xyz")
    code, out, err = run("index", "hasher.safetensors", "alone", *OWN, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["n"], result["n_image"], result["n_text"]) == (2, 1, 1)
    assert sorted(skip["reason"].split(":")[0] for skip in result["skipped"]) == ["nothing to read.png", "unknown.txt"]
    hits = json.loads(run("search", "collection", "--item", "words.txt", "--json")[1])["hits"]
    assert [hit["id"] for hit in hits] == ["picture.png"]
    code, out, err = run("fit", "alone", *OWN, "--method", "cca-itq")
    assert code == 1
    assert "gives 0 pairs" in err


def test_a_collection_of_encoders_of_ones_own_is_asked_with_them_named(run: Run, tmp_path: Path) -> None:
    typed = made("csv", tmp_path)
    assert run("fit", *typed, *OWN, "--method", "cca-itq", "--bits", "8")[0] == 0
    code, out, _ = run("index", "hasher.safetensors", *typed, *OWN)
    assert code == 0
    assert re.search(r'search collection ".*" --text-encoder own:source_makers:LetterCounts$', out, flags=re.MULTILINE)
    by_item = json.loads(run("search", "collection", "--item", "03.png", "--among", "image", "--json")[1])["hits"]
    for query in ((WORDS[3],), ("--image", "data/03.png", "--among", "image")):
        code, out, err = run("search", "collection", *query, *OWN, "--json")
        assert (code, err) == (0, "")
        assert len(json.loads(out)["hits"]) == 10
    assert json.loads(out)["hits"][0]["distance"] == 0
    assert {hit["id"] for hit in json.loads(out)["hits"][:3]} & {hit["id"] for hit in by_item[:3]}
    code, out, err = run("search", "collection", WORDS[3])
    assert (code, "No encoder known here has the fingerprint 'letter-counts" in err) == (1, True), err
    code, out, err = run("search", "collection", WORDS[3], "--text-encoder", "own:source_makers:MeanColour")
    assert (code, out) == (1, "")
    assert "the encoder given is mean-colour-1" in err
    code, out, err = run("search", "collection", WORDS[3], "--text-encoder", "nothing")
    assert (code, "no text encoder 'nothing'" in err) == (1, True)


def test_info_and_calibrate_read_columns_as_fit_does(run: Run, tmp_path: Path) -> None:
    typed = made("csv", tmp_path)
    code, out, err = run("info", *typed, *OWN, "--json")
    assert (code, err) == (0, "")
    assert (json.loads(out)["n"], json.loads(out)["skipped"]) == (N, 1)
    assert run("fit", *typed, *OWN, "--method", "cca-itq", "--bits", "8")[0] == 0
    code, _, err = run("calibrate", "hasher.safetensors", *typed, *OWN, "--all")
    assert (code, "14 pairs" in err) == (1, True), err  # read as it should be, and too few
    code, out, err = run("evaluate", "hasher.safetensors", *typed, *OWN)
    assert (code, "By pairs, not labels: 1 query pictures and 1 captions" in out) == (0, True), err


def test_a_vocabulary_fitted_on_one_source_indexes_another(run: Run, tmp_path: Path) -> None:
    made("folder", tmp_path)
    for number in range(N):
        (tmp_path / "data" / f"{number:02d}.txt").write_text(f"tile number {number % 5} of colour {number}")
    words = ("--image-encoder", "own:source_makers:MeanColour", "--text-encoder", "bag-of-words")
    assert run("fit", "data", *words, "--method", "cca-itq", "--bits", "8")[0] == 0
    others = ({"text": "zebra"}, {"text": "tile of colour"}, {"text": "a tile", "tags": ["number"]})
    jsonl(tmp_path / "other.jsonl", *others)
    code, out, _ = run("index", "hasher.safetensors", "other.jsonl", "--image-encoder", words[1], "--json")
    assert code == 0
    result = json.loads(out)
    assert (result["n"], result["n_image"], [skip["row"] for skip in result["skipped"]]) == (2, 0, [0])
    assert run("search", "collection", "number tile", "--among", "text", "--json")[0] == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("fit", "list.csv"),
            "its columns are 'where', 'what', 'who'",
        ),
        (("fit", "list.csv", "--image-column", "picture"), "has no column 'picture'"),
        (("fit", "list.csv", "--image-folder", "none"), "no folder none"),
        (("fit", "*.nothing"), "No file is named like '*.nothing'"),
        (("fit", "data", "--id-column", "x"), "has no columns to name"),
        (("index", "hasher.safetensors", "absent"), "There is no hasher file"),
    ],
)
def test_wrong_input_is_one_sentence(run: Run, tmp_path: Path, words: tuple[str, ...], expected: str) -> None:
    made("csv", tmp_path)
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert err.startswith("crossbit: ")
    assert expected in err
