"""Making a new manifest the collection's, in one step: its files first, then the manifest, then the old files go."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from crossbit import __version__
from crossbit.collection.block import Block, Kept
from crossbit.collection.engines import forget_engines
from crossbit.collection.items import metadata_kinds, schema_of
from crossbit.collection.log import create_log
from crossbit.collection.manifest import OURS, Manifest, Removed, SegmentEntry, described
from crossbit.collection.segment_writer import SegmentWriter
from crossbit.collection.state import HASHER, VOCABULARY
from crossbit.encoders import Vocabulary
from crossbit.errors import FileFormatError
from crossbit.files import flush
from crossbit.hasher import Hasher

Part = tuple[SegmentEntry, Kept | None, bool]
"""A segment of a new manifest, which of its rows are removed, and whether that differs from what its entry says."""


def new_mark(generation: int) -> str:
    """The ending of a new file's name; never given twice."""
    return f"{generation:08d}-{secrets.token_hex(4)}"


def write_hasher(folder: Path, hasher: Hasher, vocabulary: Vocabulary | None) -> dict[str, tuple[int, str]]:
    """Write a hasher into a new folder, flushed to the disk, and describe its files."""
    folder.mkdir()
    hasher.save(folder / HASHER)
    if vocabulary is not None:
        vocabulary.save(folder / VOCABULARY)
    for place in (folder, folder.parent):
        flush(place)
    return {file.name: described(file) for file in sorted(folder.iterdir())}


def write_segment(
    collection: Path, manifest: Manifest, blocks: Iterable[Block], kinds: dict[str, str]
) -> SegmentEntry | None:
    """Write the items of blocks as a new segment; None, and nothing on disk, where there are no items.

    kinds: the metadata columns that the blocks may have; what further ones the first block has is added.
    """
    waiting = iter(blocks)
    first = next((block for block in waiting if len(block)), None)
    if first is None:
        return None
    folder = collection / f"segment-{new_mark(manifest.generation + 1)}"
    schema = schema_of(kinds | metadata_kinds(first.batch.schema))
    with SegmentWriter(folder, schema, manifest.n_bits, manifest.widths) as writer:
        writer.append(first)
        for block in waiting:
            writer.append(block)
        return writer.finish()


def commit(collection: Path, manifest: Manifest, parts: Sequence[Part]) -> Manifest:
    """Make a manifest with these segments, and an empty log, the collection's; returns it as it was written."""
    generation = manifest.generation + 1
    entries = []
    for entry, dead, changed in parts:
        if changed:
            entry = replace(entry, removed=_write_removed(collection, generation, dead))
        entries.append(entry)
    log = f"log-{new_mark(generation)}"
    create_log(collection / log)
    flush(collection)
    written = replace(
        manifest, generation=generation, segments=tuple(entries), log=log, crossbit=__version__, version=2
    )
    written.write(collection)
    return written


def _write_removed(collection: Path, generation: int, dead: Kept | None) -> Removed | None:
    if dead is None or not dead.any():
        return None
    path = collection / f"removed-{new_mark(generation)}.npy"
    rows = np.flatnonzero(dead).astype(np.int64)
    np.save(path, rows, allow_pickle=False)
    flush(path)
    return Removed(path.name, len(rows), described(path))


def clear_leftovers(collection: Path) -> None:
    """Delete what bears a name of ours and no manifest names. Only for whoever holds the collection's lock.

    Nothing goes while the manifest cannot be read: what belongs to it is then not known.
    """
    try:
        manifest = Manifest.read(collection)
    except (FileFormatError, OSError):
        return
    belongs = manifest.referenced
    forget_engines(collection, {segment.name for segment in manifest.segments})
    for found in list(os.scandir(collection)):
        if OURS.fullmatch(found.name) and found.name not in belongs:
            if found.is_dir(follow_symlinks=False):
                shutil.rmtree(found.path, ignore_errors=True)
            else:
                Path(found.path).unlink(missing_ok=True)
