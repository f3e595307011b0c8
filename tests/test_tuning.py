"""Settings looked for without labels: what is searched, what is kept, what is refused, and that no label gets there."""

from __future__ import annotations

import ast
import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from crossbit.errors import DataError, FileFormatError, MissingExtraError, SettingsError
from crossbit.evaluation import code_proxies
from crossbit.experiment import read_experiment
from crossbit.experiment.plan import build_method
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.method import Method, Paper
from crossbit.methods import METHODS, load_method
from crossbit.methods.cca_itq import CCAITQ
from crossbit.methods.cca_sign import CCASign
from crossbit.methods.cvh import CVH
from crossbit.methods.random_projection import RandomProjection
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, Step
from crossbit.testing import planted_pairs
from crossbit.tuning import Choice, Range, Study, experiment_text, read_study, spaces_of, tune, tuned
from crossbit.tuning.draws import RANDOM_FIRST, next_values
from crossbit.tuning.search import parted
from crossbit.tuning.spaces import DECLARED, check_spaces, with_values

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "crossbit"
PAIRS = planted_pairs(seed=2, n=200).train
SPACES = {"ridge": Range(0.01, 1.0, log=True), "power": Range(0.0, 8.0)}
METHOD = CCAITQ(n_bits=16, iterations=3)
UNSUPERVISED = sorted(name for name in METHODS if not load_method(name).supervised)


def without_seconds(study: Study) -> list[dict[str, Any]]:
    return [{**trial.to_json(), "seconds": 0} for trial in study.trials]


def test_the_best_is_the_greatest_figure_of_the_held_out_pairs() -> None:
    study = tune(METHOD, PAIRS, spaces=SPACES, trials=4, seed=3)
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3, 4]
    judged = [trial.judged("together") for trial in study.trials]
    assert study.best.judged("together") == max(value for value in judged if value is not None)
    parts = parted(PAIRS.without_labels(), 0.2, None, 3)
    for trial in study.trials:
        hasher = with_values(METHOD, trial.values).fit(parts.kept)
        codes = hasher.encode_images(parts.held_out.image), hasher.encode_texts(parts.held_out.text)
        assert trial.proxies == code_proxies(*codes, parts.held_out)
    assert tuned(METHOD, study) == with_values(METHOD, study.best.values)


@dataclass(frozen=True, kw_only=True)
class Noisy(Method):
    """CCA whose image function is drowned in noise."""

    name: ClassVar[str] = "noisy"
    paper: ClassVar[Paper] = Paper("A", "T", "V", 2000)
    noise: float = 100.0

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        hasher = CCASign(n_bits=self.n_bits).fit(pairs)
        (layer,) = hasher.image.layers
        drowned = layer.weight + self.noise * np.random.default_rng(0).normal(size=layer.weight.shape)
        return Hasher(HashFunction((Layer(drowned, layer.bias),)), hasher.text)


def test_a_search_finds_what_is_there_to_find() -> None:
    study = tune(Noisy(n_bits=16), PAIRS, spaces={"noise": Range(0.001, 100.0, log=True)}, trials=12)
    first, best = study.trials[0].judged("together"), study.best.judged("together")
    assert first is not None
    assert best is not None
    assert best > first + 0.2
    assert study.best.values["noise"] < 5  # type: ignore[operator]  # a range has numbers


class Guarded(PairedFeatures):
    """Pairs whose labels cannot be looked at."""

    def __getattribute__(self, name: str) -> Any:
        if name == "labels":
            raise AssertionError("the labels were looked at")
        return super().__getattribute__(name)

    def __post_init__(self) -> None:
        pass


def test_labels_cannot_reach_it() -> None:
    labels = PAIRS.labels
    assert labels is not None
    plain = tune(METHOD, PAIRS.without_labels(), spaces=SPACES, trials=3)
    for other in (labels, labels[np.random.default_rng(0).permutation(len(labels))], ~labels):
        labelled = dataclasses.replace(PAIRS, labels=other)
        assert without_seconds(tune(METHOD, labelled, spaces=SPACES, trials=3)) == without_seconds(plain)
    guarded = Guarded(PAIRS.image, PAIRS.text, labels)
    with pytest.raises(AssertionError, match="looked at"):
        _ = guarded.labels
    assert without_seconds(tune(METHOD, guarded, spaces=SPACES, trials=3)) == without_seconds(plain)


