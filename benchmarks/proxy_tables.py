"""The tables and the plot of docs/choosing.md, made from proxies.json (see proxies.py and proxy_study.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from crossbit import tables
from crossbit.evaluation import PROXIES
from crossbit.experiment.state import digest

STORED = Path(__file__).resolve().parent / "proxies.json"
PLOT = "proxies.svg"
STYLE = {"svg.hashsalt": "crossbit", "svg.fonttype": "none", "font.size": 8, "axes.grid": True, "grid.alpha": 0.3}
KINDS = {"settings": "settings of one method", "methods": "methods"}


def blocks() -> dict[str, Callable[[], str]]:
    """Every block by its name."""
    return {
        "table proxies": proxy_table,
        "table picked": picked_table,
        "table proxy cells": cell_table,
        "table monitors": monitor_table,
    }


def stored() -> dict[str, Any] | None:
    """The file with its study, or None where there is none."""
    record = json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {}
    return record if "study" in record else None


def _ordered(study: dict[str, Any]) -> list[str]:
    """The proxies, the best with settings first."""
    return sorted(PROXIES, key=lambda name: -study["summary"]["settings"]["proxies"][name]["rho"])


def _with_interval(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['rho']:.2f} ({low:.2f} to {high:.2f})"


def proxy_table() -> str:
    """Mean rank correlations of each proxy with mAP@all."""
    record = stored()
    if record is None:
        return tables.NOTHING
    told, study = record["study"]["summary"], record["study"]
    header = [
        "figure",
        "settings, Spearman",
        "Kendall",
        "methods, Spearman",
        "Kendall",
        "the same cells, held out / seen",
    ]
    rows = []
    for name in _ordered(study):
        settings, methods = (told[kind]["proxies"][name] for kind in KINDS)
        seen = f"{methods['rho_beside_seen']:.2f} / {methods['rho_seen']:.2f}" if "rho_seen" in methods else "-"
        taken = " **(chosen)**" if name == study["chosen"] else ""
        figures = [_with_interval(settings), f"{settings['tau']:.2f}", _with_interval(methods), f"{methods['tau']:.2f}"]
        rows.append([f"`{name}`{taken}", *figures, seen])
    counted = "; ".join(
        f"{what}: {told[kind]['cells']} cells, {told[kind]['fits']} fits" for kind, what in KINDS.items()
    )
    origin = (
        f"{counted}. In brackets 95 % bootstrap intervals, the fits of each cell drawn anew. "
        f"{record['machine']['processor']}, commit {record['versions']['commit']}; made by `python "
        "benchmarks/proxies.py` and `python benchmarks/proxy_study.py`."
    )
    return f"{tables.markdown(header, rows)}\n\n{origin}"


def picked_table() -> str:
    """What one gets by picking with each proxy."""
    record = stored()
    if record is None:
        return tables.NOTHING
    found, n = record["study"]["picked"], record["study"]["summary"]["settings"]["cells"]
    names = {"best": "the greatest mAP, which needs labels", "mean": "a draw at random"}
    rows = [
        [
            names.get(name, f"`{name}`"),
            f"{found[name]['gain']:+.3f}",
            f"{found[name]['worst']:+.3f}",
            f"{found[name]['above']} of {n}",
        ]
        for name in (*_ordered(record["study"]), "mean", "best")
    ]
    header = ["picked by", "mAP@all above the settings as they are", "in the worst cell", "cells in which it is above"]
    return tables.markdown(header, rows)


def cell_table() -> str:
    """Every cell: its fits, and the correlation of each proxy."""
    record = stored()
    if record is None:
        return tables.NOTHING
    names = _ordered(record["study"])
    rows = [
        [cell["data"], cell["what"], str(cell["n"]), *(f"{cell['correlations'][name]['rho']:.2f}" for name in names)]
        for kind in (*KINDS, "ablations")
        for cell in record["study"]["cells"]
        if cell["kind"] == kind
    ]
    return tables.markdown(["data", "cell", "fits", *(f"`{name}`" for name in names)], rows)


def monitor_table() -> str:
    """The monitors that every stored result has."""
    record = stored()
    if record is None:
        return tables.NOTHING
    found = record["study"]["stored_monitors"]
    rows = [
        [f"`{name}`", _with_interval(one), f"{one['tau']:.2f}"]
        for name, one in sorted(found["monitors"].items(), key=lambda item: -item[1]["rho"])
    ]
    told = (
        f"{found['cells']} cells (data set and code length) of unsupervised methods and ablations, {found['results']} "
        "results, seed 0."
    )
    return f"{tables.markdown(['monitor', 'Spearman', 'Kendall'], rows)}\n\n{told}"


def plot() -> dict[str, bytes]:
    """File name -> SVG: each proxy's correlation in every cell, and the mean with its interval."""
    record = stored()
    if record is None:
        return {}
    study = record["study"]
    names = _ordered(study)[::-1]
    with mpl.rc_context():
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for panel, (kind, what) in zip(panels, KINDS.items(), strict=True):
            cells = [cell for cell in study["cells"] if cell["kind"] == kind]
            for place, name in enumerate(names):
                own = [cell["correlations"][name]["rho"] for cell in cells]
                panel.plot(own, [place] * len(own), "o", markersize=3, color="grey", alpha=0.5, markeredgewidth=0)
                found = study["summary"][kind]["proxies"][name]
                low, high = found["interval"]
                panel.plot([low, high], [place, place], color="C0", linewidth=1.5)
                panel.plot(found["rho"], place, "D", markersize=5, color="C1" if name == study["chosen"] else "C0")
            panel.axvline(0, color="black", linewidth=0.8)
            panel.set_xlim(-1.05, 1.05)
            panel.set_title(f"{what}, {len(cells)} cells")
            panel.set_xlabel("Spearman's correlation with mAP@all")
        panels[0].set_yticks(range(len(names)), names)
        stream = BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Description": f"figures {digest(repr(study))}"})
    return {PLOT: stream.getvalue()}
