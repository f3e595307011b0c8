"""COCO, IAPR TC-12, Wikipedia and Flickr30k from miniatures of their files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import benchmark_captions as makers
from crossbit.datasets import read_prepared
from crossbit.datasets.coco import COCO
from crossbit.datasets.drawing import RandomSplit
from crossbit.datasets.iapr_tc12 import IAPR_TC12
from crossbit.datasets.karpathy import COCO_KARPATHY, FLICKR30K
from crossbit.datasets.prepared import prepare_benchmark
from crossbit.datasets.wikipedia import WIKIPEDIA
from crossbit.errors import CountsError, DataError, FileFormatError
from source_makers import LetterCounts, MeanColour


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))


def test_coco_is_read_as_its_site_ships_it(tmp_path: Path) -> None:
    record = makers.coco(tmp_path / "raw")
    written = prepare_benchmark(COCO, tmp_path / "raw", tmp_path / "out", record=record)
    assert not any(count.differs for count in written.counts)
    data = read_prepared(tmp_path / "out", text_encoder="bag-of-words", image_encoder=MeanColour())
    assert data.label_names == ("person", "stop sign", "toothbrush")
    assert (len(data), written.missing_pictures) == (written.n - 1, 1)
    assert data.skipped[0].reason == "495: it has no picture"
    row = data.ids.index("489")  # photo 11 of the files: 12 divides by 2, 3 and 4
    assert data.pairs.labels is not None
    assert data.pairs.labels[row].all()
    assert data.captions[row].count(" / ") == 4
    assert "  " not in data.captions[row]
    assert data.vocabulary is not None
    train = " ".join(data.captions[row] for row in data.split.train)
    assert all(word in train.lower() for word in data.vocabulary.vocabulary)
    older = makers.coco(tmp_path / "older", year="2014")
    assert prepare_benchmark(COCO, tmp_path / "older", tmp_path / "out14", record=older).n == written.n


def test_every_count_says_how_it_is_known(tmp_path: Path) -> None:
    record = replace(makers.coco(tmp_path / "raw", year="2014"), evidence={"photos": "page"}, recalled=("categories",))
    written = prepare_benchmark(COCO, tmp_path / "raw", tmp_path / "out", record=record)
    known = {count.what: count.evidence for count in written.counts}
    assert (known["photos"], known["categories"], known["label ones"]) == ("page", "recalled", "code")
    assert known["labelled photos of train2014"] == ""  # counted, with no record to stand beside
    stored = json.loads((tmp_path / "out" / "prepared.json").read_text())["counts"]
    assert stored["photos"]["evidence"] == "page"
    assert "evidence" not in stored["labelled photos of train2014"]
    wrong = replace(record, where_noted={"labelled photos of train2014": 82_081, "labelled photos of train2017": 1})
    with pytest.raises(CountsError, match=r"labelled photos of train2014: expected 82,081, found \d+\. Restore"):
        prepare_benchmark(COCO, tmp_path / "raw", tmp_path / "other", record=wrong)
    for benchmark in (FLICKR30K, COCO_KARPATHY):
        for own in benchmark.records.values():
            sizes = [what for what in own.counts if what not in ("photos", "pictures") or benchmark is FLICKR30K]
            assert {own.evidence_of(what) for what in sizes} == {"recalled"}


def test_a_damaged_annotation_file_is_named(tmp_path: Path) -> None:
    record = makers.coco(tmp_path / "raw")
    path = tmp_path / "raw" / "annotations" / "instances_val2017.json"
    whole = path.read_text()
    for content in (whole[: len(whole) // 2], "[]", '{"images": [], "annotations": [{"id": 1}]}', ""):
        path.write_text(content)
        with pytest.raises(FileFormatError, match=r"instances_val2017\.json is no whole annotation file"):
            prepare_benchmark(COCO, tmp_path / "raw", tmp_path / "out", record=record)
    path.unlink()
    with pytest.raises(DataError, match=r"no annotations/instances_val2017\.json.*cocodataset\.org"):
        prepare_benchmark(COCO, tmp_path / "raw", tmp_path / "out", record=record)


def test_iapr_tc12_is_read_as_its_sites_ship_it(tmp_path: Path) -> None:
    record = makers.iapr(tmp_path / "raw")
    written = prepare_benchmark(IAPR_TC12, tmp_path / "raw", tmp_path / "out", record=record)
    assert not any(count.differs for count in written.counts)
    data = read_prepared(tmp_path / "out", text_encoder=LetterCounts(), image_encoder=MeanColour())
    assert data.label_names == ("air-hockey table", "boat", "tree")
    row = data.ids.index("00/4")
    assert data.captions[row] == "S\u00e3o plane / a plane & a boat; a tree;"
    assert data.pairs.labels is not None
    assert not data.pairs.labels[row].any()
    assert (data.pairs.labels.sum(axis=1) <= 1).all()
    wrong = replace(record, counts={**record.counts, "labels": 4})
    with pytest.raises(CountsError, match=r"labels: expected 4 \(recalled, not confirmed\), found 3"):
        prepare_benchmark(IAPR_TC12, tmp_path / "raw", tmp_path / "other", record=wrong)
    (tmp_path / "raw" / "saiapr" / "saiapr_tc-12" / "00" / "labels.txt").write_text("2 1 99\n")
    with pytest.raises(FileFormatError, match=r"labels\.txt, line 1.*there is '2 1 99'"):
        prepare_benchmark(IAPR_TC12, tmp_path / "raw", tmp_path / "other", record=record)


def test_wikipedia_has_its_features_and_its_texts(tmp_path: Path) -> None:
    record = makers.wikipedia(tmp_path / "wikipedia_dataset")
    written = prepare_benchmark(WIKIPEDIA, tmp_path, tmp_path / "out", record=record)
    assert written.splits == {"standard": {"train": 16, "query": 4, "database": 16}}
    data = read_prepared(tmp_path / "out")
    assert (data.pairs.image.shape, data.pairs.text.shape) == ((20, 6), (20, 4))
    assert data.encoders == {}
    assert data.split.database.tolist() == list(range(16))
    assert data.pairs.labels is not None
    assert data.pairs.labels[4].tolist() == [False, True, False]
    counts = {what: n for what, n in record.counts.items() if "features" not in what}
    prepare_benchmark(WIKIPEDIA, tmp_path, tmp_path / "raw", variant="raw", record=replace(record, counts=counts))
    raw = read_prepared(tmp_path / "raw", text_encoder="bag-of-words", image_encoder=MeanColour())
    assert raw.captions[0] == "A dog and a dog. <b>"
    assert raw.captions[2] == ""
    assert raw.pairs.text[2].sum() == 0
    (tmp_path / "wikipedia_dataset" / "testset_txt_img_cat.list").write_text("text1\timage1\t11\n")
    with pytest.raises(FileFormatError, match=r"testset_txt_img_cat\.list, line 1: a whole number from 1 to 10"):
        prepare_benchmark(WIKIPEDIA, tmp_path, tmp_path / "again", record=record)


@pytest.mark.parametrize("coco", [False, True])
def test_karpathys_split_is_for_finding_the_pair(tmp_path: Path, coco: bool) -> None:
    record = makers.karpathy(tmp_path / "raw", coco=coco)
    kind = COCO_KARPATHY if coco else FLICKR30K
    written = prepare_benchmark(kind, tmp_path / "raw", tmp_path / "out", record=record)
    assert not any(count.differs for count in written.counts)
    assert written.splits["karpathy"] == {"train": 14, "query": 4, "database": 14}
    data = read_prepared(tmp_path / "out", text_encoder=LetterCounts(), image_encoder=MeanColour())
    assert data.pairs.labels is None
    assert data.captions[0].count(" / ") == 4
    path = tmp_path / "raw" / f"dataset_{'coco' if coco else 'flickr30k'}.json"
    content = json.loads(path.read_text())
    content["images"][3]["split"] = "dev"
    path.write_text(json.dumps(content))
    with pytest.raises(FileFormatError, match="no whole caption file"):
        prepare_benchmark(kind, tmp_path / "raw", tmp_path / "other", record=record)


def test_flickr30k_by_the_captions_of_its_own_site(tmp_path: Path) -> None:
    makers.karpathy(tmp_path / "raw")
    lines = [
        f"{3000 + row}.jpg#{place}\t{' '.join(makers.caption(row).split())}" for row in range(20) for place in range(5)
    ]
    (tmp_path / "raw" / "results_20130124.token").write_bytes("\r\n".join(lines).encode())
    record = replace(
        FLICKR30K.records["token"], counts={"photos": 20, "captions": 100}, splits={"r": RandomSplit(3, 17)}
    )
    written = prepare_benchmark(FLICKR30K, tmp_path / "raw", tmp_path / "out", variant="token", record=record)
    assert written.splits["r"] == {"train": 17, "query": 3, "database": 17}
    (tmp_path / "raw" / "results_20130124.token").write_text("3000.jpg a dog\n")
    with pytest.raises(FileFormatError, match=r"\.token, line 1"):
        prepare_benchmark(FLICKR30K, tmp_path / "raw", tmp_path / "x", variant="token", record=record)
