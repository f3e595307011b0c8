"""crossbit report: tables and plots from stored results alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossbit.cli.console import show, show_json
from crossbit.cli.options import AsJson
from crossbit.cli.places import check_folder_place
from crossbit.errors import DataError
from crossbit.experiment import read_result, read_results
from crossbit.report.summary import FORMATS, summarise, write_summary


def report(
    results: Annotated[
        list[Path] | None, typer.Argument(help="Folders or files of results; ./results by default.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder that the report goes to.")] = Path("report"),
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="|".join(FORMATS), help="One of them; repeatable. All by default."),
    ] = None,
    protocol: Annotated[list[str] | None, typer.Option(help="Only these protocols, such as PALL; repeatable.")] = None,
    bits: Annotated[list[int] | None, typer.Option(help="Only these code lengths; repeatable.")] = None,
    ablations: Annotated[bool, typer.Option("--ablations", help="Show rows such as kdcmh@raw too.")] = False,
    plots: Annotated[
        bool, typer.Option("--plots/--no-plots", help="Whether plots are drawn; they need matplotlib.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Make tables (Markdown, LaTeX, HTML) and plots from stored results; nothing is measured.

    Every column prints the id of its protocol, and numbers under two ids are refused a column. Plots: score against
    bits, bytes and seconds, precision among the first N, precision and recall.
    """
    check_folder_place(out)
    found = []
    for path in results or [Path("results")]:
        if not path.exists():
            raise DataError(f"There is nothing at {path}; name a folder of results, such as crossbit reproduce writes.")
        found += read_results(path) if path.is_dir() else [read_result(path)]
    shown = [result for result in found if ablations or "@" not in result.row]
    summary = summarise(shown, presets=protocol or (), lengths=bits or (), plots=plots)
    written = write_summary(summary, out, formats or FORMATS)
    if as_json:
        grids = [grid.to_json() for grid in summary.grids]
        show_json({"results": len(shown), "files": [str(path) for path in written], "tables": grids})
        return
    show(f"{len(shown)} results, {len(summary.grids)} tables, {len(summary.plots)} plots:")
    for path in written:
        show(f"  {path}")
