"""crossbit migrate: give a collection another hasher."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from crossbit.cli.coded import load_coded
from crossbit.cli.console import progress_shown, show, show_json, when_stopped
from crossbit.cli.data import data_seed, encoders_for
from crossbit.cli.options import AsJson, CollectionFolder, DataSeed
from crossbit.cli.queries import query_encoder
from crossbit.cli.reading import EVERYTHING, reads_source
from crossbit.codes import Codes
from crossbit.collection import Collection, FeaturesOf, Item, Modality
from crossbit.datasets import CodedItems, Reading
from crossbit.errors import DataError
from crossbit.hasher import Hasher


@reads_source
def migrate(
    collection: CollectionFolder,
    hasher: Annotated[Path, typer.Option("--hasher", help="The hasher file that is to make the codes.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="DATA",
            help="Where the items' pictures and texts, or features (.npz), are, under the same ids. Without it: the "
            "features that the collection stores, else its captions and the pictures at their paths.",
        ),
    ] = None,
    seed: DataSeed = None,
    reading: Reading = EVERYTHING,
    as_json: AsJson = False,
) -> None:
    """Encode a collection's items with another hasher and switch to it in one step.

    Until that step the old codes answer; nothing can be added meanwhile. Stopped before, everything is as it was.
    """
    with when_stopped("The collection is as it was, with its old hasher."), progress_shown() as progress:
        opened, loaded = Collection.open(collection), Hasher.load(hasher)
        vocabulary = opened.vocabulary
        kept = vocabulary if vocabulary and vocabulary.fingerprint() == loaded.encoders.get("text") else None
        if source is not None:
            encoders = encoders_for(loaded)
            drawn = data_seed(seed, loaded)
            items = load_coded(source, loaded, progress, encoders=encoders, seed=drawn, reading=reading)
            done = opened.migrate(loaded, codes=_ByIds(items), vocabulary=items.vocabulary or kept, progress=progress)
        else:
            at_hand = None if opened.manifest.widths else _at_hand(loaded)
            done = opened.migrate(loaded, features=at_hand, vocabulary=kept, progress=progress)
    facts = {"collection": str(collection), "n": done.n, "n_bits": opened.n_bits, "hasher": opened.manifest.hasher}
    if as_json:
        show_json({**facts, "dropped_query": done.dropped_query})
        return
    show(f"{collection}: {done.n} items have codes of {opened.n_bits} bits by the hasher {opened.manifest.hasher}.")
    if done.dropped_query:
        show("The exported query encoders were of the old hasher and are deleted; export them anew (crossbit export).")


class _ByIds:
    """Gives codes that were made of a source, by the items' ids."""

    def __init__(self, items: CodedItems) -> None:
        self._items = items
        self._rows = {name: row for row, name in enumerate(items.ids)}

    def __call__(self, items: Sequence[Item], modality: Modality) -> Codes:
        has = self._items.has_image if modality == "image" else self._items.has_text
        missing = [item.id for item in items if item.id not in self._rows or not has[self._rows[item.id]]]
        if missing:
            raise DataError(
                f"{len(missing)} items of the collection have no {modality} in the source, the first is "
                f"{missing[0]!r}. Give a source with all of them, or remove them first."
            )
        codes = self._items.image if modality == "image" else self._items.text
        return codes[np.array([self._rows[item.id] for item in items], dtype=np.int64)]


def _at_hand(hasher: Hasher) -> FeaturesOf:
    """Features of the captions in the collection and of the pictures at the paths it names."""

    def features(items: Sequence[Item], modality: Modality) -> NDArray[Any]:
        encoder = query_encoder(hasher, modality)
        given = [item.caption if modality == "text" else Path(item.picture) for item in items]
        encoded = encoder.encode(given)
        if encoded.skipped:
            first = encoded.skipped[0]
            raise DataError(
                f"The {modality} of {items[first.row].id!r} is not at hand ({first.reason}); give --source DATA."
            )
        return encoded.features

    return features