def test_nothing_in_it_reads_labels_or_scores() -> None:
    """No attribute or argument called labels, no data set, and of the evaluation the proxies alone."""
    for path in sorted((PACKAGE / "tuning").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                assert node.attr != "labels", path
            if isinstance(node, ast.keyword | ast.arg):
                assert node.arg != "labels", path
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith(("crossbit.datasets", "crossbit.experiment")), path
                if node.module.startswith("crossbit.evaluation"):
                    assert {alias.name for alias in node.names} <= {"PROXIES", "CodeProxies", "code_proxies"}, path
    source = (PACKAGE / "evaluation" / "proxies.py").read_text(encoding="utf-8")
    assert not any(isinstance(node, ast.Attribute) and node.attr == "labels" for node in ast.walk(ast.parse(source)))


def test_a_search_stopped_half_way_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        if step.done == 6:
            raise KeyboardInterrupt

    n, path = RANDOM_FIRST + 2, tmp_path / "deep" / "study.json"  # the last draws learn from those before
    whole = tune(METHOD, PAIRS, spaces=SPACES, trials=n)
    with pytest.raises(KeyboardInterrupt):
        tune(METHOD, PAIRS, spaces=SPACES, trials=n, study=path, progress=stop)
    assert len(read_study(path).trials) == 6
    assert without_seconds(tune(METHOD, PAIRS, spaces=SPACES, trials=n, study=path)) == without_seconds(whole)
    assert read_study(path).to_json() == tune(METHOD, PAIRS, spaces=SPACES, trials=n, study=path).to_json()


def test_a_study_of_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    tune(METHOD, PAIRS, spaces=SPACES, trials=1, study=path)
    kept = path.read_bytes()
    for other in ({"proxy": "pair_rank"}, {"seed": 1}, {"spaces": {"power": Range(0.0, 4.0)}}, {"held_out": 0.3}):
        with pytest.raises(SettingsError, match="is a study with another"):
            tune(METHOD, PAIRS, **{"spaces": SPACES, "trials": 1, "study": path, **other})
    with pytest.raises(SettingsError, match="another pairs"):
        tune(METHOD, PAIRS[np.arange(120)], spaces=SPACES, trials=1, study=path)
    assert path.read_bytes() == kept


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": "crossbit-study", "version": 2}', b"\xff"])
def test_a_damaged_study_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="not a whole study"):
        tune(METHOD, PAIRS, spaces=SPACES, trials=1, study=path)
    assert path.read_bytes() == content


def test_a_fit_that_fails_is_noted_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = CCAITQ.fit

    def sometimes(self: CCAITQ, *given: Any, **more: Any) -> Any:
        if self.power > 4:
            raise DataError("Real outputs hold NaN.")
        return fit(self, *given, **more)

    monkeypatch.setattr(CCAITQ, "fit", sometimes)
    study = tune(METHOD, PAIRS, spaces=SPACES, trials=6)
    failed = [trial for trial in study.trials if trial.problem]
    assert failed
    assert all(trial.values["power"] > 4 and trial.proxies is None for trial in failed)  # type: ignore[operator]
    assert study.best.problem == ""
    alone = tune(dataclasses.replace(METHOD, power=8.0), PAIRS, spaces={"power": Range(5.0, 8.0)}, trials=1)
    with pytest.raises(DataError, match=r"No fit of the study came to its end.*hold NaN"):
        _ = alone.best


def test_no_fit_begins_after_the_timeout(tmp_path: Path) -> None:
    study = tune(METHOD, PAIRS, spaces=SPACES, trials=50, timeout=1e-9, study=tmp_path / "study.json")
    assert len(study.trials) == 0
    with pytest.raises(DataError, match="nothing to choose from"):
        _ = study.best


def test_the_parts_share_no_pair_and_no_content() -> None:
    rows = np.r_[np.arange(80), np.arange(20)]  # 20 pairs stand there twice
    pairs = PAIRS.without_labels()[rows]
    parts = parted(pairs, 0.5, None, 0)
    kept = {row.tobytes() for row in parts.kept.image}
    assert not any(row.tobytes() in kept for row in parts.held_out.image)
    assert len(parts.kept) == 50
    assert len(parted(pairs, 0.5, 60, 0).kept) == 30


