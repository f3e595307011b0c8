"""The table and the plot of calibrated confidences, made from calibration.json (see calibration.py)."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from crossbit import tables
from crossbit.experiment.state import digest

STORED = Path(__file__).resolve().parent / "calibration.json"
PLOT = "reliability.svg"
PLOTTED = ("1", "9")  # random items beside each true match
STYLE = {"svg.hashsalt": "crossbit", "svg.fonttype": "none", "font.size": 8, "axes.grid": True, "grid.alpha": 0.3}


def table() -> str:
    """Expected calibration errors, one row a data set, method and direction; and what was claimed of ten hits."""
    if not STORED.is_file():
        return tables.NOTHING
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    beside = list(stored["rows"][0]["beside"])
    header = ["data", "method", "direction", "held-out pairs", *(f"r = {r}" for r in beside), "equal bits, r = 1"]
    rows = [
        [
            row["data"],
            f"`{row['method']}`",
            row["direction"],
            str(row["held_out_pairs"]),
            *(f"{row['beside'][r]['error']:.3f}" for r in beside),
            f"{row['beside']['1']['error_of_equal_bits']:.3f}",
        ]
        for row in stored["rows"]
    ]
    told = (
        f"{stored['n_bits']} bits, seed {stored['seed']}, {stored['machine']['processor']}, {stored['date']}, commit "
        f"{stored['versions']['commit']}; made by `python benchmarks/calibration.py`."
    )
    return f"{tables.markdown(header, rows)}\n\n{told}"


def hits_table() -> str:
    """Of the ten nearest hits: the matches that the confidences add up to, and those that were there."""
    if not STORED.is_file():
        return tables.NOTHING
    rows = [
        [
            row["data"],
            f"`{row['method']}`",
            row["direction"],
            str(row["search"]["items"]),
            f"{row['search']['matches_claimed_per_query']:.3f}",
            f"{row['search']['matches_found_per_query']:.3f}",
        ]
        for row in json.loads(STORED.read_text(encoding="utf-8"))["rows"]
    ]
    return tables.markdown(["data", "method", "direction", "items", "claimed", "found"], rows)


def plot() -> dict[str, bytes]:
    """File name -> SVG: what was claimed against what came true, one panel a data set and number of random items."""
    if not STORED.is_file():
        return {}
    rows = json.loads(STORED.read_text(encoding="utf-8"))["rows"]
    data = list(dict.fromkeys(row["data"] for row in rows))
    with mpl.rc_context():
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(2.6 * len(data) * len(PLOTTED), 3.2), layout="constrained")
        panels = figure.subplots(1, len(data) * len(PLOTTED), squeeze=False, sharey=True)[0]
        for panel, (name, beside) in zip(panels, [(name, r) for name in data for r in PLOTTED], strict=True):
            panel.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--")
            for row in rows:
                if row["data"] == name:
                    _line(panel, row, beside)
            panel.set_title(f"{name}, 1 match to {beside} random")
            panel.set_xlabel("claimed")
        panels[0].set_ylabel("came true")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        stream = BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Description": f"figures {digest(repr(rows))}"})
    return {PLOT: stream.getvalue()}


def _line(panel: Any, row: dict[str, Any], beside: str) -> None:
    bins = row["beside"][beside]["bins"]
    style = "-" if row["direction"] == "I2T" else ":"
    panel.plot(
        [one["claimed"] for one in bins],
        [one["true"] for one in bins],
        style,
        marker="o",
        markersize=3,
        linewidth=1,
        color="C0" if row["method"] == "kdcmh" else "C1",
        label=f"{row['method']} {row['direction']}",
    )
