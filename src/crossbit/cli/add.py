"""crossbit add: put further items of a source into a collection."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from crossbit.cli.coded import load_coded
from crossbit.cli.console import progress_shown, show, show_json, when_stopped
from crossbit.cli.data import data_seed, encoders_for, keep_left_out, listed, reading_of, show_left_out
from crossbit.cli.encode import items_of
from crossbit.cli.options import (
    AsJson,
    CaptionsUsed,
    CollectionFolder,
    Data,
    DataSeed,
    IdColumn,
    ImageColumn,
    ImageFolder,
    KnownImageEncoder,
    KnownTextEncoder,
    TagsColumn,
    TextColumns,
)
from crossbit.collection import Collection

IfExists = Annotated[
    Literal["error", "replace", "keep"],
    typer.Option("--if-exists", help="What to do with items whose id stands there with other content."),
]


def add(
    collection: CollectionFolder,
    data: Data,
    if_exists: IfExists = "error",
    seed: DataSeed = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    image_column: ImageColumn = None,
    text_column: TextColumns = None,
    tags_column: TagsColumn = None,
    id_column: IdColumn = None,
    image_folder: ImageFolder = None,
    captions: CaptionsUsed = "all",
    as_json: AsJson = False,
) -> None:
    """Add the items of DATA to a collection, all or none.

    They are encoded with the collection's own hasher. Items that stand there already with the same content are passed
    over, so the same command may be given again. Searches of the collection go on meanwhile.
    """
    began = time.perf_counter()
    reading = reading_of(image_column, text_column, tags_column, id_column, image_folder, captions)
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
