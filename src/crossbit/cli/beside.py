"""Items put into an engine beside crossbit, and asked for there: crossbit index --to, crossbit search ADDRESS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from crossbit.cli.console import show, show_json, show_table
from crossbit.cli.queries import NOBODY, Named, encode_picture, encode_words
from crossbit.codes import Codes
from crossbit.datasets import CodedItems
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.index.beside import parts_of, without_password
from crossbit.index.engines import numbers_of, open_engine
from crossbit.pairs import Rows
from crossbit.progress import Progress, Step

_AT_ONCE = 20_000  # items sent between two steps of the progress
_LONGEST = 2000  # signs of a caption that are kept
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


def search_there(
    address: str,
    hasher_file: Path | None,
    words: str | None,
    image: Path | None,
    k: int,
    among: str | None,
    named: Named = NOBODY,
) -> list[dict[str, Any]]:
    """The hits of a query in an engine, as plain values, nearest first.

    Raises SettingsError without a hasher file, which is what encodes the query, or for a side that is not there.
    """
    if hasher_file is None:
        raise SettingsError("An engine holds no hasher: say which one encodes the query (--hasher FILE).")
    if among not in (None, *MODALITIES):
        raise SettingsError(f"--among is image or text; got {among!r}.")
    hasher = Hasher.load(hasher_file)
    if words is not None:
        query, among = encode_words(hasher, words, named=named), among or "image"
    elif image is not None:
        query, among = encode_picture(hasher, image, named=named), among or "text"
    else:
        raise SettingsError("An engine is asked with words or a picture (--image FILE).")
    return found_there(address, hasher, query, k, among)


def found_there(address: str, hasher: Hasher, query: Codes, k: int, among: str) -> list[dict[str, Any]]:
    """The k hits nearest to one code."""
    index = open_engine(address, among, hasher.n_bits, hasher.fingerprint())
    try:
        hits = index.search(query, k)
        about = index.metadata(hits.ids[0])
    finally:
        index.close()
    return [
        {
            "rank": rank,
            "id": about.get(int(number), {}).get("item_id", ""),
            "distance": int(distance),
            "caption": about.get(int(number), {}).get("item_caption", ""),
        }
        for rank, (number, distance) in enumerate(zip(hits.ids[0], hits.distances[0], strict=True), 1)
    ]


def show_there(hits: list[dict[str, Any]], *, as_json: bool) -> None:
    """Show hits of an engine."""
    if as_json:
        show_json({"hits": hits})
        return
    rows = [[str(hit["distance"]), str(hit["id"]), str(hit["caption"])] for hit in hits]
    show_table("", ["bits", "id", "caption"], rows, right=["bits"])
