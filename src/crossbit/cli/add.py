"""crossbit add: put further items of a source into a collection."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from crossbit.cli.coded import load_coded
from crossbit.cli.console import progress_shown, show, show_json, when_stopped
from crossbit.cli.data import data_seed, encoders_for, keep_left_out, listed, show_left_out
from crossbit.cli.index import items_of
from crossbit.cli.options import (
    AsJson,
    CollectionFolder,
    Data,
    DataSeed,
    KnownImageEncoder,
    KnownTextEncoder,
)
from crossbit.cli.reading import EVERYTHING, reads_source
from crossbit.collection import Collection
from crossbit.datasets import Reading

IfExists = Annotated[
    Literal["error", "replace", "keep"],
    typer.Option("--if-exists", help="What to do with items whose id stands there with other content."),
]


@reads_source
def add(
    collection: CollectionFolder,
    data: Data,
    if_exists: IfExists = "error",
    seed: DataSeed = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    reading: Reading = EVERYTHING,
    as_json: AsJson = False,
) -> None:
    """Add the items of DATA to a collection, all or none.

    They are encoded with the collection's own hasher. Items that stand there already with the same content are passed
    over, so the same command may be given again. Searches of the collection go on meanwhile.
    """
    began = time.perf_counter()
    with when_stopped("Nothing was added."), progress_shown() as progress:
        opened = Collection.open(collection)
        encoders = encoders_for(opened.hasher, text_encoder, image_encoder)
        drawn = data_seed(seed, opened.hasher)
        items = load_coded(data, opened.hasher, progress, encoders=encoders, seed=drawn, reading=reading)
        done = opened.add(
            items_of(items, progress),
            image=items.image,
            text=items.text,
            without_image=np.flatnonzero(~items.has_image),
            without_text=np.flatnonzero(~items.has_text),
            if_exists=if_exists,
        )
    listing = keep_left_out(Path(collection), items.left_out)
    counts = {"added": done.added, "replaced": done.replaced, "unchanged": done.unchanged, "n": len(opened)}
    if as_json:
        told = {"skipped": listed(items.left_out), "skipped_file": listing}
        show_json({"collection": str(collection), **counts, **told, "seconds": round(time.perf_counter() - began, 3)})
        return
    show(
        f"{collection}: {done.added} items added, {done.replaced} replaced, {done.unchanged} there already; "
        f"{len(opened)} in all."
    )
    show_left_out(items.left_out, listing)
