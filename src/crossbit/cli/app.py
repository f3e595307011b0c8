"""The command line put together: one application, one command a verb."""

from __future__ import annotations

from typing import Annotated

import typer

from crossbit import __version__
from crossbit.cli.add import add
from crossbit.cli.calibrate import calibrate
from crossbit.cli.check_data import data_verbs
from crossbit.cli.console import show
from crossbit.cli.demo import demo
from crossbit.cli.encode import encode, index
from crossbit.cli.evaluate import evaluate
from crossbit.cli.export import export
from crossbit.cli.fit import fit
from crossbit.cli.info import info
from crossbit.cli.methods import methods
from crossbit.cli.migrate import migrate
from crossbit.cli.search import search
from crossbit.cli.share import share
from crossbit.cli.upkeep import check, compact, remove

app = typer.Typer(
    name="crossbit",
    help="Compact binary codes for images and text, learned without labels, and the search that uses them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        show(f"crossbit {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass  # --debug is read where errors are caught, so that it also holds for errors of the command line itself


for _verb in (
    demo,
    fit,
    calibrate,
    encode,
    index,
    export,
    search,
    add,
    remove,
    compact,
    check,
    migrate,
    evaluate,
    methods,
    info,
    share,
):
    app.command(_verb.__name__)(_verb)
app.add_typer(data_verbs)
