"""How a source is read, as options that every command with DATA has."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from crossbit.datasets import Reading
from crossbit.sources import Columns

EVERYTHING = Reading()
"""All of a source, by the usual names of columns."""


def _asked(
    image_column: Annotated[
        str | None,
        typer.Option("--image-column", metavar="NAME", help="The column with paths or contents of pictures."),
    ] = None,
    text_column: Annotated[
        list[str] | None,
        typer.Option("--text-column", metavar="NAME", help="A column with captions; may be given several times."),
    ] = None,
    tags_column: Annotated[
        str | None, typer.Option("--tags-column", metavar="NAME", help="The column with tags.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id-column", metavar="NAME", help="The column with ids of items.")
    ] = None,
    image_folder: Annotated[
        Path | None,
        typer.Option(
            "--image-folder",
            metavar="FOLDER",
            help="Where relative paths of pictures start, and what no path may leave. Without it the folder of DATA.",
        ),
    ] = None,
    captions: Annotated[
        Literal["all", "first"],
        typer.Option("--captions", metavar="all|first", help="Which of several captions of one picture are read."),
    ] = "all",
) -> Reading:
    """The options themselves, and what they make."""
    columns = Columns(image_column, tuple(text_column or ()), tags_column, id_column)
    return Reading(columns, image_folder, captions)


def reads_source(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say how a source is read; it takes them together, as its parameter `reading`."""
    own, asked = inspect.signature(command), inspect.signature(_asked)
    hints = get_type_hints(command, include_extras=True) | get_type_hints(_asked, include_extras=True)

    @wraps(command)
    def with_options(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in asked.parameters if name in given}
        command(**given, reading=_asked(**chosen))

    parameters: list[inspect.Parameter] = []
    for parameter in own.parameters.values():
        parameters += asked.parameters.values() if parameter.name == "reading" else [parameter]
    typed = [parameter.replace(annotation=hints[parameter.name]) for parameter in parameters]
    setattr(with_options, "__signature__", own.replace(parameters=typed))  # noqa: B010 - functions have no such field
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in typed}
    return with_options


def reading_words(reading: Reading) -> str:
    """The options that say how a source is read, as they are typed, with a blank before."""
    columns = reading.columns
    given = [
        ("--image-column", columns.image),
        *(("--text-column", name) for name in columns.text),
        ("--tags-column", columns.tags),
        ("--id-column", columns.id),
        ("--image-folder", None if reading.image_folder is None else str(reading.image_folder)),
        ("--captions", None if reading.captions == "all" else reading.captions),
    ]
    return "".join(f" {option} {shlex.quote(value)}" for option, value in given if value is not None)
