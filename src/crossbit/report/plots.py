"""Plots of stored results: score against bits, bytes and seconds, precision among the first N, precision and recall.

One SVG each, the same bytes from the same results with one matplotlib. A panel holds one data set under one protocol
id, never two. What learns with labels has plots of its own.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from crossbit.errors import MissingExtraError
from crossbit.experiment import Result
from crossbit.methods import METHODS
from crossbit.tables import DATA_SETS, ordered, protocol_id

_STYLE: Any = {"svg.hashsalt": "crossbit", "svg.fonttype": "none", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}
_MARKS = "osD^v<>Pp*Xh"
_DASHES = ("-", "--", "-.", ":")
_ACROSS = 3  # panels a row


@dataclass(frozen=True)
class Line:
    """One method in a panel. across, up: its points."""

    row: str
    across: tuple[float, ...]
    up: tuple[float, ...]


@dataclass(frozen=True)
class Axes:
    """What a panel's axes are. logarithmic: the base of the axis across, 0 for a plain one."""

    across: str
    up: str
    logarithmic: int = 0
    ticks: tuple[int, ...] = ()


LinesOf = Callable[[Sequence[Result]], list[Line]]


def draw_plots(results: Sequence[Result], preset: str, n_bits: int) -> dict[str, bytes]:
    """File name -> SVG. preset: the protocol of the scores. n_bits: the code length of what has one only.

    The names of plots of what learned with labels end in "-with-labels". Plots for which no result has figures are
    left out: results of early versions hold no curves.

    Raises MismatchError where a panel's results stand under two protocol ids, MissingExtraError without matplotlib.
    """
    scored = [result for result in results if preset in result.scores and result.n_bits]
    for data in {result.data for result in scored}:
        protocol_id([result for result in scored if result.data == data], preset)
    drawn = {}
    for ending, side in (("", False), ("-with-labels", True)):
        own = [result for result in scored if result.supervised == side]
        for name, shown, lines_of, axes in _wanted(own, preset, n_bits):
            by_data = {data: [r for r in shown if r.data == data] for data in {r.data for r in shown}}
            lines = {data: lines_of(by_data[data]) for data in ordered(by_data, DATA_SETS)}
            panels = {data: there for data, there in lines.items() if there}
            if panels:
                drawn[f"{name}{ending}.svg"] = _draw(panels, axes)
    return drawn


