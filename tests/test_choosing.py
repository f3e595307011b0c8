"""The study of what goes with mAP: its arithmetic, that its rule was followed, and that tuning uses what it chose."""

from __future__ import annotations

import importlib.util
import itertools
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from crossbit.evaluation import PROXIES, CodeProxies
from crossbit.tuning import PROXY

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SPEC = importlib.util.spec_from_file_location("proxy_study", BENCHMARKS / "proxy_study.py")
assert SPEC is not None
assert SPEC.loader is not None
proxy_study = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(proxy_study)

ELIGIBLE = [name for name in PROXIES if name != "teacher_agreement"]


def record() -> dict[str, Any]:
    return json.loads((BENCHMARKS / "proxies.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def figures(place: float) -> dict[str, Any]:
    """Figures of which the agreement rises with `place`, the pair rank falls, and all others stand still."""
    return CodeProxies(100, 0.5 - place / 4, 0.5 - place / 4, 0.9, 0.1, 0.8, 1.0, place, place, 0.3, 0.2).to_json()


def fit(kind: str, row: str, number: int, place: float, score: float) -> dict[str, Any]:
    about = {"kind": kind, "data": "wiki", "row": row, "n_bits": 64, "number": number, "changed": {}}
    return about | {"held_out": figures(place), "PALL": {"I2T": score - 0.1, "T2I": score + 0.1}}


def test_correlations_are_those_of_each_cell() -> None:
    places = [0.1, 0.9, 0.3, 0.7, 0.5]
    scores = [0.2, 0.3, 0.25, 0.4, 0.35]
    fits = [fit("settings", "cmfh", number, *both) for number, both in enumerate(zip(places, scores, strict=True))]
    stored = {("wiki", "cmfh", 64): 0.5}
    (cell,) = proxy_study.cells_of(fits, stored)
    assert (cell["kind"], cell["what"], cell["n"]) == ("settings", "cmfh", 5)
    assert cell["scores"] == pytest.approx(scores)
    found = proxy_study.correlations(cell["columns"]["held_out"], cell["scores"])
    expected = spearmanr(places, scores).statistic
    assert found["agreement"]["rho"] == found["pair_rank"]["rho"] == pytest.approx(expected, abs=1e-4)
    agreeing = [(a - b) * (c - d) > 0 for (a, c), (b, d) in itertools.combinations(zip(places, scores, strict=True), 2)]
    assert found["agreement"]["tau"] == pytest.approx(2 * fmean(agreeing) - 1, abs=1e-4)
    assert found["unique"] == {"rho": 0.0, "tau": 0.0}  # it never varies
    gains = proxy_study.picked([cell])
    assert gains["agreement"]["gain"] == pytest.approx(0.1)  # the second, above the first
    assert gains["best"]["gain"] == pytest.approx(0.2)


def test_methods_are_compared_by_their_stored_scores_and_a_sweeps_first_counts() -> None:
    rows = [f"m{number}" for number in range(8)]
    fits = [fit("methods", row, 0, number / 10, 0.9) for number, row in enumerate(rows[:7])]
    fits.append(fit("settings", rows[7], 0, 0.8, 0.9))
    (cell,) = proxy_study.cells_of(fits, {("wiki", row, 64): number / 20 for number, row in enumerate(rows)})
    assert (cell["kind"], cell["n"]) == ("methods", 8)
    assert proxy_study.correlations(cell["columns"]["held_out"], cell["scores"])["agreement"]["rho"] == 1


def test_the_interval_holds_the_mean_and_narrows_with_more_fits() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for n in (8, 80):
        values = rng.normal(size=n)
        cell = (values, values + rng.normal(size=n))
        low, high = proxy_study.interval([cell, cell])
        assert low < spearmanr(*cell).statistic < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_the_rule_takes_the_greatest_with_settings_and_methods_part_equals() -> None:
    def told(settings: dict[str, float], methods: dict[str, float]) -> dict[str, Any]:
        return {
            kind: {"proxies": {name: {"rho": given.get(name, 0.0)} for name in PROXIES}}
            for kind, given in (("settings", settings), ("methods", methods))
        }

    assert proxy_study.chosen(told({"unique": 0.5, "agreement": 0.47}, {"agreement": 0.9})) == "unique"
    assert proxy_study.chosen(told({"unique": 0.5, "agreement": 0.49}, {"agreement": 0.9})) == "agreement"
    assert proxy_study.chosen(told({"teacher_agreement": 0.9, "pair_rank": 0.5}, {})) == "pair_rank"


def test_the_stored_study_is_what_its_fits_give() -> None:
    stored = record()
    told = stored["study"]["summary"]
    fits = {(one["data"], one["row"], one["n_bits"], one["number"]): one for one in stored["fits"]}
    for cell in (one for one in stored["study"]["cells"] if one["kind"] == "settings"):
        own = [one for key, one in fits.items() if key[:3] == (cell["data"], cell["what"], 64)]
        own = [one for one in own if one["kind"] == "settings"]
        assert len(own) == cell["n"] >= 5
        scores = [one["PALL"]["I2T"] + one["PALL"]["T2I"] for one in own]
        for name in ELIGIBLE:
            values = [CodeProxies(**one["held_out"]).judged()[name] for one in own]
            expected = spearmanr(values, scores).statistic if len(set(values)) > 1 else 0.0
            assert cell["correlations"][name]["rho"] == pytest.approx(expected, abs=1e-3)
    for kind, whole in told.items():
        cells = [one for one in stored["study"]["cells"] if one["kind"] == kind]
        assert (whole["cells"], whole["fits"]) == (len(cells), sum(one["n"] for one in cells))
        for name, figure in whole["proxies"].items():
            assert figure["rho"] == pytest.approx(fmean(one["correlations"][name]["rho"] for one in cells), abs=1e-3)
            assert figure["interval"][0] <= figure["rho"] + 0.15
            assert figure["interval"][1] >= figure["rho"] - 0.15
    assert {"numpy", "torch", "scipy", "commit"} <= set(stored["versions"])


def test_tuning_uses_what_the_rule_chose() -> None:
    stored = record()
    assert stored["study"]["chosen"] == proxy_study.chosen(stored["study"]["summary"]) == PROXY
    assert "The rule for the proxy that `crossbit tune` uses" in stored["protocol"]
