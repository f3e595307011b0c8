"""Mean ranks of the methods with Nemenyi's critical difference: one SVG, from stored results alone."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import matplotlib as mpl
from matplotlib.figure import Figure

from crossbit.evaluation.differences import Differences, compare
from crossbit.experiment import Result
from crossbit.experiment.state import digest
from difference_tables import LEVEL, cells

PRESETS = {"PALL": "mAP@all", "P50": "mAP@50"}


def difference_plot(results: Sequence[Result], style: dict[str, object]) -> bytes:
    """A panel for each protocol, the best method on top; b"" where there is too little to compare."""
    scores = {preset: cells(results, preset) for preset in PRESETS}
    if any(len(own) < 3 for own in scores.values()):
        return b""
    found = {preset: compare(own, level=LEVEL) for preset, own in scores.items()}
    with mpl.rc_context():
        mpl.rcParams.update(style)
        longest = max(len(one.ranks) for one in found.values())
        figure = Figure(figsize=(8.0, 0.6 + 0.16 * longest), layout="constrained")
        panels = figure.subplots(1, len(found), squeeze=False)[0]
        for panel, (preset, differences) in zip(panels, found.items(), strict=True):
            order = sorted(differences.ranks, key=lambda row: -differences.ranks[row])
            for place, row in enumerate(order):
                rank = differences.ranks[row]
                # From a method's rank to the right: whoever lies within the line is not told apart from it.
                panel.plot([rank, rank + differences.critical], [place, place], color="lightgrey", linewidth=2)
                panel.plot([rank], [place], marker="o", markersize=3, color="black")
            panel.set_yticks(range(len(order)), order, fontsize=6)
            panel.set_xlim(0, len(order) + 1)
            panel.set_title(PRESETS[preset])
            panel.set_xlabel(f"mean rank over {differences.n_cells} cells; line: critical difference at {LEVEL}")
        stream = BytesIO()
        description = f"figures {digest(repr([_figures(one) for one in found.values()]))}"
        figure.savefig(stream, format="svg", metadata={"Date": None, "Description": description})
    return stream.getvalue()


def _figures(found: Differences) -> tuple[object, ...]:
    return found.n_cells, round(found.critical, 6), sorted((row, round(rank, 6)) for row, rank in found.ranks.items())
