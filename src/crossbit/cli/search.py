"""crossbit search: ask a collection with words, a picture or one of its items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from crossbit.cli.console import show, show_json, show_table, when_stopped
from crossbit.cli.engines import BuiltAlready, engine_facts, searched_by, show_engines
from crossbit.cli.options import AsJson, CollectionFolder, KnownImageEncoder, KnownTextEncoder, Where
from crossbit.cli.places import check_folder_place
from crossbit.cli.queries import Named, encode_picture, encode_words
from crossbit.collection import Collection, EngineName, Hit, Modality
from crossbit.errors import SettingsError
from crossbit.files import write_whole
from crossbit.index.engines import is_address


def search(
    collection: CollectionFolder,
    words: Annotated[
        str | None, typer.Argument(help='What to look for, such as "a red fruit".', metavar="WORDS")
    ] = None,
    image: Annotated[Path | None, typer.Option("--image", help="Ask with a picture file.")] = None,
    item: Annotated[str | None, typer.Option("--item", help="Ask with an item of the collection, by its id.")] = None,
    k: Annotated[int, typer.Option("-k", "--hits", help="How many hits.", min=1)] = 10,
    among: Annotated[
        str | None,
        typer.Option(help="What is searched, image or text; without it, the other kind than the query's."),
    ] = None,
    where: Where = None,
    max_distance: Annotated[
        int | None, typer.Option("--max-distance", help="Leave out hits that differ in more bits.", min=0)
    ] = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence", help="Leave out hits below this probability (calibrated hashers).", min=0, max=1
        ),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="A folder to write the hits' pictures to, for looking at them.")
    ] = None,
    engine: BuiltAlready = "auto",
    hasher: Annotated[
        Path | None, typer.Option("--hasher", help="With an engine's address as COLLECTION: what encodes the query.")
    ] = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    as_json: AsJson = False,
) -> None:
    """Ask a collection with words, a picture or an item.

    Found are the items whose codes differ least from the query's. Words find pictures; a picture finds texts.
    """
    asked = [(name, value) for name, value in (("words", words), ("image", image), ("item", item)) if value is not None]
    if len(asked) != 1:
        raise typer.BadParameter("Ask with one of: words in quotes, --image FILE, --item ID.")
    named = Named(text_encoder, image_encoder)
    if is_address(str(collection)):
        from crossbit.cli.beside import Sought, search_there, show_there

        if min_confidence is not None or pictures is not None or engine != "auto":
            raise SettingsError("--min-confidence, --pictures and --engine are for collections, not for an address.")
        sought = Sought(k, among, where, max_distance)
        show_there(search_there(str(collection), hasher, words, image, sought, named), as_json=as_json)
        return
    if pictures is not None:
        check_folder_place(pictures, "--pictures")
    with when_stopped("Searching changes nothing."):
        opened = Collection.open(collection)
        wanted = _Wanted(k, _side(among), where, max_distance, min_confidence, engine)
        hits = _found(opened, words, image, item, wanted, named)
        files = _write_pictures(opened, hits, pictures) if pictures else {}
        default: Modality | None = "image" if words is not None else "text" if image is not None else None
        engines = searched_by(opened.engines, engine, wanted.among or default)
    if as_json:
        found = [
            {"rank": hit.rank, "id": hit.id, "distance": hit.distance, "caption": hit.caption, "picture": hit.picture}
            | {"confidence": hit.confidence, "metadata": dict(hit.metadata)}
            | ({"file": files[hit.row]} if hit.row in files else {})
            for hit in hits
        ]
        name, value = asked[0]
        facts = {"n_bits": opened.n_bits, "n": len(opened), "engines": engine_facts(engines)}
        show_json({"query": {name: str(value)}, **facts, "hits": found})
        return
    _show_hits(opened, hits, files)
    if any(one.engine != "exact" for one in engines):
        show_engines(engines)


@dataclass(frozen=True)
class _Wanted:
    """What the options ask for besides the query."""

    k: int
    among: Modality | None
    where: str | None
    max_distance: int | None
    min_confidence: float | None
    engine: EngineName


def _found(
    opened: Collection, words: str | None, image: Path | None, item: str | None, wanted: _Wanted, named: Named
) -> list[Hit]:
    if words is None and image is None:
        return opened.search_item(
            str(item),
            wanted.k,
            among=wanted.among,
            where=wanted.where,
            max_distance=wanted.max_distance,
            min_confidence=wanted.min_confidence,
            engine=wanted.engine,
        )
    if words is not None:
        code, by = encode_words(opened.hasher, words, opened.vocabulary, opened.path, named), "text"
    else:
        assert image is not None  # one of the three is given
        code, by = encode_picture(opened.hasher, image, opened.path, named), "image"
    asked: Modality = "text" if by == "text" else "image"
    return opened.search(
        code,
        wanted.k,
        by=asked,
        among=wanted.among or ("image" if asked == "text" else "text"),
        where=wanted.where,
        max_distance=wanted.max_distance,
        min_confidence=wanted.min_confidence,
        engine=wanted.engine,
    )[0]


def _side(among: str | None) -> Modality | None:
    sides: dict[str | None, Modality | None] = {None: None, "image": "image", "text": "text"}
    if among not in sides:
        raise SettingsError(f"--among is image or text; got {among!r}.")
    return sides[among]


def _write_pictures(opened: Collection, hits: list[Hit], folder: Path) -> dict[int, str]:
    """The hits' pictures as files named by rank; their paths by row."""
    files = {}
    for hit in hits:
        content = opened.thumbnail(hit.id)
        if content is not None:
            ending = "png" if content.startswith(b"\x89PNG") else "webp" if content.startswith(b"RIFF") else "jpg"
            path = folder / f"{hit.rank:03}-{''.join(c if c.isalnum() else '-' for c in hit.id)[:40]}.{ending}"
            write_whole(path, content)
            files[hit.row] = str(path)
    return files


def _show_hits(opened: Collection, hits: list[Hit], files: dict[int, str]) -> None:
    where = [files.get(hit.row) or hit.picture for hit in hits]
    sure = any(hit.confidence is not None for hit in hits)
    columns = ["bits", *(["confidence"] if sure else []), "id", "caption", *(["picture"] if any(where) else [])]
    rows = [
        [
            str(hit.distance),
            *([f"{hit.confidence:.2f}"] if hit.confidence is not None else []),
            hit.id,
            hit.caption,
            *([place] if any(where) else []),
        ]
        for hit, place in zip(hits, where, strict=True)
    ]
    show_table("", columns, rows, right=["bits", "confidence"])
    show(f"{len(hits)} of {len(opened)} items; bits: how many of {opened.n_bits} differ from the query's code.")
