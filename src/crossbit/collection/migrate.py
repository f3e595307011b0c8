"""Giving a collection another hasher: all items are encoded anew while the old codes answer, then switch at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.collection.block import MODALITIES, Block, Kept, Modality, Packed, Real
from crossbit.collection.commit import Part, commit, new_mark, write_hasher, write_segment
from crossbit.collection.manifest import Manifest
from crossbit.collection.prepared import check_vocabulary
from crossbit.collection.segment import Segment
from crossbit.collection.snapshot import Item
from crossbit.collection.state import load_state
from crossbit.collection.writer import Writer
from crossbit.encoders import Vocabulary
from crossbit.errors import DataError, MismatchError
from crossbit.hasher import Hasher
from crossbit.progress import Progress, Step, silent

FeaturesOf = Callable[[Sequence[Item], Modality], NDArray[Any]]
"""Gives the features (n, d) of some items for the new hasher, one row an item; raises DataError where it cannot."""

CodesOf = Callable[[Sequence[Item], Modality], Codes]
"""Gives the codes of some items by the new hasher in their place."""

QUERY = "query"
"""The folder of exported query encoders: they belong to one hasher."""


@dataclass(frozen=True)
class Migrated:
    """What a migration did. n: items encoded. dropped_query: whether exported query encoders were deleted."""

    n: int
    dropped_query: bool


def migrate(
    writer: Writer,
    hasher: Hasher,
    *,
    features: FeaturesOf | None = None,
    codes: CodesOf | None = None,
    vocabulary: Vocabulary | None = None,
    progress: Progress = silent,
) -> Migrated:
    """Encode all items with another hasher and switch to it in one step; see `Collection.migrate`."""
    check_vocabulary(None if vocabulary is None else vocabulary.fingerprint(), hasher)
    with writer.changing("migrate"):
        writer.flush()
        state = writer.state
        if features is None and codes is None:
            _check_stored(state.hasher, hasher, state.manifest.widths)
        widths: dict[Modality, int] = {}
        if state.manifest.widths and codes is None:  # codes alone leave no features to store
            widths = {"image": hasher.image.width, "text": hasher.text.width}
        folder = writer.path / f"hasher-{new_mark(state.manifest.generation + 1)}"
        with writer.tidied():
            files = write_hasher(folder, hasher, vocabulary)
            manifest = replace(
                state.manifest,
                n_bits=hasher.n_bits,
                hasher=hasher.fingerprint(),
                method=hasher.method,
                hasher_folder=folder.name,
                hasher_files=files,
                widths=widths,
            )
            anew = _Anew(hasher, features, codes, state.snapshot.kinds, bool(widths))
            n = _encode_all(writer, manifest, anew, progress)
            writer.state = load_state(writer.path)
        return Migrated(n, _drop_query(writer.path))


def _encode_all(writer: Writer, manifest: Manifest, anew: _Anew, progress: Progress) -> int:
    snapshot = writer.state.snapshot
    total, done = len(snapshot), 0
    parts: list[Part] = []

    def encoded(segment: Segment, dead: Kept | None) -> Iterator[Block]:
        nonlocal done
        for block in segment.blocks(dead):
            yield anew.block(block)
            done += len(block)
            progress(Step("encode anew", done, total))

    for segment, dead in zip(snapshot.segments, snapshot.dead, strict=True):
        entry = write_segment(writer.path, manifest, encoded(segment, dead), {})
        if entry is not None:
            parts.append((entry, None, False))
    commit(writer.path, manifest, parts)
    return done


@dataclass(frozen=True, eq=False)
class _Anew:
    """Makes codes of another hasher. kinds: the metadata columns. store: whether features are stored."""

    hasher: Hasher
    features: FeaturesOf | None
    codes: CodesOf | None
    kinds: Mapping[str, str]
    store: bool

    def block(self, block: Block) -> Block:
        """The same items with codes of the other hasher."""
        stored = self.features is None and self.codes is None
        items = [] if stored else _items(block, self.kinds)
        codes: dict[Modality, Packed] = {}
        features: dict[Modality, Real] = {}
        for modality in MODALITIES:
            wanted = [item for item, there in zip(items, block.present(modality), strict=False) if there]
            n = int(block.present(modality).sum())
            if not n:
                codes[modality] = np.empty((0, bytes_of(self.hasher.n_bits)), np.uint8)
                values: NDArray[Any] = np.empty((0, getattr(self.hasher, modality).width), np.float32)
            elif self.codes is not None:
                codes[modality] = self.codes(wanted, modality).packed
            else:
                values = block.features[modality] if self.features is None else self.features(wanted, modality)
                encode = self.hasher.encode_images if modality == "image" else self.hasher.encode_texts
                codes[modality] = encode(values).packed
            if len(codes[modality]) != n:
                raise DataError(f"{n} items have their {modality} encoded anew; got {len(codes[modality])} rows.")
            if self.store:
                features[modality] = np.asarray(values, dtype=np.float32)
        return Block(block.batch, codes, features)


def _items(block: Block, kinds: Mapping[str, str]) -> list[Item]:
    return [
        Item(
            number,
            row["id"],
            row["caption"],
            row["picture"],
            row["has_image"],
            row["has_text"],
            {name: row.get(name) for name in kinds},
        )
        for number, row in enumerate(block.batch.drop_columns(["thumbnail"]).to_pylist())
    ]


def _check_stored(old: Hasher, new: Hasher, widths: Mapping[Modality, int]) -> None:
    """Raise unless the features that a collection stores are what the new hasher takes."""
    if not widths:
        raise DataError(
            "This collection stores no features, so its items cannot be encoded anew from itself. Give features= "
            "(--source DATA)."
        )
    for modality in MODALITIES:
        held, wanted = old.encoders.get(modality), new.encoders.get(modality)
        width = getattr(new, modality).width
        if widths[modality] != width or held != wanted:
            raise MismatchError(
                f"The stored {modality} features are {widths[modality]} values of {held or 'elsewhere'}; the new "
                f"hasher takes {width} of {wanted or 'elsewhere'}. Give features= of its own encoders (--source DATA)."
            )


def _drop_query(path: Path) -> bool:
    """Delete exported query encoders: they are of the old hasher, and can be exported anew."""
    if not (path / QUERY).is_dir():
        return False
    shutil.rmtree(path / QUERY, ignore_errors=True)
    return True