def _wanted(scored: Sequence[Result], preset: str, n_bits: int) -> list[tuple[str, Sequence[Result], LinesOf, Axes]]:
    """Every plot: its name, the results it is drawn from, how its lines are made, and its axes."""
    at_length = [result for result in scored if result.n_bits == n_bits]
    score = f"{preset}, mean of both directions"
    lengths = tuple(sorted({result.n_bits for result in scored}))
    bytes_of = tuple(sorted({-(-length // 8) for length in lengths}))
    seconds = Axes(f"CPU seconds of the fit, {n_bits} bits", score, 10)
    wanted: list[tuple[str, Sequence[Result], LinesOf, Axes]] = [
        ("score-against-bits", scored, lambda own: _by_length(own, preset, 1), Axes("bits", score, 2, lengths)),
        (
            "score-against-bytes",
            scored,
            lambda own: _by_length(own, preset, 8),
            Axes("bytes an item", score, 2, bytes_of),
        ),
        ("score-against-seconds", at_length, lambda own: _by_seconds(own, preset), seconds),
    ]
    for way in ("I2T", "T2I"):
        told = f"{way}, {n_bits} bits"
        wanted += [
            (f"precision-at-{way}", at_length, _precision_at(way), Axes("first N", f"precision, {told}", 10)),
            (f"precision-recall-{way}", at_length, _precision_recall(way), Axes("recall", f"precision, {told}")),
        ]
    return wanted


def _rows(results: Sequence[Result]) -> list[str]:
    return ordered({result.row for result in results}, list(METHODS))


def _by_length(results: Sequence[Result], preset: str, bits_a_unit: int) -> list[Line]:
    lines = []
    for row in _rows(results):
        lengths = sorted({result.n_bits for result in results if result.row == row})
        means = [
            statistics.fmean(r.scores[preset]["mean"] for r in results if (r.row, r.n_bits) == (row, length))
            for length in lengths
        ]
        lines.append(Line(row, tuple(-(-length // bits_a_unit) for length in lengths), tuple(means)))
    return lines


def _by_seconds(results: Sequence[Result], preset: str) -> list[Line]:
    lines = []
    for row in _rows(results):
        own = [result for result in results if result.row == row and "cost" in result.details]
        if own:
            seconds = statistics.fmean(max(result.details["cost"]["fit_cpu_seconds"], 0.01) for result in own)
            lines.append(Line(row, (seconds,), (statistics.fmean(result.scores[preset]["mean"] for result in own),)))
    return lines


def _precision_at(way: str) -> LinesOf:
    def lines(results: Sequence[Result]) -> list[Line]:
        found = []
        for row in _rows(results):
            curves = _curves(results, row, way)
            cuts = list(curves[0]["precision_at"]) if curves else []
            means = [statistics.fmean(curve["precision_at"][n] for curve in curves) for n in cuts]
            if cuts:
                found.append(Line(row, tuple(map(float, cuts)), tuple(means)))
        return found

    return lines


def _precision_recall(way: str) -> LinesOf:
    def lines(results: Sequence[Result]) -> list[Line]:
        found = []
        for row in _rows(results):
            curves = _curves(results, row, way)[:1]  # radii of several seeds do not lie on one recall: the first seed
            points = [
                (recall, precision)
                for curve in curves
                for recall, precision in zip(curve["recall"], curve["precision"], strict=True)
                if precision is not None
            ]
            if points:
                found.append(Line(row, tuple(x for x, _ in points), tuple(y for _, y in points)))
        return found

    return lines


def _curves(results: Sequence[Result], row: str, way: str) -> list[dict[str, Any]]:
    return [result.details["curves"][way] for result in results if result.row == row and "curves" in result.details]


def _draw(panels: dict[str, list[Line]], axes: Axes) -> bytes:
    try:
        import matplotlib as mpl  # noqa: PLC0415 - an optional package, needed only for plots
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError("Drawing plots", "plots") from error
    names = list(dict.fromkeys(line.row for lines in panels.values() for line in lines))
    n_across = 2 if len(panels) == 4 else min(_ACROSS, len(panels))
    n_down = -(-len(panels) // n_across)
    with mpl.rc_context():
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(3.4 * n_across + 1.6, 2.9 * n_down), layout="constrained")
        every = figure.subplots(n_down, n_across, squeeze=False).ravel()
        for panel in every[len(panels) :]:
            panel.set_visible(False)
        handles: dict[str, Any] = {}
        for panel, (data, lines) in zip(every, panels.items(), strict=False):
            for line in lines:
                handles[line.row] = _line(panel, line, names.index(line.row), alone=len(line.across) > 20)
            _panel(panel, data, axes)
        figure.legend([handles[name] for name in names], names, loc="outside right center", frameon=False)
        stream = BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _line(panel: Any, line: Line, place: int, *, alone: bool) -> Any:
    """A line in its own colour, dashes and mark, so that twenty can be told apart. alone: without marks."""
    (drawn,) = panel.plot(
        line.across,
        line.up,
        color=f"C{place % 10}",
        linestyle=_DASHES[place // 10 % len(_DASHES)],
        marker=None if alone else _MARKS[place % len(_MARKS)],
        markersize=4,
        linewidth=1.2,
    )
    return drawn


def _panel(panel: Any, title: str, axes: Axes) -> None:
    panel.set_title(title)
    panel.set_xlabel(axes.across)
    panel.set_ylabel(axes.up)
    panel.set_ylim(0, 1.06 * panel.dataLim.ymax or 1)
    if axes.logarithmic:
        panel.set_xscale("log", base=axes.logarithmic)
    if axes.ticks:
        panel.set_xticks(axes.ticks, [str(tick) for tick in axes.ticks])
        panel.minorticks_off()
