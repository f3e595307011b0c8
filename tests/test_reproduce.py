"""Experiments run by name, beside what papers say; data that is absent; what an installed package knows."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import benchmark_makers as makers
from crossbit.cli import main
from crossbit.datasets.mirflickr import MIRFLICKR
from crossbit.datasets.prepared import prepare_benchmark
from crossbit.errors import DataError, FileFormatError, SettingsError
from crossbit.experiment import Result, read_result
from crossbit.experiment.comparison import EVIDENCE, PAPER_RULES, compare, measured_by
from crossbit.experiment.data import experiment_data, how_to_get
from crossbit.experiment.files import experiment_named, experiment_paths, read_published, shipped_folder
from crossbit.methods import METHODS
from crossbit.testing import planted_pairs

ROOT = Path(__file__).resolve().parents[1]


def run(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["crossbit", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a small data set called tiny, and an experiment on it."""
    world = planted_pairs(n=300)
    (tmp_path / "data").mkdir()
    parts = {name: getattr(world.split, name) for name in ("query", "database", "train")}
    caption = np.array([f"pair {row}" for row in range(300)])
    pairs = world.pairs
    np.savez(
        tmp_path / "data" / "tiny.npz",
        image=pairs.image,
        text=pairs.text,
        labels=pairs.labels,
        caption=caption,
        **parts,
    )
    (tmp_path / "cvh-tiny.toml").write_text(
        'method = "cvh"\ndata = "tiny"\nprotocols = ["PALL", "P50"]\nnote = "On a planted world."\n'
        "[plan]\n16 = [0, 1]\n24 = [0]\n"
    )
    return tmp_path


def test_reproduce_runs_stores_and_compares(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "reproduce",
        str(data / "cvh-tiny.toml"),
        "--data",
        str(data / "data"),
        "--out",
        str(data / "out"),
        "--bits",
    ]
    code, out, err = run([*words, "16", "--json"], monkeypatch, capsys)
    assert code == 0
    assert err.count("is measured (no result yet)") == 2
    compared = json.loads(out)["comparisons"]
    assert [each["result"] for each in compared] == [f"tiny/cvh/16-{seed}" for seed in (0, 0, 1, 1)]
    pall, p50 = compared[:2]
    assert (pall["paper"], pall["evidence"], p50["paper"]) == ([0.620, 0.629], "quoted", [0.606, 0.591])
    stored = read_result(data / "out" / "tiny" / "cvh" / "16-0.json")
    assert pall["ours"] == [stored.scores["PALL"]["I2T"], stored.scores["PALL"]["T2I"]]
    assert pall["protocol_id"] == stored.scores["PALL"]["protocol_id"]
    starts = ("Data: ours tiny, theirs MIRFLICKR-25K", "Features:", "Split: ours", "Ties:", "Ours: On a planted")
    for start in starts:
        assert any(sentence.startswith(start) for sentence in pall["differences"]), start
    curves = stored.details["curves"]["I2T"]
    assert len(curves["recall"]) == len(curves["precision"]) == 17
    assert curves["recall"][-1] == 1
    code, out, err = run([*words, "16"], monkeypatch, capsys)
    assert (code, err) == (0, "")  # what holds is not run again
    assert "UCCH paper, TPAMI 2023, mAP@all, VGG-19 (quoted: read in another paper's table)" in out
    assert "- Data: ours tiny" in out
    code, out, err = run([*words, "24", "--seed", "0", "--json"], monkeypatch, capsys)
    assert [each["paper"] for each in json.loads(out)["comparisons"]] == [None, None]  # no paper has 24 bits
    code, _, err = run([*words, "32"], monkeypatch, capsys)
    assert (code, "it has 16 bits: seeds 0, 1; 24 bits: seeds 0" in err) == (1, True)


def test_data_that_is_absent_is_said_with_what_to_prepare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(["reproduce", "djsrh-mirflickr25k-unsup", "--data", str(tmp_path)], monkeypatch, capsys)
    assert (code, out) == (1, "")
    assert "https://press.liacs.nl/mirflickr/" in err
    assert "crossbit data prepare mirflickr25k --variant tags --from DOWNLOADS --out" in err
    assert "no elsewhere.npz and no prepared folder" in how_to_get("elsewhere", tmp_path)
    assert "takes the split that it ships)" in how_to_get("flickr30k-karpathy", tmp_path)
    with pytest.raises(DataError, match="its split clip"):
        experiment_data("nus-wide-tc21-clip", tmp_path)


