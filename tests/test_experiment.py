"""Experiment files, results, and whether a result still holds."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from crossbit.datasets import Dataset
from crossbit.errors import FileFormatError, SettingsError
from crossbit.evaluation import PROTOCOLS, code_proxies, evaluate
from crossbit.experiment import (
    Experiment,
    Job,
    expected_of,
    read_experiment,
    read_experiments,
    read_result,
    read_results,
    run_job,
    why_due,
)
from crossbit.experiment import state as state_module
from crossbit.experiment.plan import build_method
from crossbit.experiment.references import REFERENCES
from crossbit.experiment.state import source_digest
from crossbit.methods import METHODS, load_method
from crossbit.testing import planted_pairs

EXPERIMENTS = Path(__file__).resolve().parents[1] / "benchmarks" / "experiments"
DATA = ("emoji", "fashion6k", "openclipart5k", "wiki")
FILE = 'method = "cca-itq"\ndata = "planted"\nprotocols = ["PALL", "P50"]\n\n[plan]\n8 = [0, 1]\n16 = [2]\n'


def planted_dataset(seed: int = 0) -> Dataset:
    world = planted_pairs(seed, n=120)
    return Dataset("planted", world.pairs, world.split, captions=("",) * len(world.pairs))


def job(**changes: object) -> Job:
    experiment = Experiment("cca-itq", "planted", ("PALL", "P50"), {8: (0,)})
    return Job(dataclasses.replace(experiment, **changes), 8, 0)  # type: ignore[arg-type]  # the tests' own names


def written(folder: Path, text: str, name: str = "one.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_every_experiment_file_builds_its_methods() -> None:
    jobs = [job for experiment in read_experiments(EXPERIMENTS) for job in experiment.jobs()]
    assert jobs
    for planned in jobs:
        method = planned.method()
        if method is None:
            assert planned.n_bits == 0
        else:
            assert (method.name, method.n_bits, method.seed) == (
                planned.experiment.method,
                planned.n_bits,
                planned.seed,
            )


@pytest.mark.parametrize("method", [*METHODS, *REFERENCES])
def test_every_method_has_an_experiment_on_every_data_set(method: str) -> None:
    # A method that is an ablation of another one by its nature (kdcmh-labels) stands beside that one.
    found = {e.data for e in read_experiments(EXPERIMENTS) if e.method == method and (e.of or not e.ablation)}
    assert found - {"fashion6k-fine"} == set(DATA)


@pytest.mark.parametrize("method", METHODS)
def test_the_plan_has_every_code_length(method: str) -> None:
    for experiment in read_experiments(EXPERIMENTS):
        if experiment.method != method or experiment.ablation or experiment.data.endswith("-fine"):
            continue
        # The younger methods with labels were measured at every length on fashion6k alone.
        everywhere = experiment.data == "fashion6k" or not load_method(method).supervised
        assert sorted(experiment.plan) in ([[16, 32, 64, 128]] if everywhere else [[16, 32, 64, 128], [64]])


def test_a_file_becomes_its_jobs(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path, FILE))
    assert [job.name for job in experiment.jobs()] == [
        "planted/cca-itq/8-0",
        "planted/cca-itq/8-1",
        "planted/cca-itq/16-2",
    ]


def test_an_ablation_stands_beside_its_method(tmp_path: Path) -> None:
    ablation = 'ablation = "teacher"\nof = "kdcmh"\n'
    experiment = read_experiment(written(tmp_path, ablation + FILE))
    assert experiment.jobs()[0].name == "planted/kdcmh@teacher/8-0"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('method = "cca-itq"\n', "", "missing: method"),
        ('method = "cca-itq"', 'method = "cca-itq"\nseeds = 3', "unknown: seeds"),
        ('["PALL", "P50"]', '["PALL", "P51"]', "presets"),
        ("8 = [0, 1]", "8 = 3", "list of seeds"),
        ("8 = [0, 1]", "long = [0]", "list of seeds"),
        ("8 = [0, 1]", "8 = [true]", "list of seeds"),
        ('method = "cca-itq"', 'of = "kdcmh"\nmethod = "cca-itq"', "without an ablation"),
        ("[plan]", "[plan", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, before: str, after: str, told: str) -> None:
    path = written(tmp_path, FILE.replace(before, after))
    with pytest.raises(FileFormatError, match=told) as error:
        read_experiment(path)
    assert str(path) in str(error.value)


def test_an_unknown_method_or_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cca-itw"):
        read_experiment(written(tmp_path, FILE.replace("cca-itq", "cca-itw")))
    experiment = read_experiment(written(tmp_path, FILE + "[settings]\niteration = 3\n"))
    with pytest.raises(SettingsError, match="no setting iteration"):
        experiment.jobs()[0].method()


def test_two_files_cannot_claim_one_result(tmp_path: Path) -> None:
    written(tmp_path, FILE, "a.toml")
    written(tmp_path, FILE, "b.toml")
    with pytest.raises(FileFormatError, match="keep one"):
        read_experiments(tmp_path)


def test_settings_reach_the_method() -> None:
    assert build_method("cca-itq", {"n_bits": 8, "iterations": 3}).settings()["iterations"] == 3


def test_run_write_read(tmp_path: Path) -> None:
    ran, dataset = job(), planted_dataset()
    result = run_job(ran, dataset)
    path = ran.result_path(tmp_path)
    result.write(path)
    again = read_result(path)
    assert again == result
    assert read_results(tmp_path) == [result]
    assert path == tmp_path / "planted" / "cca-itq" / "8-0.json"
    for score in result.scores.values():
        assert score["mean"] == pytest.approx((score["I2T"] + score["T2I"]) / 2, abs=1e-6)
        assert 0 < score["mean"] <= 1
    assert result.details["cost"]["peak_memory_mib"] > 10
    assert result.details["settings"]["n_bits"] == 8
    for recall in result.details["pair_recall"].values():
        assert 0 < recall["1"] <= recall["5"] <= recall["10"] <= 1
    assert why_due(path, expected_of(ran, dataset)) == ""


def test_a_result_says_what_can_be_told_without_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = planted_dataset()
    pairs, split, method = dataset.pairs, dataset.split, job().method()
    assert method is not None
    hasher = method.fit(pairs[split.train])
    new = np.setdiff1d(split.database, split.train)
    for enough, name, rows in ((len(new) + 1, "train", split.train), (len(new), "database", new)):
        monkeypatch.setattr("crossbit.experiment.run.ENOUGH_PAIRS", enough)
        codes = hasher.encode_images(pairs.image[rows]), hasher.encode_texts(pairs.text[rows])
        expected = code_proxies(*codes, pairs[rows]).to_json()
        del expected["teacher_agreement"]
        assert run_job(job(), dataset).details["proxies"] == pytest.approx({"on": name, **expected}, abs=1e-6)


def test_prefixes_are_scored_as_hashers_of_their_own() -> None:
    pytest.importorskip("torch")
    dataset = planted_dataset()
    settings = {"epochs": 2, "hidden": 8, "prefixes": [4]}
    ran = job(method="kdcmh-labels", settings=settings)
    method = ran.method()
    assert method is not None
    hasher = method.fit(dataset.pairs[dataset.split.train])
    (scores,) = evaluate(hasher.prefix(4), dataset.pairs, dataset.split, [PROTOCOLS["PALL"]]).scores
    stored = run_job(ran, dataset).details["prefixes"]
    assert set(stored) == {"4"}
    assert stored["4"]["PALL"]["mean"] == pytest.approx(scores.mean, abs=1e-6)
    assert stored["4"]["PALL"]["protocol_id"] == scores.protocol_id


def test_references_bound_the_methods() -> None:
    dataset = planted_dataset()
    means = {
        name: run_job(job(method=name), dataset).scores["PALL"]["mean"]
        for name in ("random-ranking", "cca-itq", "unhashed-cca")
    }
    assert means["random-ranking"] < means["cca-itq"]
    assert means["random-ranking"] < means["unhashed-cca"]


def test_references_share_the_protocol_ids_of_methods() -> None:
    dataset = planted_dataset()
    scores = [run_job(job(method=name), dataset).scores for name in ("random-ranking", "cca-itq", "unhashed-cca")]
    for preset in ("PALL", "P50"):
        assert len({score[preset]["protocol_id"] for score in scores}) == 1


def test_a_result_says_why_it_no_longer_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = planted_dataset()
    path = job().result_path(tmp_path)
    assert why_due(path, expected_of(job(), dataset)) == "no result yet"
    run_job(job(), dataset).write(path)
    assert why_due(path, expected_of(job(settings={"iterations": 3}), dataset)) == "its settings changed"
    assert why_due(path, expected_of(job(protocols=("PALL",)), dataset)) == "its protocols changed"
    others = dataclasses.replace(dataset, pairs=planted_dataset(1).pairs)
    assert "changed" in why_due(path, expected_of(job(), others))
    monkeypatch.setattr(state_module, "source_digest", lambda module: "another")
    assert why_due(path, expected_of(job(), dataset)) == "the code that learns changed"
    assert why_due(path, expected_of(job(), dataset), any_source=True) == ""


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": "crossbit-result", "version": 99}', '{"format": 1}'])
def test_a_damaged_result_is_due_again(tmp_path: Path, content: str) -> None:
    path = written(tmp_path, content, "8-0.json")
    with pytest.raises(FileFormatError, match="measure again"):
        read_result(path)
    assert why_due(path, expected_of(job(), planted_dataset())) == "its result file is damaged"


def test_only_code_that_can_change_a_code_dates_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def digest_of(text: str) -> str:
        monkeypatch.setattr(state_module, "_source", lambda module: text)
        source_digest.cache_clear()
        return source_digest("crossbit.methods.planted")

    first = digest_of('"""One."""\ndef f(x: int) -> int:\n    """Two."""\n    return x + 1\n')
    assert digest_of('"""Other."""\n\n\ndef f(x: float):\n    return x + 1  # why\n') == first
    assert digest_of('"""One."""\ndef f(x: int) -> int:\n    return x + 2\n') != first
    source_digest.cache_clear()


def test_the_source_of_a_method_reaches_what_it_imports() -> None:
    assert source_digest("crossbit.methods.cca_itq") != source_digest("crossbit.methods.cca_sign")
    tree = state_module.ast.parse(state_module._source("crossbit.methods.cca_itq"))
    assert "crossbit.correlation" in state_module._imported(tree)


def test_a_result_holds_no_name_of_a_machine_or_path(tmp_path: Path) -> None:
    ran = job()
    run_job(ran, planted_dataset()).write(ran.result_path(tmp_path))
    text = json.dumps(json.loads(ran.result_path(tmp_path).read_text()))
    assert str(Path.home()) not in text
    assert str(tmp_path) not in text
    assert len(text) < 4000
