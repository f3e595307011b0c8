"""The application before it has its verbs, and how one verb alone comes up quickly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from crossbit import __version__
from crossbit.cli.console import show


def application() -> typer.Typer:
    """An application with the options of all verbs, and no verb yet."""
    app = typer.Typer(
        name="crossbit",
        help="Compact binary codes for images and text, learned without labels, and the search that uses them.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_start)
    return app


def application_for(arguments: Sequence[str]) -> typer.Typer:
    """The application for a command line: with `search` alone where that is asked, else with all verbs.

    A person waits for each search, and all that other verbs import would take as long as the search itself.
    """
    if arguments[:1] != ["search"]:
        from crossbit.cli.app import app

        return app
    from crossbit.cli.search import search

    alone = application()
    alone.command("search")(search)
    return alone


def _version(wanted: bool) -> None:
    if wanted:
        show(f"crossbit {__version__}")
        raise typer.Exit


def _start(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass  # --debug is read where errors are caught, so that it also holds for errors of the command line itself