def test_prepared_data_is_found_by_folder_and_split(tmp_path: Path) -> None:
    record = makers.mirflickr(tmp_path / "raw")
    out = tmp_path / "data" / "mirflickr25k-tags"
    n = prepare_benchmark(MIRFLICKR, tmp_path / "raw", out, record=record).n
    np.save(out / "image.npy", np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32))
    found = experiment_data("mirflickr25k-tags-unsup", tmp_path / "data")
    assert (found.name, len(found.split.query)) == ("mirflickr25k-tags-unsup", 7)
    assert len(experiment_data("mirflickr25k-tags", tmp_path / "data").split.query) == 6


def test_every_experiment_and_every_published_row_can_be_used() -> None:
    assert experiment_paths()["djsrh-mirflickr25k-unsup"].parent.name == "reproduce"
    for path in (shipped_folder() / "reproduce").glob("*.toml"):
        experiment = experiment_named(path.stem)
        assert how_to_get(experiment.data, Path("data")).startswith(
            ("MIRFLICKR", "NUS-WIDE", "Flickr30k", "MS COCO")
        ), path
        assert experiment.jobs()[0].method() is not None
    for row in read_published():
        assert row.method in METHODS
        assert row.evidence in EVIDENCE
        assert row.protocol in PAPER_RULES
    with pytest.raises(SettingsError, match="there are djsrh-"):
        experiment_named("djsrh-flickr")


def test_the_conventions_of_the_paper_that_measured_are_named() -> None:
    named = {row.source.split()[0]: measured_by(row) for row in read_published()}
    for paper in ("DJSRH", "JDSH", "UCCH", "AGCH", "CCAH", "CIRH", "DGCPN", "SSAH", "UKD"):
        assert named[paper] is not None, f"say in LITERATURE by which protocol the paper of {paper} measured"
    scores = {name: {"protocol_id": "id", "I2T": 0.5, "T2I": 0.4, "mean": 0.45} for name in ("PALL", "P50")}
    of = {name: Result(name, "djsrh", 64, 0, scores, {}, {"method": "djsrh"}) for name in ("nus-wide-tc10", "emoji")}
    whole, first = compare(of["nus-wide-tc10"], read_published())
    assert (whole.paper, first.paper) == ((0.527, 0.538), (0.798, 0.771))  # the paper's numbers on the same data
    assert "Rules of UCCH (UCCH): without relevant: ours zero, theirs skip." in whole.differences
    assert any(told.startswith("Conventions of UCCH (UCCH, code): Queries with nothing") for told in whole.differences)
    assert any(told.startswith("Conventions of DJSRH (P50, code): Ties stand") for told in first.differences)
    assert not any(told.startswith("Data:") for told in first.differences)
    assert {each.paper for each in compare(of["emoji"], read_published())} == {(0.700, 0.683), (0.862, 0.835)}


def test_a_published_row_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.toml"
    for content in (
        "[[row]]\nmethod = 'x'",
        "[[row",
        (shipped_folder() / "published.toml").read_text().replace("32,", ""),
    ):
        path.write_text(content)
        with pytest.raises(FileFormatError, match="no whole file of published numbers"):
            read_published(path)


def test_a_score_without_a_published_number_stands_alone() -> None:
    scores = {"PALL": {"protocol_id": "id", "I2T": 0.5, "T2I": 0.4, "mean": 0.45}}
    alone = compare(Result("emoji", "kdcmh", 64, 0, scores, {}, {"method": "kdcmh"}), read_published())
    assert [(each.paper, each.differences) for each in alone] == [(None, ())]


def test_a_wheel_carries_experiments_and_published_numbers(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="a wheel is built with hatchling, which is not installed")
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    made = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    ask = (
        "import crossbit; from crossbit.experiment.files import *; "
        "print(crossbit.__file__); print(len(read_published()), 'djsrh-mirflickr25k-unsup' in experiment_paths())"
    )
    told = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert told[0].startswith(str(tmp_path / "site"))
    assert told[1] == f"{len(read_published())} True"
