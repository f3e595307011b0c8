"""KDCMH's defaults are what the rules without labels chose (benchmarks/choose_defaults.py)."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from crossbit.methods.kdcmh import KDCMH

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def chosen(rule: str) -> dict[str, Any]:
    return json.loads((BENCHMARKS / "choices" / f"{rule}.json").read_text())


def test_the_walk_is_the_one_that_agrees_best_with_direct_similarity() -> None:
    record, method = chosen("walk"), KDCMH()
    assert record["chosen"] == f"{method.neighbours} {method.edge_power:g} {method.walk}"
    assert record["mean"][record["chosen"]] == max(record["mean"].values())


def test_the_student_is_as_chosen() -> None:
    record, method = chosen("student"), KDCMH()
    wanted = {**record["base"], **json.loads(record["chosen"])}
    assert {name: getattr(method, name) for name in wanted} == wanted
    assert record["mean"][record["chosen"]] >= max(record["mean"].values()) - 0.002


def test_the_rules_never_see_labels() -> None:
    tree = ast.parse((BENCHMARKS / "choose_defaults.py").read_text())
    read = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    assert "labels" not in read
    assert "query" not in read
    assert "without_labels" in read
