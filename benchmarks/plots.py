"""Plots of stored results: score against code length, score against CPU seconds, and mean ranks. One SVG each, the
same bytes from the same results with the pinned matplotlib."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crossbit.experiment import Result
from crossbit.experiment.state import digest
from crossbit.methods import METHODS
from crossbit.tables import DATA_SETS, ordered
from difference_plot import difference_plot

PRESET = "PALL"
STYLE = {"svg.hashsalt": "crossbit", "svg.fonttype": "none", "font.size": 8, "axes.grid": True, "grid.alpha": 0.3}
Line = tuple[str, list[float], list[float]]


def plots(results: Sequence[Result]) -> dict[str, bytes]:
    """File name -> SVG. Each carries a digest of its figures, by which `is_fresh` knows it."""
    if not any(result.n_bits for result in results):
        return {}
    drawn = {
        "score-against-bits.svg": _draw(results, _against_bits, "code length in bits", log=True),
        "score-against-seconds.svg": _draw(results, _against_seconds, "CPU seconds of the fit, 64 bits", log=True),
        "ranks.svg": difference_plot(results, STYLE),
    }
    return {name: content for name, content in drawn.items() if content}


def is_fresh(stored: bytes, made: bytes) -> bool:
    """Whether two plots show the same figures, whatever drew them."""
    mark = b"figures "
    return mark in stored and stored.split(mark)[1][:16] == made.split(mark)[1][:16]


def _against_bits(results: Sequence[Result]) -> list[Line]:
    lines: list[Line] = []
    for row in _rows(results):
        lengths = sorted({r.n_bits for r in results if r.row == row})
        means = [statistics.fmean(_scores(r for r in results if (r.row, r.n_bits) == (row, n))) for n in lengths]
        lines.append((row, [float(n) for n in lengths], means))
    return lines


def _against_seconds(results: Sequence[Result]) -> list[Line]:
    lines: list[Line] = []
    for row in _rows(results):
        at_64 = [r for r in results if r.row == row and r.n_bits == 64 and "cost" in r.details]
        if at_64:
            seconds = statistics.fmean(max(r.details["cost"]["fit_cpu_seconds"], 0.01) for r in at_64)
            lines.append((row, [seconds], [statistics.fmean(_scores(at_64))]))
    return lines


def _rows(results: Sequence[Result]) -> list[str]:
    return ordered({r.row for r in results if r.n_bits and "@" not in r.row and PRESET in r.scores}, list(METHODS))


def _scores(results: Iterable[Result]) -> list[float]:
    return [result.scores[PRESET]["mean"] for result in results]


LENGTHS = (16, 32, 64, 128)


def _draw(results: Sequence[Result], lines_of: Callable[[list[Result]], list[Line]], label: str, log: bool) -> bytes:
    columns = ordered({result.data for result in results}, DATA_SETS)
    drawn = {data: lines_of([result for result in results if result.data == data]) for data in columns}
    with mpl.rc_context():
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(2.6 * len(columns), 3.0), layout="constrained")
        panels = figure.subplots(1, len(columns), squeeze=False)[0]
        for panel, data in zip(panels, columns, strict=True):
            _panel(panel, drawn[data], data, label, log)
        panels[0].set_ylabel("mAP@all, mean of I2T and T2I")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names) or 1)
        stream = BytesIO()
        description = f"figures {digest(repr(drawn))}"
        figure.savefig(stream, format="svg", metadata={"Date": None, "Description": description})
    return stream.getvalue()


def _panel(panel: Axes, lines: list[Line], title: str, label: str, log: bool) -> None:
    for row, across, up in lines:
        colour = f"C{list(METHODS).index(row)}" if row in METHODS else "black"
        panel.plot(across, up, marker="o", markersize=3, linewidth=1, color=colour, label=row)
    panel.set_title(title)
    panel.set_xlabel(label)
    if log:
        panel.set_xscale("log", base=10 if "seconds" in label else 2)
    if label.startswith("code length"):
        panel.set_xticks(LENGTHS, [str(length) for length in LENGTHS])
