"""Plots of stored results: score against code length, score against CPU seconds, and mean ranks. One SVG each, the
same bytes from the same results with the pinned matplotlib. Methods without and with labels stand apart; the best of
each are named, since nobody can tell forty colours apart, and the others are grey."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from io import BytesIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from crossbit.experiment import Result
from crossbit.experiment.state import digest
from crossbit.methods import METHODS, load_method
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
        "score-against-seconds.svg": _draw(results, _against_seconds, "CPU seconds of a fit, 64 bits", log=True),
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
LAYOUT = 2  # counted up when the look changes, so that plots of the same figures are drawn again
NAMED = 8  # methods of a row of panels that get a colour
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C564B")
MARKERS = "osD^vP*X"


def _draw(results: Sequence[Result], lines_of: Callable[[list[Result]], list[Line]], label: str, log: bool) -> bytes:
    columns = ordered({result.data for result in results}, DATA_SETS)
    kinds = {"without labels": False, "with labels": True}
    parts = {
        kind: {
            data: lines_of([r for r in results if r.data == data and _labelled(r.row) == with_labels])
            for data in columns
        }
        for kind, with_labels in kinds.items()
    }
    parts = {kind: drawn for kind, drawn in parts.items() if any(drawn.values())}
    with mpl.rc_context():
        mpl.rcParams.update(STYLE)
        figure = Figure(figsize=(2.3 * len(columns) + 1.5, 2.5 * len(parts)), layout="constrained")
        for rows, (kind, drawn) in zip(figure.subfigures(len(parts), 1, squeeze=False), parts.items(), strict=True):
            _row(rows[0], kind, drawn, label, log)
        stream = BytesIO()
        description = f"figures {digest(repr((parts, LAYOUT)))}"
        figure.savefig(stream, format="svg", metadata={"Date": None, "Description": description})
    return stream.getvalue()


def _labelled(row: str) -> bool:
    return row in METHODS and load_method(row).supervised


def _row(figure: SubFigure, kind: str, drawn: dict[str, list[Line]], label: str, log: bool) -> None:
    """The panels of one kind of methods, with the names of the best of them beside."""
    best = best_of(drawn)
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    for panel, (data, lines) in zip(panels, drawn.items(), strict=True):
        _panel(panel, lines, best, label, log)
        panel.set_title(f"{data}, {kind}")
    panels[0].set_ylabel("mAP@all, both directions")
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1, label=row)
        for row, colour, marker in zip(best, COLOURS, MARKERS, strict=False)
    ]
    if any(line[0] not in best for lines in drawn.values() for line in lines):
        handles.append(Line2D([], [], color="0.8", marker="o", markersize=2, linewidth=1, label="others"))
    figure.legend(handles=handles, loc="outside right upper")


def best_of(drawn: dict[str, list[Line]]) -> list[str]:
    """The methods to be named, best first: by the mean over data sets of what they reach at 64 bits, or at all."""
    reached: dict[str, list[float]] = {}
    for lines in drawn.values():
        for row, across, up in lines:
            reached.setdefault(row, []).append(up[across.index(64.0)] if 64.0 in across else up[-1])
    complete = {row: means for row, means in reached.items() if len(means) == max(map(len, reached.values()))}
    return sorted(complete, key=lambda row: -statistics.fmean(complete[row]))[:NAMED]


def _panel(panel: Axes, lines: list[Line], best: list[str], label: str, log: bool) -> None:
    for row, across, up in sorted(lines, key=lambda line: line[0] in best):  # the named ones lie above
        if row in best:
            place = best.index(row)
            panel.plot(across, up, marker=MARKERS[place], markersize=4, linewidth=1, color=COLOURS[place])
        else:
            panel.plot(across, up, marker="o", markersize=2, linewidth=0.7, color="0.8")
    panel.set_xlabel(label)
    if log:
        panel.set_xscale("log", base=10 if "seconds" in label else 2)
        panel.xaxis.set_minor_formatter(NullFormatter())  # on a short axis it writes numbers over each other
    if label.startswith("code length"):
        panel.set_xticks(LENGTHS, [str(length) for length in LENGTHS])
