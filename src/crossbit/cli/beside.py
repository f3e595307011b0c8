"""Items put into an engine beside crossbit, and asked for there: crossbit index --to, crossbit search ADDRESS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crossbit.cli.console import show, show_json, show_table
from crossbit.cli.queries import NOBODY, Named, encode_picture, encode_words
from crossbit.codes import Codes
from crossbit.collection.fulfilling import fulfilling
from crossbit.datasets import CodedItems
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.index.beside import parts_of, without_password
from crossbit.index.engines import EngineIndex, numbers_of, open_engine
from crossbit.index.protocol import Hits
from crossbit.pairs import Rows
from crossbit.progress import Progress, Step

_AT_ONCE = 20_000  # items sent between two steps of the progress
_LONGEST = 2000  # signs of a caption that are kept
_MOST_LOOKED_AT = 16_384  # nearest items that a condition is tried on: Milvus gives no more
MODALITIES = ("image", "text")
STAYS_THERE = "What was sent to the engine stays there; the same command again completes it."


def put_there(address: str, hasher: Hasher, items: CodedItems, progress: Progress) -> dict[str, int]:
    """Put the codes of all items into an engine, in place of what stands there under their names; how many by modality.

    Image and text codes stand in two places, called by the address's name with _image and _text behind it. Beside
    each stand item_id, item_caption and the item's metadata. Safe to do again after any failure.
    """
    numbers, sent = numbers_of(items.ids), {}
    for modality, codes, there in (("image", items.image, items.has_image), ("text", items.text, items.has_text)):
        rows = np.flatnonzero(there)
        index = open_engine(address, modality, hasher.n_bits, hasher.fingerprint())
        try:
            for part in parts_of(len(rows), _AT_ONCE):
                some = rows[part]
                index.upsert(codes[some], numbers[some], metadata=_columns(items, some))
                progress(Step(f"send {modality} codes", part.stop, len(rows)))
        finally:
            index.close()
        sent[modality] = len(rows)
    return sent


def show_sent(address: str, sent: dict[str, int], hasher: Hasher, *, as_json: bool) -> None:
    """Say what was put into an engine."""
    shown = without_password(address)
    if as_json:
        counts = {f"n_{modality}": count for modality, count in sent.items()}
        show_json({"to": shown, **counts, "n_bits": hasher.n_bits, "hasher": hasher.fingerprint()})
        return
    show(f"{shown}: {sent['image']} image and {sent['text']} text codes of {hasher.n_bits} bits.")


def _columns(items: CodedItems, rows: Rows) -> dict[str, Sequence[Any]]:
    own = {"item_id": items.ids, "item_caption": [caption[:_LONGEST] for caption in items.captions]}
    return {name: [values[row] for row in rows] for name, values in {**items.metadata, **own}.items()}


@dataclass(frozen=True)
class Sought:
    """What is looked for in an engine. among: image or text; None for the other kind than the query's."""

    k: int
    among: str | None = None
    where: str | None = None
    max_distance: int | None = None


@dataclass(frozen=True)
class FoundThere:
    """Hits as plain values, nearest first. complete: False where the condition was tried on the nearest items alone, as
    many as are looked at, and there may be more hits among the others."""

    hits: list[dict[str, Any]]
    complete: bool = True


def search_there(
    address: str,
    hasher_file: Path | None,
    words: str | None,
    image: Path | None,
    sought: Sought,
    named: Named = NOBODY,
) -> FoundThere:
    """The hits of a query in an engine.

    Raises SettingsError without a hasher file, which is what encodes the query, or for a side that is not there.
    """
    if hasher_file is None:
        raise SettingsError("An engine holds no hasher: say which one encodes the query (--hasher FILE).")
    if sought.among not in (None, *MODALITIES):
        raise SettingsError(f"--among is image or text; got {sought.among!r}.")
    hasher = Hasher.load(hasher_file)
    if words is not None:
        query, among = encode_words(hasher, words, named=named), sought.among or "image"
    elif image is not None:
        query, among = encode_picture(hasher, image, named=named), sought.among or "text"
    else:
        raise SettingsError("An engine is asked with words or a picture (--image FILE).")
    return found_there(address, hasher, query, replace(sought, among=among))


def found_there(address: str, hasher: Hasher, query: Codes, sought: Sought) -> FoundThere:
    """The hits nearest to one code. A condition is tried on what the engine finds, of which more and more is asked for:
    so it means what it means in a collection, whatever the engine's own language."""
    index = open_engine(address, sought.among or "image", hasher.n_bits, hasher.fingerprint(), make=False)
    limit = sought.k if sought.where is None else min(4 * sought.k + 64, _MOST_LOOKED_AT)
    try:
        while True:
            found = index.search(query, limit)
            rows = _rows(index, found, sought.max_distance)
            hits = rows if sought.where is None else fulfilling(rows, sought.where)
            last = found.ids.shape[1] < limit or len(rows) < found.ids.shape[1]
            if last or sought.where is None or len(hits) >= sought.k or limit >= _MOST_LOOKED_AT:
                complete = last or sought.where is None or len(hits) >= sought.k
                break
            limit = min(4 * limit, _MOST_LOOKED_AT)
    finally:
        index.close()
    return FoundThere([{"rank": rank, **hit} for rank, hit in enumerate(hits[: sought.k], 1)], complete)


def _rows(index: EngineIndex, found: Hits, max_distance: int | None) -> list[dict[str, Any]]:
    """Hits with what stands beside their codes, up to a distance."""
    near = found.distances[0] <= (np.iinfo(np.int32).max if max_distance is None else max_distance)
    ids, distances = found.ids[0][near], found.distances[0][near]
    about = index.metadata(ids) if len(ids) else {}
    rows = []
    for number, distance in zip(ids.tolist(), distances.tolist(), strict=True):
        told = dict(about.get(number, {}))
        name, caption = told.pop("item_id", ""), told.pop("item_caption", "")
        rows.append({"id": name, "distance": distance, "caption": caption, "metadata": told})
    return rows


def show_there(found: FoundThere, *, as_json: bool) -> None:
    """Show hits of an engine."""
    if as_json:
        show_json({"hits": found.hits, "complete": found.complete})
        return
    rows = [[str(hit["distance"]), str(hit["id"]), str(hit["caption"])] for hit in found.hits]
    show_table("", ["bits", "id", "caption"], rows, right=["bits"])
    if not found.complete:
        show(
            f"The condition was tried on the {_MOST_LOOKED_AT:,} nearest items; there may be more hits among the rest."
        )
