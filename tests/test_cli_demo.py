from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossbit.cli.demo as demo_module
from crossbit import Hasher, PairedFeatures, Split
from crossbit.cli import main
from crossbit.cli.demo import fit_entrants, present, report_of
from crossbit.cli.showcase import TYPED, Searched, picture_questions, query_rows, text_questions
from crossbit.collection import Collection
from crossbit.datasets import Dataset
from crossbit.encoders import Encoded
from crossbit.evaluation import evaluate
from crossbit.progress import Step, silent

N = 90


def toy(*, labels: bool = True) -> Dataset:
    rng = np.random.default_rng(0)
    group = np.arange(N) % 3
    image = rng.normal(size=(3, 8))[group] + rng.normal(size=(N, 8))
    text = rng.normal(size=(3, 6))[group] + rng.normal(size=(N, 6))
    pictures = []
    for row in range(N):
        out = io.BytesIO()
        Image.new("RGB", (16, 16), (row * 2, 0, 255)).save(out, format="PNG")
        pictures.append(out.getvalue())
    return Dataset(
        name="toy",
        pairs=PairedFeatures(
            image.astype(np.float32), text.astype(np.float32), np.eye(3, dtype=bool)[group] if labels else None
        ),
        split=Split(train=np.arange(60), query=np.arange(60, N), database=np.arange(60)),
        captions=tuple(f"thing {row} of {group[row]}" for row in range(N)),
        pictures=tuple(pictures),
        encoders={"image": "toy-image", "text": "toy-text"},
    )


class ToyWriter:
    width = 6

    def fingerprint(self) -> str:
        return "toy-text"

    def encode(self, items: Sequence[Any]) -> Encoded:
        return Encoded.whole(np.random.default_rng(len(items)).normal(size=(len(items), 6)))


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demonstration on a toy data set in place of emoji."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # main would set it, for the tests that follow too
    monkeypatch.setattr(demo_module, "load_dataset", lambda name, progress: toy())
    monkeypatch.setattr(demo_module, "query_encoder", lambda hasher, modality: ToyWriter())
    return tmp_path


def run_demo(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["crossbit", "demo", "--quick", "--bits", "4", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_demonstration_leaves_everything_it_names(
    stage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(monkeypatch, "--out", "my demo") == 0
    out, err = capsys.readouterr()
    assert err == ""
    for name in ("report.html", "contact_sheet.png", "scores.json"):
        assert f"my demo/{name}" in out
        assert (stage / "my demo" / name).stat().st_size > 0
    assert out.rstrip().endswith("crossbit search 'my demo/collection' \"a red fruit\"")
    assert len(Collection.open(stage / "my demo" / "collection")) == N
    assert Hasher.load(stage / "my demo" / "hasher.safetensors").encoders == toy().encoders
    page = (stage / "my demo" / "report.html").read_text("utf-8")
    assert all(f"“{words}”" in page for words in TYPED)
    with Image.open(stage / "my demo" / "contact_sheet.png") as sheet:
        assert sheet.format == "PNG"


def test_a_second_demonstration_replaces_the_first(
    stage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = []
    for _ in range(2):
        assert run_demo(monkeypatch, "--json") == 0
        result = json.loads(capsys.readouterr().out)
        scores.append(json.loads((stage / "crossbit-demo" / "scores.json").read_text())["methods"])
        assert Path(result["report"]).is_file()
    assert scores[0] == scores[1]


def test_a_foreign_folder_stops_the_demonstration_before_the_work(
    stage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (stage / "crossbit-demo" / "collection").mkdir(parents=True)
    (stage / "crossbit-demo" / "collection" / "mine.txt").write_text("precious")
    monkeypatch.setattr(demo_module, "load_dataset", lambda name, progress: pytest.fail("must not be called"))
    assert run_demo(monkeypatch) == 1
    assert "is left alone" in capsys.readouterr().err


def test_ctrl_c_says_what_is_kept(
    stage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(name: str, progress: object) -> Dataset:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_module, "load_dataset", stop)
    assert run_demo(monkeypatch) == 130
    assert "encoded features are kept" in capsys.readouterr().err


def test_scores_are_those_of_an_evaluation(stage: Path) -> None:
    dataset, steps = toy(), list[Step]()
    entrants = fit_entrants(dataset, 4, 1, steps.append, quick=True)
    assert {step.stage for step in steps} == {"student: rotation"}
    result = present(dataset, entrants, stage / "out", 1, steps.append)
    for one in entrants:
        expected = evaluate(one.hasher, dataset.pairs, dataset.split)
        assert result["scores"][one.name]["mAP@all"]["mean"] == expected["mAP@all"].mean
    assert steps[-1] == Step("write items", N, N)


def test_hits_come_from_the_database_and_are_nearest_first() -> None:
    dataset = toy()
    student = fit_entrants(dataset, 4, 0, silent, quick=True)[1]
    searched = Searched.of("student", student.hasher, dataset)
    captions = {dataset.captions[row] for row in dataset.split.database}
    for question in [
        *text_questions(dataset, [searched], [60, 70]),
        *picture_questions(dataset, [searched], [60, 70]),
    ]:
        (answer,) = question.answers
        assert {found.caption for found in answer.found} <= captions
        distances = [found.distance for found in answer.found]
        assert distances == sorted(distances)
        assert answer.code is not None
        for found in answer.found:
            assert found.code is not None
            assert int((found.code != answer.code).sum()) == found.distance
            assert found.relevant is (found.caption[-1] == question.text[-1])


def test_query_rows_take_turns_between_the_labels() -> None:
    dataset = toy()
    rows = query_rows(dataset, 7, 0)
    assert set(rows) <= set(dataset.split.query.tolist())
    assert [sum(row % 3 == group for row in rows) for group in range(3)] in ([3, 2, 2], [2, 3, 2], [2, 2, 3])
    assert len(set(rows)) == 7
    assert rows == query_rows(dataset, 7, 0) != query_rows(dataset, 7, 1)
    assert len(query_rows(toy(labels=False), 7, 0)) == 7


def test_a_report_without_encoders_has_no_typed_words() -> None:
    dataset = replace(toy(), encoders={})
    entrants = fit_entrants(dataset, 4, 0, silent, quick=True)
    evaluations = {one.name: (one.role, evaluate(one.hasher, dataset.pairs, dataset.split)) for one in entrants}
    report = report_of(dataset, entrants[:2], entrants, evaluations, 0)
    assert not any(question.typed for question in report.questions)
    assert {line.name for line in report.scores} == {*evaluations, "random order"}


def test_a_demonstration_in_place_of_a_file_is_refused(
    stage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (stage / "out").write_text("x")
    monkeypatch.setattr(demo_module, "load_dataset", lambda name, progress: pytest.fail("must not be called"))
    assert run_demo(monkeypatch, "--out", "out") == 1
    assert "out is a file" in capsys.readouterr().err
    assert (stage / "out").read_text() == "x"
