"""The tables and plots of stored results as files: Markdown, LaTeX and one HTML page that asks nobody for anything."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from crossbit.errors import DataError, SettingsError
from crossbit.experiment import Result
from crossbit.files import write_whole
from crossbit.report.grid import Grid
from crossbit.report.plots import draw_plots
from crossbit.report.scores import cost_grids, lengths_of, presets_of, score_grids
from crossbit.tables import origin_lines

FORMATS = ("markdown", "latex", "html")
_FILES = {"markdown": "report.md", "latex": "report.tex", "html": "report.html"}

_LOOK = """
body{font:16px/1.5 system-ui,sans-serif;color:#23202a;background:#fff;margin:2rem auto;max-width:76rem;padding:0 1rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid #e5e0d6}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #23202a}.best{font-weight:700}
tfoot td{font-family:ui-monospace,monospace;font-size:.8em;color:#6d6875}figure{margin:1.5rem 0}
figure svg{max-width:100%;height:auto}
@media(prefers-color-scheme:dark){body{color:#ece8f4;background:#16141c}th,td{border-color:#342f41}
thead th{border-color:#ece8f4}tfoot td{color:#a29bb0}figure{background:#fff;border-radius:.5rem;padding:.5rem}}
"""


@dataclass(frozen=True)
class Summary:
    """What a report holds. grids: tables. plots: SVG by file name. origin: where the results come from, in lines."""

    grids: tuple[Grid, ...]
    plots: dict[str, bytes]
    origin: str


def summarise(
    results: Sequence[Result], *, presets: Sequence[str] = (), lengths: Sequence[int] = (), plots: bool = True
) -> Summary:
    """The tables and plots of results. presets, lengths: the protocols and code lengths to show; all by default.

    Plots are of the first protocol and, where one length must do, of 64 bits or the longest. Raises DataError without
    results, SettingsError for a protocol or length that none has, MismatchError for numbers under two protocol ids
    that would share a column.
    """
    if not results:
        raise DataError("There are no results; run  crossbit reproduce NAME  first, or name the folder they are in.")
    for wanted, known, what in ((presets, presets_of(results), "protocol"), (lengths, lengths_of(results), "length")):
        missing = [each for each in wanted if each not in known]
        if missing:
            raise SettingsError(f"No result has the {what} {missing[0]}; there are {', '.join(map(str, known))}.")
    presets = presets or presets_of(results)
    lengths = lengths or lengths_of(results)
    costs = cost_grids([result for result in results if result.n_bits in lengths])
    grids = (*score_grids(results, presets, lengths), *costs)
    shown = [result for result in results if "@" not in result.row and result.n_bits in lengths]
    drawn = draw_plots(shown, presets[0], 64 if 64 in lengths else max(lengths)) if plots and lengths else {}
    return Summary(grids, drawn, "\n".join([origin_lines(results), *_without_curves(shown, plots=bool(drawn))]))


def _without_curves(shown: Sequence[Result], *, plots: bool) -> list[str]:
    """A line on results that hold no curves, since the plots of precision are silent about them."""
    coded = [result for result in shown if result.n_bits]
    lacking = [result for result in coded if "curves" not in result.details]
    if not plots or not lacking:
        return []
    return [
        f"- Precision among the first N and precision against recall: {len(lacking)} of {len(coded)} results were "
        "stored before curves were kept, and are not in these plots; measure them again to have them there."
    ]


def write_summary(summary: Summary, folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a report into a folder: a file for each format, and the plots in plots/. The paths, in that order."""
    unknown = [each for each in formats if each not in FORMATS]
    if unknown:
        raise SettingsError(f"There is no format {unknown[0]!r}; there are {', '.join(FORMATS)}.")
    contents = {"markdown": _markdown, "latex": _latex, "html": _html}
    written = []
    for each in formats:
        path = folder / _FILES[each]
        write_whole(path, contents[each](summary).encode())
        written.append(path)
    for name, drawn in summary.plots.items():
        write_whole(folder / "plots" / name, drawn)
        written.append(folder / "plots" / name)
    return written


def _markdown(summary: Summary) -> str:
    plots = [f"![{_title(name)}](plots/{name})" for name in summary.plots]
    return "\n\n".join(["# Results", summary.origin, *(grid.markdown() for grid in summary.grids), *plots]) + "\n"


def _latex(summary: Summary) -> str:
    origin = "\n".join(f"% {line}" for line in summary.origin.splitlines())
    return "\n\n".join(["% needs \\usepackage{booktabs}", origin, *(grid.latex() for grid in summary.grids)]) + "\n"


def _html(summary: Summary) -> str:
    figures = []
    for name, drawn in summary.plots.items():
        picture = drawn.decode()
        figures.append(f"<figure aria-label='{_title(name)}'>{picture[picture.index('<svg') :]}</figure>")
    origin = "".join(f"<li>{html.escape(line.removeprefix('- '))}</li>" for line in summary.origin.splitlines())
    body = "".join([*(grid.html() for grid in summary.grids), *figures])
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><title>Results</title>"
        f"<meta name=viewport content='width=device-width'><style>{_LOOK}</style></head>"
        f"<body><h1>Results</h1><ul>{origin}</ul>{body}</body></html>\n"
    )


def _title(name: str) -> str:
    return name.removesuffix(".svg").replace("-", " ")
