"""MIRFLICKR-25K and NUS-WIDE from miniatures of their files, and what prepared folders are to the other commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import benchmark_makers as makers
from crossbit.cli import main
from crossbit.cli.app import app
from crossbit.datasets import load_dataset, read_prepared
from crossbit.datasets.mirflickr import MIRFLICKR
from crossbit.datasets.mirflickr import RECORDS as MIR_RECORDS
from crossbit.datasets.nus_wide import NUS_WIDE
from crossbit.datasets.prepared import prepare_benchmark
from crossbit.encoders import BagOfWords
from crossbit.errors import CountsError, DataError, FileFormatError, SettingsError
from source_makers import LetterCounts, MeanColour


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))


def test_mirflickr_is_read_as_its_site_ships_it(tmp_path: Path) -> None:
    record = makers.mirflickr(tmp_path / "raw")
    written = prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out", record=record)
    assert {count.what: count.found for count in written.counts if not count.what.endswith(("dcmh", "unsup"))} == {
        **record.counts
    }
    assert not any(count.differs for count in written.counts)
    assert (written.splits["unsup"]["query"], written.splits["unsup"]["train"]) == (7, 13)
    data = read_prepared(tmp_path / "out", text_encoder="bag-of-words", image_encoder=MeanColour())
    assert (data.name, len(data), data.label_names) == ("out-dcmh", written.n, makers.CONCEPTS)
    assert data.ids[0] == "im3"  # the first has no label, the second no tag
    assert isinstance(data.vocabulary, BagOfWords)
    assert "caf\u00e9" in data.vocabulary.vocabulary
    raw = (tmp_path / "raw" / "mirflickr" / "meta" / "tags" / "tags3.txt").read_bytes().decode("latin-1").split("\r")
    known = {data.vocabulary.vocabulary[column] for column in np.flatnonzero(data.pairs.text[0])}
    assert known == set(raw) - {"notcommon", ""}
    sky = (tmp_path / "raw" / "mirflickr25k_annotations_v080" / "sky.txt").read_text().split()
    assert data.pairs.labels is not None
    assert {data.ids[row] for row in np.flatnonzero(data.pairs.labels[:, 2])} <= {f"im{number}" for number in sky}
    assert data.image_bytes(0) == (tmp_path / "raw" / "mirflickr" / "im3.jpg").read_bytes()


def test_a_split_is_a_published_file_of_ids(tmp_path: Path) -> None:
    record = makers.mirflickr(tmp_path / "raw")
    first = prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "a", record=record, seed=3)
    again = prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "b", record=record, seed=3)
    other = prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "c", record=record, seed=4)
    files = [(each.folder / "splits" / "unsup.json").read_text() for each in (first, again, other)]
    assert files[0] == files[1] != files[2]
    split = json.loads(files[0])
    assert split["revision"] == first.revision == other.revision
    assert not set(split["query"]) & set(split["train"])
    encoders = {"text_encoder": "bag-of-words", "image_encoder": MeanColour()}
    by_split = load_dataset(tmp_path / "a" / "splits" / "unsup.json", **encoders)
    assert [by_split.ids[row] for row in by_split.split.query] == split["query"]
    assert len(by_split.split.database) == first.n - len(split["query"])
    split["revision"] = "0" * 16
    (tmp_path / "a" / "splits" / "unsup.json").write_text(json.dumps(split))
    with pytest.raises(FileFormatError, match="is a split of revision 0000"):
        load_dataset(tmp_path / "a" / "splits" / "unsup.json", **encoders)


def test_variants_of_mirflickr_keep_other_photos(tmp_path: Path) -> None:
    makers.mirflickr(tmp_path / "raw")
    sizes = {}
    for variant in MIRFLICKR.variants:
        out = tmp_path / variant
        written = prepare_benchmark(
            MIRFLICKR,
            tmp_path / "raw",
            out,
            variant=variant,
            record=replace(MIR_RECORDS["tags"], counts={}, splits=DRAWN),
        )
        sizes[variant] = written.n
    assert sizes["tags"] == sizes["tags-38"] < sizes["captions"]
    with np.load(tmp_path / "tags-38" / "labels.npz") as labels:
        assert int(labels["n"]) == 6
    items = [json.loads(line) for line in (tmp_path / "captions" / "items.jsonl").read_text().splitlines()]
    assert items[0]["id"] == "im2"
    assert "captions" not in items[0]
    assert items[1]["captions"][0].endswith("notcommon")


DRAWN = {"drawn": makers.RandomSplit(4, 10)}


def test_a_count_that_differs_is_named_and_can_be_allowed(tmp_path: Path) -> None:
    record = makers.mirflickr(tmp_path / "raw")
    (tmp_path / "raw" / "mirflickr" / "im7.jpg").unlink()
    with (tmp_path / "raw" / "mirflickr25k_annotations_v080" / "baby.txt").open("a") as file:
        file.write("1\n")
    with pytest.raises(CountsError, match=r"label ones: expected \d+, found \d+; pictures: expected 40, found 39"):
        prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out", record=record)
    assert not (tmp_path / "out").exists()
    with pytest.raises(CountsError, match="has no count photo"):
        prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out", record=record, allow_counts=["photo"])
    allowed = ["pictures", "label ones", "pairs"]
    written = prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out", record=record, allow_counts=allowed)
    kept = json.loads((tmp_path / "out" / "prepared.json").read_text())["counts"]
    assert kept["pictures"] == {"expected": 40, "found": 39, "allowed_to_differ": True, "evidence": "code"}
    assert "allowed_to_differ" not in kept["photos"]
    data = read_prepared(tmp_path / "out", text_encoder="bag-of-words", image_encoder=MeanColour())
    if written.missing_pictures:  # photo 7 is a pair
        assert len(data) == written.n - 1
        assert data.skipped[0].reason == "im7: it has no picture"


def test_the_real_record_is_that_of_the_papers(tmp_path: Path) -> None:
    makers.mirflickr(tmp_path / "raw")
    with pytest.raises(CountsError, match=r"photos: expected 25,000, found 40.*pairs: expected 20,015") as raised:
        prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out")
    assert "queries of dcmh: expected 2,000, found 0" in str(raised.value)
    counts = NUS_WIDE.records["tc10"].counts
    assert (counts["pairs"], counts["label ones of the top 10"], counts["tag ones"]) == (186_577, 332_189, 1_559_464)
    assert NUS_WIDE.records["tc10"].splits["unsup"].sizes == (2_000, 5_000)
    assert MIR_RECORDS["tags"].splits["unsup"].sizes == (2_000, 5_000)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("mirflickr/doc/common_tags.txt", r"no mirflickr/doc/common_tags\.txt \(nor doc/"),
        ("mirflickr/meta/tags/tags5.txt", r"lacks tags5\.txt"),
        ("mirflickr/im1.jpg", r"no mirflickr/im1\.jpg"),
    ],
)
def test_a_missing_file_is_named_with_the_official_page(tmp_path: Path, missing: str, named: str) -> None:
    record = makers.mirflickr(tmp_path / "raw")
    (tmp_path / "raw" / missing).unlink()
    with pytest.raises(DataError, match=named) as raised:
        prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out", record=record)
    assert "https://press.liacs.nl/mirflickr/" in str(raised.value)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    record = makers.mirflickr(tmp_path / "raw")
    path = tmp_path / "raw" / "mirflickr25k_annotations_v080" / "sky.txt"
    path.write_bytes(b"3\r\n41\r\n")
    with pytest.raises(
        FileFormatError, match=r"sky\.txt, line 2: a whole number from 1 to 40 is expected; there is '41'"
    ):
        prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out", record=record)


def test_nus_wide_is_read_as_its_site_ships_it(tmp_path: Path) -> None:
    record = makers.nus_wide(tmp_path / "deep" / "raw")
    written = prepare_benchmark(NUS_WIDE, tmp_path / "deep", tmp_path / "out", record=record)
    assert not any(count.differs for count in written.counts)
    assert written.missing_pictures <= 3
    data = read_prepared(
        tmp_path / "out" / "splits" / "unsup.json", text_encoder="bag-of-words", image_encoder=MeanColour()
    )
    assert len(data) == written.n - written.missing_pictures
    assert data.ids[0].startswith("actor/")
    assert data.label_names[-1] == "lake"
    assert (data.pairs.text.sum(axis=1) == 0).any()  # a photo without tags stays
    texts = prepare_benchmark(
        NUS_WIDE, tmp_path / "deep", tmp_path / "texts", variant="tc10-texts", record=replace(record, counts={})
    )
    assert texts.n < written.n
    without = prepare_benchmark(NUS_WIDE, tmp_path / "deep", tmp_path / "bare", record=record, pictures=False)
    with pytest.raises(DataError, match=r"no picture that can be opened.*image\.npy"):
        read_prepared(tmp_path / "bare", text_encoder="bag-of-words", image_encoder=MeanColour())
    own = np.random.default_rng(0).normal(size=(without.n, 5)).astype(np.float32)
    np.save(tmp_path / "bare" / "image.npy", own)
    with_own = read_prepared(tmp_path / "bare", text_encoder=LetterCounts())
    assert np.array_equal(with_own.pairs.image, own)
    assert with_own.pairs.text.shape == (without.n, 5)
    assert len(with_own) == without.n


def test_the_corrupt_line_of_nus_wide_is_named_where_it_counts(tmp_path: Path) -> None:
    record = makers.nus_wide(tmp_path / "raw")
    path = tmp_path / "raw" / "Groundtruth" / "AllLabels" / "Labels_lake.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:7], "-1130179", *lines[8:]]))
    with pytest.raises(
        FileFormatError, match=r"Labels_lake\.txt, line 8: 1 of 0 and 1 are expected; there is '-1130179'"
    ):
        prepare_benchmark(NUS_WIDE, tmp_path / "raw", tmp_path / "out", record=record)
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(FileFormatError, match=r"Labels_lake\.txt has 59 lines for 60 photos"):
        prepare_benchmark(NUS_WIDE, tmp_path / "raw", tmp_path / "out", record=record)


def test_what_stands_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    record = makers.mirflickr(tmp_path / "raw")
    prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out", record=record)
    with pytest.raises(SettingsError, match="not empty"):
        prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out", record=record)
    prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "out", record=record, overwrite=True)
    with pytest.raises(SettingsError, match=r"not empty"):
        prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "raw", record=record, overwrite=True)
    with pytest.raises(SettingsError, match="no variant 'x'"):
        prepare_benchmark(MIRFLICKR, tmp_path / "raw", tmp_path / "o", variant="x")
    (tmp_path / "out" / "words.npz").write_bytes(b"PK damaged")
    with pytest.raises(FileFormatError, match=r"words\.npz is not whole"):
        read_prepared(tmp_path / "out", text_encoder="bag-of-words", image_encoder=MeanColour())


def test_the_command_prepares_and_the_others_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    makers.mirflickr(tmp_path / "raw", n=60)
    said = run(["data", "prepare", "--json"], monkeypatch, capsys)
    assert {"mirflickr25k", "nus-wide"} <= {each["name"] for each in json.loads(said)}
    prepare = ["data", "prepare", "mirflickr25k", "--from", str(tmp_path / "raw"), "--out", str(tmp_path / "mir")]
    with pytest.raises(CountsError):
        app(prepare, standalone_mode=False)
    told = json.loads(run([*prepare, "--allow-counts", "all", "--json"], monkeypatch, capsys))
    assert told["counts"]["photos"] == {"expected": 25_000, "found": 60, "differs": True, "evidence": "page"}
    assert list(told["splits"]) == ["drawn"]
    n = told["pairs"]
    np.save(tmp_path / "mir" / "image.npy", np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32))
    hasher, data = str(tmp_path / "h.safetensors"), str(tmp_path / "mir")
    fit = [
        "fit",
        data,
        "--method",
        "cca-itq",
        "--bits",
        "4",
        "--text-encoder",
        "bag-of-words",
        "--out",
        hasher,
        "--json",
    ]
    assert json.loads(run(fit, monkeypatch, capsys))["data"] == "mir-drawn"
    scores = json.loads(
        run(["evaluate", hasher, data, "--text-encoder", "bag-of-words", "--json"], monkeypatch, capsys)
    )
    assert scores["n_queries"] == n // 10
    place = str(tmp_path / "collection")
    index = ["index", hasher, data, "--text-encoder", "bag-of-words", "--out", place, "--json"]
    assert json.loads(run(index, monkeypatch, capsys))["n"] == n
    found = json.loads(run(["search", place, "--item", "im3", "-k", "3", "--json"], monkeypatch, capsys))
    assert len(found["hits"]) == 3


def run(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr("sys.argv", ["crossbit", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert not ended.value.code, said.err
    return said.out
