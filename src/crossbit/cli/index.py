"""crossbit index: the items of data as a searchable collection, or as codes in an engine."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from crossbit.cli.beside import STAYS_THERE, put_there, show_sent
from crossbit.cli.coded import load_coded
from crossbit.cli.console import progress_shown, show, show_json, when_stopped
from crossbit.cli.data import data_seed, encoders_for, keep_left_out, listed, show_left_out
from crossbit.cli.engines import Engine, Recall, engine_facts, show_engines
from crossbit.cli.options import (
    AsJson,
    Data,
    DataSeed,
    HasherFile,
    KnownImageEncoder,
    KnownTextEncoder,
)
from crossbit.cli.pixels import carry_encoder
from crossbit.cli.places import check_folder_place, own_command
from crossbit.cli.queries import Named
from crossbit.cli.reading import EVERYTHING, reads_source
from crossbit.collection import BuiltEngine, Collection, EngineName, Items, small_picture
from crossbit.collection.build import check_target
from crossbit.collection.engines import check_engine, recall_for
from crossbit.collection.items import OWN_COLUMNS
from crossbit.datasets import CodedItems, Reading
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.progress import Progress, Step


@reads_source
def index(
    hasher: HasherFile,
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="The collection's folder.")] = Path("collection"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a collection that stands there.")] = False,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Put the codes into an engine, milvus://host:port/name or postgresql://user@host/database/name, and "
            "build no collection.",
        ),
    ] = None,
    engine: Engine = "auto",
    recall: Recall = None,
    seed: DataSeed = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    reading: Reading = EVERYTHING,
    as_json: AsJson = False,
) -> None:
    """Build a searchable collection of the items of DATA.

    Pictures without text and texts without picture are items too. The collection is a folder of its own: the hasher,
    the codes, captions, further columns and small pictures. It is built whole or not at all, and can be moved and
    copied. What could not be used is listed beside it.
    """
    _check_before(to, out, engine, recall, overwrite=overwrite)
    began = time.perf_counter()
    kept = f"No collection was built; what stood at {out} before is untouched." if to is None else STAYS_THERE
    with when_stopped(kept), progress_shown() as progress:
        loaded = Hasher.load(hasher)
        encoders = encoders_for(loaded, text_encoder, image_encoder, hasher)
        drawn = data_seed(seed, loaded)
        items = load_coded(data, loaded, progress, encoders=encoders, seed=drawn, reading=reading)
        if to is not None:
            show_sent(to, put_there(to, loaded, items, progress), loaded, as_json=as_json)
            return
        collection = build_collection(out, loaded, items, progress, overwrite=overwrite)
        carry_encoder(loaded, hasher, out)
    engines = _engines_of(collection, engine, recall)
    listing = keep_left_out(out, items.left_out)
    result = {
        "collection": str(out),
        "n": len(collection),
        "n_image": int(items.has_image.sum()),
        "n_text": int(items.has_text.sum()),
        "n_bits": collection.n_bits,
        "hasher": collection.manifest.hasher,
        "skipped": listed(items.left_out),
        "skipped_file": listing,
        "engines": engine_facts(engines),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if as_json:
        show_json(result)
        return
    show(f"{out}: {len(collection)} items with codes of {collection.n_bits} bits.")
    show_engines(engines)
    show_left_out(items.left_out, listing)
    example = _example(collection, items)
    named = Named(text_encoder).words("text") if example.startswith('"') else ""
    show(f"Next:  {own_command()} search {shlex.quote(str(out))} {example}{named}")


def _check_before(to: str | None, out: Path, engine: EngineName, recall: float | None, *, overwrite: bool) -> None:
    """Raise before the long work, not after it, for what cannot be done at its end."""
    check_engine(engine, to_build=to is None)
    recall_for(engine, recall)
    if to is None:
        check_target(out, overwrite=overwrite)
        check_folder_place(out)
    elif engine != "auto":
        raise SettingsError("--engine is for a collection; an engine at an address searches in its own way.")


def _engines_of(collection: Collection, engine: EngineName, recall: float | None) -> list[BuiltEngine]:
    """Build the engine of a collection that is whole already, which it stays whatever happens here."""
    again = f"crossbit compact {shlex.quote(str(collection.path))} --engine {engine}"
    with when_stopped(f"The collection is whole; its engine was not built (build it with  {again})."):
        return collection.build_engines(engine, target_recall=recall)


def _example(collection: Collection, items: CodedItems) -> str:
    """A query to try: words where they can be encoded, an item where hasher or data come from ready features."""
    if "text" in collection.hasher.encoders and "text" in items.encoders and items.has_text.any():
        return f'"{example_words(items.captions)}"'
    return f"--item {shlex.quote(next(collection.ids()))}"


def build_collection(
    path: Path, hasher: Hasher, items: CodedItems, progress: Progress, *, overwrite: bool = False
) -> Collection:
    """A collection of coded items, with small pictures of those whose pictures are there."""
    return Collection.create(
        path,
        hasher,
        items_of(items, progress),
        image=items.image,
        text=items.text,
        without_image=np.flatnonzero(~items.has_image),
        without_text=np.flatnonzero(~items.has_text),
        vocabulary=items.vocabulary,
        overwrite=overwrite,
    )


def items_of(items: CodedItems, progress: Progress) -> Items:
    """Coded items as a collection takes them, with small pictures and further columns."""
    n = len(items)
    contents = items.contents

    def thumbnail(row: int) -> bytes | None:
        progress(Step("write items", row + 1, n))
        picture = contents[row] if contents is not None and items.has_image[row] else None
        return small_picture(picture) if picture else None

    columns = {name: values for name, values in items.metadata.items() if name not in OWN_COLUMNS}
    return Items(items.ids, items.captions, items.pictures, thumbnail, columns)


_SPECIAL = frozenset('"$`\\!')
"""Signs that a shell reads within double quotes."""


def example_words(captions: Sequence[str]) -> str:
    """The first words of a caption, for an example that finds something."""
    caption = next((caption for caption in captions if caption.strip()), "words")
    return " ".join("".join(" " if sign in _SPECIAL else sign for sign in caption).split()[:3])
