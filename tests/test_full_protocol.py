"""All that decides a number as one value: its id, its file, and columns that mix no ids."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crossbit import PairedFeatures, Split
from crossbit.errors import FileFormatError, MismatchError, SplitError
from crossbit.evaluation import (
    LITERATURE,
    P50,
    PALL,
    PROTOCOLS,
    FullProtocol,
    PublishedSplit,
    evaluate_codes,
    one_protocol,
    read_protocol,
    read_split,
)
from crossbit.evaluation.protocol import with_data
from crossbit.experiment import read_results
from test_evaluation import codes_of, labels_of

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
FULL = FullProtocol(P50, "a split", "shared label of x", "0123456789abcdef")


def test_every_part_moves_the_id():
    changed = [
        replace(FULL, rules=PALL),
        replace(FULL, rules=replace(P50, ties="best")),
        replace(FULL, rules=replace(P50, without_relevant="skip")),
        replace(FULL, split="another"),
        replace(FULL, relevance="shared label of y"),
        replace(FULL, data="fedcba9876543210"),
        replace(FULL, data=""),
    ]
    assert len({one.id for one in [FULL, *changed]}) == 8
    assert FULL.id == P50.id("a split", "shared label of x") + ".012345"


def test_an_id_names_its_data_once():
    assert with_data("cbb2efa901", "0123456789") == "cbb2efa901.012345"
    assert with_data("cbb2efa901.aaaaaa", "0123456789") == "cbb2efa901.aaaaaa"
    assert with_data("cbb2efa901", "") == "cbb2efa901"


def test_a_protocol_is_written_and_read_and_none_that_was_altered(tmp_path):
    FULL.write(tmp_path / "protocol.json")
    assert read_protocol(tmp_path / "protocol.json") == FULL
    content = json.loads((tmp_path / "protocol.json").read_text())
    for change, message in [
        ({"cutoff": 100}, "it was altered"),
        ({"ties": "lucky"}, "no whole protocol file"),
        ({"version": 9}, "no protocol of version"),
        ({"split": None}, "it was altered"),
    ]:
        (tmp_path / "other.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(FileFormatError, match=message):
            read_protocol(tmp_path / "other.json")
    (tmp_path / "half.json").write_text('{"format": ')
    with pytest.raises(FileFormatError, match="no whole protocol file"):
        read_protocol(tmp_path / "half.json")


def test_two_ids_cannot_share_a_column():
    assert one_protocol({"a": FULL, "b": FULL}) == FULL.id
    assert one_protocol({"a": "x", "b": "x"}) == "x"
    with pytest.raises(MismatchError, match=r"2 protocol ids.*differ in cutoff 50 and none; divide_by found and rel"):
        one_protocol({"a": FULL, "b": replace(FULL, rules=PALL)})
    with pytest.raises(MismatchError, match=r"x \(a\), y \(b\)"):
        one_protocol({"a": "x", "b": "y"})
    with pytest.raises(MismatchError, match="no scores"):
        one_protocol({})


def test_an_evaluation_tells_its_full_protocol():
    codes, labels = codes_of(20, 16, 0), labels_of(20, 1)
    sides = (codes[:5], codes[:5], codes[5:], codes[5:], labels[:5], labels[5:])
    plain, named = evaluate_codes(*sides, split_id="s"), evaluate_codes(*sides, split_id="s", data_id="abcdef0123")
    for evaluation in (plain, named):
        for scores in (*evaluation.scores, *evaluation.random):
            assert scores.protocol_id == evaluation.full(scores.protocol).id
    assert named["mAP@50"].protocol_id == plain["mAP@50"].protocol_id + ".abcdef"
    assert named.to_json()["data_id"] == "abcdef0123"
    with pytest.raises(MismatchError):
        one_protocol({"plain": plain.full(P50), "named": named.full(P50)})


def test_stored_results_name_their_data_in_every_id():
    results = read_results(BENCHMARKS / "results")
    assert len(results) > 100
    for result in results:
        prefixes = result.details.get("prefixes", {}).values()
        for scores in (result.scores, *prefixes):
            for score in scores.values():
                first, data = score["protocol_id"].split(".")
                assert (len(first), data) == (10, result.expected["data"][:6])


def test_the_literature_uses_presets():
    for name, used in LITERATURE.items():
        assert PROTOCOLS[name] == used.rules
        assert used.used_by
        assert used.evidence in ("code", "paper", "inferred")
    assert {"P50", "PALL", "PUKD", "DCMH", "CLIP"} <= set(LITERATURE)


def published(seed=0):
    rng = np.random.default_rng(seed)
    pairs = PairedFeatures(rng.normal(size=(30, 4)), rng.normal(size=(30, 3)))
    order = rng.permutation(30)
    split = Split(train=order[10:20], query=np.sort(order[:10]), database=np.sort(order[10:]))
    return pairs, PublishedSplit(split, "small", pairs.fingerprint(), "a permutation", seed)


def test_a_split_is_written_and_read(tmp_path):
    pairs, split = published()
    split.write(tmp_path / "split.json")
    read = read_split(tmp_path / "split.json")
    assert (read.id, read.name, read.rule, read.seed) == (split.id, "small", "a permutation", 0)
    for part in ("train", "query", "database"):
        assert np.array_equal(getattr(read.rows_of(pairs), part), getattr(split.split, part))
    with pytest.raises(MismatchError, match="belongs to features"):
        read.rows_of(published(1)[0])
    with pytest.raises(SplitError, match="only 15 pairs"):
        replace(read, data="").rows_of(pairs[:15])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1, "query": [[0, 2]]}, "was altered"),
        ({"query": [[0, 10**15]]}, "longer than any data set"),
        ({"query": "0-2"}, "no whole split file"),
        ({"database": []}, "no whole split file"),
        ({"format": "another"}, "no split file of version"),
    ],
)
def test_an_altered_split_is_refused(tmp_path, change, message):
    published()[1].write(tmp_path / "split.json")
    content = json.loads((tmp_path / "split.json").read_text())
    if "was altered" in message:
        change = change | {"train": [[5, 6]], "database": [[5, 6]]}
    (tmp_path / "split.json").write_text(json.dumps({**content, **change}))
    with pytest.raises(FileFormatError, match=message):
        read_split(tmp_path / "split.json")


@pytest.mark.parametrize("name", ["emoji", "fashion6k", "openclipart5k", "wiki"])
def test_the_published_splits_are_those_of_the_stored_results(name):
    split = read_split(BENCHMARKS / "splits" / f"{name}.json")
    results = read_results(BENCHMARKS / "results" / name)
    assert {result.expected["split"] for result in results} == {split.id}
    assert {result.expected["data"].split("-")[0] for result in results} == {split.data}
