"""What the commands say: results on stdout, everything else on stderr; progress only where a person looks on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from crossbit.progress import Progress, silent

_PIPE_WIDTH = 160  # columns of a table that nobody's window limits


def say(sentence: str) -> None:
    """A sentence for the person, on stderr."""
    typer.echo(sentence, err=True)


def show_json(result: Any) -> None:
    """The result as one JSON document on stdout."""
    typer.echo(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A table on stdout, as wide as the window. right: the columns set to the right, for figures."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=title or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
        show_header=any(columns),
    )
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False).print(table)


def show(text: str) -> None:
    """Plain text on stdout."""
    typer.echo(text)


@contextmanager
def progress_shown() -> Iterator[Progress]:
    """A progress callback drawn as bars on a terminal's stderr, one a stage; silent everywhere else."""
    if not sys.stderr.isatty():
        yield silent
        return
    from crossbit.cli.bars import bars_drawn

    with bars_drawn() as draw:
        yield draw


@contextmanager
def when_stopped(sentence: str) -> Iterator[None]:
    """Say what was saved when Ctrl-C ends the block; the exit code is then 130."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"crossbit: Stopped. {sentence}")
        raise typer.Exit(130) from None
