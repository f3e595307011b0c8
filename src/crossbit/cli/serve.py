"""crossbit serve: a collection over HTTP and on a web page."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from crossbit.cli.console import show, show_json
from crossbit.cli.options import AsJson, CollectionFolder, KnownImageEncoder, KnownTextEncoder
from crossbit.cli.queries import Named
from crossbit.cli.share import evaluation_of
from crossbit.errors import MissingExtraError, SettingsError

WRITE_TOKEN, READ_TOKEN = "CROSSBIT_WRITE_TOKEN", "CROSSBIT_READ_TOKEN"  # names of environment variables


def serve(
    collection: CollectionFolder,
    host: Annotated[str, typer.Option(help="Where to listen; anything but this machine needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 for any free one.", min=0, max=65535)] = 8080,
    write_token_file: Annotated[
        Path | None,
        typer.Option(help=f"A file with a token a line, for those who may add and remove. Or {WRITE_TOKEN}."),
    ] = None,
    read_token_file: Annotated[
        Path | None,
        typer.Option(help=f"A file with a token a line: without one of them nobody may search. Or {READ_TOKEN}."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="A further name it is asked by, such as a proxy's; may be given again."),
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", metavar="FILE", help="What crossbit evaluate --json printed, to be shown with it."),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="NAME=NUMBER", help="A limit of one request; several times. See docs/service."),
    ] = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    log: Annotated[str, typer.Option(help="The access log on stderr: plain, json or none.")] = "plain",
    as_json: AsJson = False,
) -> None:
    """Serve COLLECTION over HTTP, with a page to search it in a browser, until Ctrl-C.

    The page is at /, the interface is described at /docs. Nothing can be changed through it without a write token.
    """
    try:
        from crossbit.service import ServiceSettings
        from crossbit.service.running import run
    except ModuleNotFoundError as error:
        raise MissingExtraError("Serving a collection", "serve") from error
    settings = ServiceSettings(
        host=host,
        port=port,
        write_tokens=_tokens(write_token_file, WRITE_TOKEN),
        read_tokens=_tokens(read_token_file, READ_TOKEN),
        names=tuple(one.lower() for one in name or ()),
        scores=tuple(evaluation_of(path) for path in scores or ()),
        limits=_limits(limit or ()),
        encoders=Named(text_encoder, image_encoder).encoders(),
        log=log,  # type: ignore[arg-type]  # any text: ServiceSettings names the three there are
    )

    def started(address: str) -> None:
        if as_json:
            show_json({"address": address, "collection": str(collection), "writable": bool(settings.write_tokens)})
        else:
            show(f"{collection} is served at {address}/ (Ctrl-C ends it).")

    run(collection, settings, started)


def _tokens(path: Path | None, variable: str) -> tuple[str, ...]:
    """The tokens of a file, or the one of an environment variable. None of them is ever shown."""
    if path is None:
        given = os.environ.get(variable, "").strip()
        return (given,) if given else ()
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The token file {path} cannot be read: {error}.") from error
    tokens = tuple(line for line in lines if line and not line.startswith("#"))
    if not tokens:
        raise SettingsError(f"The token file {path} holds no token; write one a line.")
    return tokens


def _limits(given: list[str] | tuple[str, ...]) -> Any:
    from crossbit.service import Limits

    known: dict[str, Any] = {one.name: type(getattr(Limits(), one.name)) for one in fields(Limits)}
    chosen: dict[str, Any] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in known:
            raise SettingsError(f"There is no limit {name!r}; there are {', '.join(known)}.")
        try:
            chosen[name] = known[name](value)
        except ValueError as error:
            raise SettingsError(f"--limit {name} takes a number; got {value!r}.") from error
    return Limits(**chosen)
