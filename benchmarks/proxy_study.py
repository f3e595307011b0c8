"""From the fits of proxies.json to what is said of them: rank correlations of proxies with mAP, cell by cell.

    python benchmarks/proxy_study.py

writes the part `study` of benchmarks/proxies.json; nothing is fitted. The rule is in benchmarks/proxies.py.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau, spearmanr

from crossbit.evaluation import PROXIES, CodeProxies
from crossbit.experiment import read_experiments, read_results
from crossbit.files import write_whole
from crossbit.methods import load_method

HERE = Path(__file__).resolve().parent
STORED = HERE / "proxies.json"
FEWEST = {"settings": 5, "methods": 8, "ablations": 5}  # fits of a cell that is counted
WITHIN = 0.02
RESAMPLED = 2000
MONITORS = {"balanced_bits": 1, "unique_image": 1, "unique_text": 1, "paired_distance": -1, "pair_rank": -1}
Columns = Mapping[str, Sequence[float]]


def correlations(columns: Columns, scores: Sequence[float]) -> dict[str, dict[str, float]]:
    """Spearman's and Kendall's correlation of every column with the scores; 0 for a column that never varies."""
    found = {}
    for name, values in columns.items():
        varies = len(set(values)) > 1
        found[name] = {
            "rho": _or_zero(spearmanr(values, scores).statistic) if varies else 0.0,
            "tau": _or_zero(kendalltau(values, scores).statistic) if varies else 0.0,
        }
    return found


def _or_zero(value: float) -> float:
    return 0.0 if np.isnan(value) else round(float(value), 4)


def interval(cells: Sequence[tuple[Sequence[float], Sequence[float]]], seed: int = 0) -> list[float]:
    """The 95 % bootstrap interval of the mean Spearman correlation over the cells, their fits drawn anew in each."""
    generator, means = np.random.default_rng(seed), np.zeros(RESAMPLED)
    for values, scores in cells:
        drawn = generator.integers(len(scores), size=(RESAMPLED, len(scores)))
        means += _row_correlations(np.asarray(values)[drawn], np.asarray(scores)[drawn]) / len(cells)
    return [round(float(end), 4) for end in np.percentile(means, (2.5, 97.5))]


def _row_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row; 0 where a row never varies."""
    from scipy.stats import rankdata

    ranks = [rankdata(rows, axis=1) for rows in (first, second)]
    ranks = [rows - rows.mean(axis=1, keepdims=True) for rows in ranks]
    lengths = np.prod([np.linalg.norm(rows, axis=1) for rows in ranks], axis=0)
    return (ranks[0] * ranks[1]).sum(axis=1) / np.where(lengths > 0, lengths, 1)


