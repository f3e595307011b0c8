"""The engine that searches a collection's codes: how it is asked for, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Annotated, Any

import typer

from crossbit.cli.console import show
from crossbit.collection import BuiltEngine, EngineName, Modality

Engine = Annotated[
    EngineName,
    typer.Option(
        help="What searches the codes: auto (by their number and the recall), exact, pruned (exact, for lone queries "
        "among many), ivf (inverted lists, approximate) or prefix (the first bits, then the whole codes)."
    ),
]
Recall = Annotated[
    float | None,
    typer.Option(
        help="With --engine auto, ivf or prefix: the share of the nearest codes that must be found; without it 1 for "
        "auto, which only a full comparison gives, else 0.95."
    ),
]
BuiltAlready = Annotated[
    EngineName,
    typer.Option(help="auto searches by the engine that was built; exact compares every code; or one by its name."),
]


def engine_facts(engines: Iterable[BuiltEngine]) -> list[dict[str, Any]]:
    """The engines as plain values."""
    return [{name: value for name, value in asdict(one).items() if name != "segment"} for one in engines]


def searched_by(engines: Iterable[BuiltEngine], asked: EngineName, among: Modality | None) -> tuple[BuiltEngine, ...]:
    """What a search went through of the engines that are built. among: the side that was searched; None for either."""
    return tuple(
        one if asked in ("auto", one.engine) else replace(one, engine="exact", reason="it was asked for", recall=1.0)
        for one in engines
        if among in (None, one.modality)
    )


def show_engines(engines: Iterable[BuiltEngine]) -> None:
    """Say which engine searches what, and why."""
    for one in engines:
        show(f"{one.n:,} {one.modality} codes: {one.engine}, recall {one.recall:.3f}: {one.reason}.")
