"""crossbit data: verbs about data itself. check: what DATA holds, before any work."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

import typer

from crossbit.cli.coded import is_ready
from crossbit.cli.console import progress_shown, show, show_json, show_table, when_stopped
from crossbit.cli.data import load_items
from crossbit.cli.options import (
    AsJson,
    Data,
    ImageEncoderName,
    TextEncoderName,
)
from crossbit.cli.reading import EVERYTHING, reads_source
from crossbit.datasets import Reading
from crossbit.datasets.check import SourceCheck, check_source
from crossbit.datasets.expected import Expected, expected_cost
from crossbit.datasets.reading import is_vocabulary
from crossbit.encoders import load_image_encoder, load_text_encoder
from crossbit.errors import MissingExtraError

data_verbs = typer.Typer(
    name="data", help="Look at data before anything is learned from it.", no_args_is_help=True, rich_markup_mode=None
)


@data_verbs.command("check")
@reads_source
def check(
    data: Data,
    wanted: Annotated[
        Literal["index", "fit"],
        typer.Option("--for", metavar="index|fit", help="What DATA must be usable for: the exit code says whether."),
    ] = "index",
    text_encoder: TextEncoderName = "minilm",
    image_encoder: ImageEncoderName = "efficientnet-lite0",
    workers: Annotated[
        int | None, typer.Option(help="Processes that open pictures; one a core without it, 0 for none.", min=0)
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample/--no-sample", help="Time the encoders on some thirty items.")
    ] = True,
    reading: Reading = EVERYTHING,
    as_json: AsJson = False,
) -> None:
    """Say what DATA holds, what of it will be left out and why, and what encoding and fitting will take.

    Every picture is opened; nothing is encoded but a small sample, and nothing is written. Exit code 0 where DATA can
    be indexed (with --for fit: where it has two pairs that differ), 1 where not.
    """
    with when_stopped("Checking writes nothing."), progress_shown() as progress:
        if is_ready(data):
            _show_ready(data, as_json=as_json)
            return
        found = check_source(reading.open(data), reading, workers=workers, progress=progress)
        expected = _expected(found, text_encoder, image_encoder, timed=sample)
    usable = found.can_fit if wanted == "fit" else found.can_index
    if as_json:
        show_json(_as_json(found, expected, usable=usable))
    else:
        _show(found, expected)
    raise typer.Exit(0 if usable else 1)


def _expected(found: SourceCheck, text: str, image: str, *, timed: bool) -> Expected:
    """What work will take; without a timed sample where the encoders' packages are not installed."""
    painter = load_image_encoder(image)
    writer = load_text_encoder(text, found.sample_texts or ["word"] if is_vocabulary(text) else ())
    try:
        expected = expected_cost(found, painter, writer, timed=timed)
        if expected.encode_seconds is None:
            return expected
        # Both encoders were loaded and have computed a batch: what encoding all of it holds, in this process.
        return replace(expected, encode_bytes=_peak_bytes())
    except MissingExtraError as error:
        untimed = expected_cost(found, painter, writer, timed=False)
        return Expected(None, str(error), untimed.feature_bytes, untimed.fit_seconds, untimed.fit_bytes)


def _peak_bytes() -> int | None:
    """The most memory that this process has held; None where the system does not tell (Windows)."""
    try:
        from crossbit.experiment.run import peak_memory_mib
    except ModuleNotFoundError:
        return None
    return int(peak_memory_mib() * (1 << 20))


_COUNTS = {
    "records": "items",
    "pairs": "pairs of picture and text",
    "pictures_alone": "pictures without text (indexed, not learned from)",
    "texts_alone": "texts without picture (indexed, not learned from)",
    "several_captions": "items with several captions",
    "empty_texts": "empty texts",
    "duplicates": "pairs that stood before (learned from once)",
    "repeated_pictures": "pictures that stood before",
    "unreadable": "pictures that do not open (left out)",
    "problems": "other items left out",
}


def _as_json(found: SourceCheck, expected: Expected, *, usable: bool) -> dict[str, Any]:
    return {
        "source": found.name,
        "layout": found.layout,
        **{name: getattr(found, name) for name in _COUNTS},
        "texts": found.texts,
        "picture_bytes": found.picture_bytes,
        "left_out": [{"row": item.row, "reason": item.reason} for item in found.left_out],
        "can_fit": found.can_fit,
        "can_index": found.can_index,
        "usable": usable,
        "expected": expected.to_json(),
    }


def _show(found: SourceCheck, expected: Expected) -> None:
    rows = [[told, f"{getattr(found, name):,}"] for name, told in _COUNTS.items()]
    show(f"{found.name}: {found.layout}")
    show_table("", ["", "n"], rows, right=["n"])
    for item in found.left_out[:10]:
        show(f"Left out: {item.reason}")
    more = found.unreadable + found.problems - len(found.left_out[:10])
    if more > 0:
        show(f"Left out: {more:,} more (--json names the first {len(found.left_out)})")
    if expected.encode_seconds is None:
        show(f"Encoding: no time can be told ({expected.encode_source})")
    else:
        memory = "" if expected.encode_bytes is None else f", {_large(expected.encode_bytes)} of memory"
        grown = "" if expected.encode_bytes is None else "; the memory is this check's and does not grow with the items"
        show(f"Encoding: about {_long(expected.encode_seconds)}{memory} ({expected.encode_source}{grown})")
    show(
        f"Fitting: about {_long(expected.fit_seconds)}, memory {_large(expected.fit_bytes)} at most besides "
        f"{_large(expected.feature_bytes)} of features ({expected.fit_source})"
    )
    show(f"Usable: {'for fit and index' if found.can_fit else 'for index only' if found.can_index else 'no'}")


def _show_ready(data: str, *, as_json: bool) -> None:
    """A data set of its own: its features are there, or come with crossbit."""
    with progress_shown() as progress:
        dataset = load_items(data, progress)
    facts = {"source": dataset.name, "layout": "ready features", "pairs": len(dataset), "can_fit": True}
    facts |= {
        "can_index": True,
        "usable": True,
        "left_out": [{"row": s.row, "reason": s.reason} for s in dataset.skipped],
    }
    if as_json:
        show_json(facts)
        return
    show(f"{dataset.name}: features of {len(dataset):,} pairs, ready to fit; nothing has to be encoded.")


def _long(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _large(size: int) -> str:
    """A number of bytes as a person says it."""
    if size < 1 << 20:
        return "less than 1 MiB"
    return f"{size / (1 << 20):,.0f} MiB" if size < 10 << 30 else f"{size / (1 << 30):,.0f} GiB"
