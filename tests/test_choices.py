"""KDCMH's defaults are what the rules without labels chose (benchmarks/choose_defaults.py)."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from crossbit.experiment.plan import build_method
from crossbit.methods import load_method
from crossbit.methods.kdcmh import KDCMH

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
RULES = ("choose_defaults.py", "held_out.py")
DATA = ["emoji", "fashion6k", "openclipart5k", "wiki"]
LATER = {"prefixes": [], "prefix_weight": 1.0}  # settings that came after the choice and move no code as they stand


def chosen(rule: str) -> dict[str, Any]:
    return json.loads((BENCHMARKS / "choices" / f"{rule}.json").read_text())


@pytest.mark.parametrize("rule", ["graph", "settings"])
def test_a_record_says_on_what_and_with_what_it_was_made(rule: str) -> None:
    record = chosen(rule)
    assert record["data"] == DATA
    assert {"numpy", "torch", "scipy", "commit"} <= set(record["versions"])
    assert record["machine"]["cores"] > 0
    assert set(record["base" if rule == "settings" else "settings"]) | set(LATER) == set(KDCMH().settings())


def test_the_graph_is_the_one_whose_walk_agrees_best_with_direct_similarity() -> None:
    record, method = chosen("graph"), KDCMH()
    assert record["chosen"] == f"{method.neighbours} {method.edge_power:g}"
    assert record["mean"][record["chosen"]] == max(record["mean"].values())
    for key, mean in record["mean"].items():
        assert mean == pytest.approx(fmean(record["agreement"][data][key] for data in DATA))


def test_the_defaults_are_the_settings_that_were_chosen() -> None:
    assert KDCMH().settings() == chosen("settings")["chosen"] | LATER


def test_every_step_followed_the_rule() -> None:
    """From the runs of the record: the greatest mean, unless the value at hand or a cheaper one is as good."""
    record = chosen("settings")
    current: dict[str, Any] = record["base"]
    for step in record["steps"]:
        outer, _, inner = step["setting"].partition(".")
        means = {}
        for key in step["mean"]:
            value = json.loads(key)
            tried = current | {outer: current[outer] | {inner: value} if inner else value}
            changed = {name: value for name, value in tried.items() if value != record["base"][name]}
            runs = {run["data"]: run["mean"] for run in record["runs"] if run["changed"] == changed}
            assert sorted(runs) == DATA
            means[key] = fmean(runs.values())
            assert step["mean"][key] == pytest.approx(means[key])
        good = [key for key, mean in means.items() if mean >= max(means.values()) - record["tolerance"]]
        present = json.dumps(current[outer][inner] if inner else current[outer])
        best = present if present in good else good[0]
        assert json.dumps(step["chosen"]) == best, step["setting"]
        current = current | {outer: current[outer] | {inner: json.loads(best)} if inner else json.loads(best)}
    assert current == record["chosen"]


@pytest.mark.parametrize("name", ["cmfh", "hcsr", "ukd"])
def test_a_single_setting_is_what_its_rule_chose(name: str) -> None:
    record = chosen(name)
    assert record["data"] == DATA
    means = {}
    for value in record["candidates"]:
        runs = {run["data"]: run["mean"] for run in record["runs"] if run["value"] == value}
        assert sorted(runs) == DATA
        means[json.dumps(value)] = fmean(runs.values())
    assert record["mean"] == pytest.approx(means)
    good = [key for key, mean in means.items() if mean >= max(means.values()) - record["tolerance"]]
    before = json.dumps(record["before"])
    assert json.dumps(record["chosen"]) == (before if before in good else good[0])
    default = getattr(build_method(name, {}), record["setting"], "components")  # of HCSR it is no setting
    assert default == record["chosen"]
    assert record["judged"] == ("by_training_labels" if load_method(name).supervised else "without_labels")


@pytest.mark.parametrize("name", RULES)
def test_the_rules_never_see_labels(name: str) -> None:
    tree = ast.parse((BENCHMARKS / name).read_text())
    read = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert not {"labels", "query", "database", "evaluate"} & set(read)
    assert "labelled_training_pairs(name).without_labels()" in (BENCHMARKS / "held_out.py").read_text()
    assert "without_labels" in "".join((BENCHMARKS / rule).read_text() for rule in RULES)