def test_what_cannot_be_tuned_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"scm learns with labels.*without labels"):
        tune(load_method("scm")(), PAIRS)
    with pytest.raises(SettingsError, match="dcmh learns with labels"):
        tune(build_method("kdcmh", {"teacher": {"method": "dcmh"}}), PAIRS)
    with pytest.raises(SettingsError, match="random-projection has no setting to look for"):
        tune(RandomProjection(), PAIRS)
    with pytest.raises(SettingsError, match=r"no figure 'map'.*pair_rank.*together"):
        tune(METHOD, PAIRS, proxy="map")
    with pytest.raises(SettingsError, match="trials must be 1 or more; got 0"):
        tune(METHOD, PAIRS, trials=0)
    with pytest.raises(SettingsError, match=r"share above 0 and at most \.5; got 0\.7"):
        tune(METHOD, PAIRS, held_out=0.7)
    with pytest.raises(DataError, match="Of 30 pairs 6 would be held out, and 20"):
        tune(METHOD, PAIRS, at_most=30)
    with pytest.raises(SettingsError, match="cca-itq has no setting sharpness"):
        tune(METHOD, PAIRS, spaces={"sharpness": Range(0.0, 1.0)})
    with pytest.raises(SettingsError, match="seed is no setting to look for"):
        tune(METHOD, PAIRS, spaces={"seed": Range(0, 9, whole=True)})
    with pytest.raises(SettingsError, match="no method 'ridge' in its settings"):
        tune(METHOD, PAIRS, spaces={"ridge.epochs": Range(1, 9, whole=True)})
    with pytest.raises(SettingsError, match="power must be from 0 to 100"):
        tune(METHOD, PAIRS, spaces={"power": Range(-1.0, 8.0)})


def test_without_optuna_the_extra_is_named_before_any_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr(CCAITQ, "fit", lambda *given, **more: pytest.fail("a fit was begun"))
    with pytest.raises(MissingExtraError, match=r"crossbit\[tune\]"):
        tune(METHOD, PAIRS, spaces=SPACES)


@pytest.mark.parametrize("name", UNSUPERVISED)
def test_every_method_has_spaces_that_can_be_set(name: str) -> None:
    method: Method = load_method(name)()
    spaces = spaces_of(method)
    if name == "random-projection":
        assert not spaces
        return
    check_spaces(method, spaces)
    for key, space in spaces.items():
        assert getattr(method, key) in space, f"{key}: the value as it stands is not among those tried"


def test_declared_spaces_are_of_methods_there_are() -> None:
    assert set(DECLARED) <= set(UNSUPERVISED)


def test_draws_stay_in_their_spaces_and_come_again() -> None:
    spaces = {
        "a": Range(0.001, 1.0, log=True),
        "b": Range(1, 9, whole=True),
        "c": Choice(("x", True, None, 2)),
        "d": Range(0.0, 1 / 3),
    }
    judged: list[tuple[dict[str, Any], float | None]] = []
    for turn in range(RANDOM_FIRST + 4):
        drawn = next_values(spaces, judged, 7)
        assert drawn == next_values(spaces, judged, 7)
        assert all(drawn[name] in spaces[name] for name in spaces)
        assert type(drawn["b"]) is int
        assert float(f"{drawn['a']:.4g}") == drawn["a"]
        judged.append((dict(drawn), None if turn % 5 == 4 else float(turn)))
    assert next_values(spaces, judged, 7) != next_values(spaces, judged, 8)
    assert next_values(spaces, [({"other": 1}, 1.0), *judged], 7).keys() == spaces.keys()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Range(2.0, 1.0), "up to a greater one"),
        (lambda: Range(0.0, float("inf")), "up to a greater one"),
        (lambda: Range(0.0, 1.0, log=True), "starts above 0"),
        (lambda: Range(0.5, 2.0, whole=True), "whole ends"),
        (lambda: Choice((1,)), "two or more"),
        (lambda: Choice((1, 1)), "two or more different"),
    ],
)
def test_a_space_that_cannot_be_is_refused(make: Any, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        make()


def test_the_experiment_file_gives_the_method_back(tmp_path: Path) -> None:
    cvh = CVH(n_bits=32, seed=4, ridge=2e-5, centre=False)
    deep = build_method("kdcmh", {"n_bits": 16, "walk": 0.95, "teacher": {"method": "jdsh", "epochs": 15, "mu": 1.1}})
    for method in (cvh, deep, CVH()):
        path = tmp_path / "best.toml"
        path.write_text(experiment_text(method, "emoji", note='by "together"'), encoding="utf-8")
        experiment = read_experiment(path)
        (job,) = experiment.jobs()
        assert job.method() == method
        assert (experiment.row, experiment.note) == (f"{method.name}@tuned", 'by "together"')

    class Bare(CVH):
        name = "bare"

        def settings(self) -> dict[str, Any]:
            return {**super().settings(), "ridge": None}

    with pytest.raises(SettingsError, match=r"settings\.ridge is none, which an experiment file cannot say"):
        experiment_text(Bare(ridge=2e-5), "emoji")