def judged(figures: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a fit, each turned so that more is better."""
    return CodeProxies(**figures).judged()


def columns_of(fits: Sequence[Mapping[str, Any]], side: str) -> dict[str, list[float]]:
    """The figures of held-out or seen pairs, one column a figure."""
    rows = [judged(fit[side]) for fit in fits]
    return {name: [row[name] for row in rows] for name in PROXIES}


def cells_of(fits: Sequence[Mapping[str, Any]], stored: Mapping[tuple[str, str, int], float]) -> list[dict[str, Any]]:
    """The cells with enough fits, each with its columns of figures and its scores."""
    groups: dict[tuple[str, str, str], list[tuple[Mapping[str, Any], float]]] = {}
    for fit in fits:
        own = (fit["PALL"]["I2T"] + fit["PALL"]["T2I"]) / 2
        if fit["kind"] == "settings":
            groups.setdefault(("settings", fit["data"], fit["row"]), []).append((fit, own))
        if not fit["number"] and fit["n_bits"] == 64 and fit["row"].partition("@")[0] == "kdcmh":
            groups.setdefault(("ablations", fit["data"], "kdcmh and its ablations"), []).append((fit, own))
        if not fit["number"]:
            score = stored[fit["data"], fit["row"], fit["n_bits"]]
            groups.setdefault(("methods", fit["data"], f"{fit['n_bits']} bits"), []).append((fit, score))
    cells = []
    for (kind, data, what), members in sorted(groups.items()):
        unique: dict[tuple[str, int], tuple[Mapping[str, Any], float]] = {}
        for fit, score in members:  # a method that was also the first of a sweep counts once
            unique.setdefault((fit["row"], fit["number"]), (fit, score))
        if len(unique) < FEWEST[kind]:
            continue
        found, scores = [fit for fit, _ in unique.values()], [score for _, score in unique.values()]
        both = [(fit, score) for fit, score in unique.values() if "seen" in fit]
        columns = {"held_out": columns_of(found, "held_out")}
        if len(both) >= FEWEST[kind]:
            columns["seen"] = columns_of([fit for fit, _ in both], "seen")
            columns["beside"] = columns_of([fit for fit, _ in both], "held_out")
        cell = {"kind": kind, "data": data, "what": what, "n": len(found), "columns": columns, "scores": scores}
        cells.append(
            cell | {"numbers": [fit["number"] for fit in found], "scores_of_both": [score for _, score in both]}
        )
    return cells


def summary(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """For each kind of cell and each proxy: mean correlations over the cells, the interval, and the cells' own."""
    told: dict[str, Any] = {}
    for kind in FEWEST:
        own = [cell for cell in cells if cell["kind"] == kind]
        if not own:
            continue
        found = [correlations(cell["columns"]["held_out"], cell["scores"]) for cell in own]
        told[kind] = {"cells": len(own), "fits": sum(cell["n"] for cell in own), "proxies": {}}
        for name in PROXIES:
            pairs = [(cell["columns"]["held_out"][name], cell["scores"]) for cell in own]
            told[kind]["proxies"][name] = {
                "rho": round(statistics.fmean(one[name]["rho"] for one in found), 4),
                "interval": interval(pairs),
                "tau": round(statistics.fmean(one[name]["tau"] for one in found), 4),
            }
        for name, value in _seen(own).items():
            told[kind]["proxies"][name] |= value
    return told


def _seen(cells: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean correlations of the figures of seen pairs, beside those of held-out pairs in the same cells."""
    both = [cell for cell in cells if "seen" in cell["columns"]]
    found = {
        side: [correlations(cell["columns"][side], cell["scores_of_both"]) for cell in both]
        for side in ("seen", "beside")
    }
    if not both:
        return {}
    return {
        name: {
            "rho_seen": round(statistics.fmean(one[name]["rho"] for one in found["seen"]), 4),
            "rho_beside_seen": round(statistics.fmean(one[name]["rho"] for one in found["beside"]), 4),
        }
        for name in PROXIES
    }


def picked(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """In cells of settings: what the pick of each proxy scores above the settings as they are; and the best one."""
    own = [cell for cell in cells if cell["kind"] == "settings"]
    gains: dict[str, list[float]] = {name: [] for name in (*PROXIES, "best", "mean")}
    for cell in own:
        scores = cell["scores"]
        start = scores[cell["numbers"].index(0)]
        gains["best"].append(max(scores) - start)
        gains["mean"].append(statistics.fmean(scores) - start)
        for name in PROXIES:
            column = cell["columns"]["held_out"][name]
            gains[name].append(scores[max(range(len(column)), key=column.__getitem__)] - start)
    return {
        name: {
            "gain": round(statistics.fmean(values), 4),
            "worst": round(min(values), 4),
            "above": sum(v > 0 for v in values),
        }
        for name, values in gains.items()
        if values
    }


def chosen(told: Mapping[str, Any]) -> str:
    """The proxy that the rule takes."""
    eligible = [name for name in PROXIES if name != "teacher_agreement"]
    settings, methods = (told[kind]["proxies"] for kind in ("settings", "methods"))
    greatest = max(settings[name]["rho"] for name in eligible)
    good = [name for name in eligible if settings[name]["rho"] >= greatest - WITHIN]
    return max(good, key=lambda name: methods[name]["rho"])


def monitors(results: Sequence[Any], unsupervised: set[str]) -> dict[str, Any]:
    """The monitors of stored results, of database pairs (with those of training among them), seed 0, as above."""
    groups: dict[tuple[str, int], list[Any]] = {}
    for result in results:
        if result.row in unsupervised and result.seed == 0 and result.details.get("monitors"):
            groups.setdefault((result.data, result.n_bits), []).append(result)
    cells = []
    for group in groups.values():
        if len(group) >= FEWEST["methods"]:
            columns = {name: [sign * one.details["monitors"][name] for one in group] for name, sign in MONITORS.items()}
            cells.append((columns, [one.scores["PALL"]["mean"] for one in group]))
    found = [correlations(columns, scores) for columns, scores in cells]
    told = {
        name: {
            "rho": round(statistics.fmean(one[name]["rho"] for one in found), 4),
            "interval": interval([(columns[name], scores) for columns, scores in cells]),
            "tau": round(statistics.fmean(one[name]["tau"] for one in found), 4),
        }
        for name in MONITORS
    }
    return {"cells": len(cells), "results": sum(len(scores) for _, scores in cells), "monitors": told}


def study(record: Mapping[str, Any]) -> dict[str, Any]:
    """All that is said of the fits."""
    data_sets = {fit["data"] for fit in record["fits"]}
    results = [one for one in read_results(HERE / "results") if one.data in data_sets and "PALL" in one.scores]
    stored = {(r.data, r.row, r.n_bits): r.scores["PALL"]["mean"] for r in results if r.seed == 0}
    experiments = [one for one in read_experiments(HERE / "experiments") if not one.is_reference]
    unsupervised = {one.row for one in experiments if not load_method(one.method).supervised}
    cells = cells_of(record["fits"], stored)
    told = summary(cells)
    shown = [
        {key: cell[key] for key in ("kind", "data", "what", "n")}
        | {"correlations": correlations(cell["columns"]["held_out"], cell["scores"])}
        for cell in cells
    ]
    whole = {"summary": told, "chosen": chosen(told), "picked": picked(cells), "cells": shown}
    return whole | {"stored_monitors": monitors(results, unsupervised)}


def main() -> None:
    record = json.loads(STORED.read_text(encoding="utf-8"))
    record["study"] = study(record)
    write_whole(STORED, (json.dumps(record, indent=1) + "\n").encode())
    print(
        json.dumps({key: record["study"][key] for key in ("summary", "chosen", "picked", "stored_monitors")}, indent=1)
    )


if __name__ == "__main__":
    main()
