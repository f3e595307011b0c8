"""Segments: the items of a collection, in folders that are written once and never changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of
from crossbit.collection.batches import WHAT_TO_DO, Batches
from crossbit.collection.block import MODALITIES, Block, Kept, Modality, Packed, Real, present_in
from crossbit.collection.engines import BuiltEngine, EngineName, kept_engine, told_engine
from crossbit.collection.filters import as_places, booleans
from crossbit.collection.ids import Hashes, IdTable, Rows, hash_ids
from crossbit.collection.items import conform
from crossbit.collection.manifest import SegmentEntry
from crossbit.collection.scan import index_over
from crossbit.errors import FileFormatError
from crossbit.index import Index

ITEMS, ID_HASHES, ID_ROWS = "items.arrow", "id-hashes.npy", "id-rows.npy"


@dataclass(frozen=True, eq=False)
class Segment:
    """n items that never change. name: its folder, or "" for items that are in memory only.

    items: their columns. ids: from id to row. codes: by modality, those of the items that have it. rows: by modality,
    which items these are, ascending; None where all have it, so that it takes no memory. features: by modality, (m, d)
    float32, where they are stored. collection: the folder in which engines may be kept for it.
    """

    name: str
    n_bits: int
    items: Batches
    ids: IdTable
    codes: Mapping[Modality, Packed]
    rows: Mapping[Modality, NDArray[np.int64] | None]
    features: Mapping[Modality, Real] = field(default_factory=dict)
    collection: Path | None = None
    _indexes: dict[tuple[Modality, str], Index] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self.items)

    def kept_codes(self, modality: Modality, dead: Kept | None) -> tuple[Rows, Packed]:
        """The rows that have a modality and are not removed, and their codes."""
        rows, codes = self.rows[modality], self.codes[modality]
        rows = np.arange(len(codes), dtype=np.int64) if rows is None else np.asarray(rows)
        if dead is None:
            return rows, codes
        alive = ~dead[rows]
        return rows[alive], codes[alive]

    def count(self, modality: Modality, dead: Kept | None) -> int:
        """How many items have a modality and are not removed."""
        rows = self.rows[modality]
        if dead is None:
            return len(self.codes[modality])
        return len(self.codes[modality]) - int((dead if rows is None else dead[rows]).sum())

    def engine(self, modality: Modality) -> BuiltEngine:
        """What engine is kept for the codes of a modality, and what it gives; its contents are not looked at."""
        return told_engine(self.collection, self.name, modality, len(self.codes[modality]))

    def index(self, modality: Modality, engine: EngineName = "auto") -> Index:
        """The codes of a modality under their rows, ready to be searched; made at first use.

        engine: "auto" for the one that is kept; where there is none, or another, all codes are compared.
        """
        kind = self.engine(modality).engine if engine == "auto" else engine
        with self._lock:
            if (modality, kind) not in self._indexes:
                codes, kept = Codes(self.codes[modality], self.n_bits), None
                if self.collection is not None and kind != "exact":
                    kept = kept_engine(self.collection, self.name, modality, codes, kind)
                self._indexes[modality, kind] = index_over(codes, self.rows[modality]) if kept is None else kept
            return self._indexes[modality, kind]

    def forget_indexes(self) -> None:
        """Make the indexes anew at their next use, for another engine was built."""
        with self._lock:
            self._indexes.clear()

    def find(self, names: pa.Array, hashes: Hashes, dead: Kept | None) -> Rows:
        """The rows of the items with these ids (n,); -1 where there is none or it is removed (dead)."""
        found = np.full(len(hashes), -1, np.int64)
        asked, rows = self.ids.candidates(hashes)
        if dead is not None and len(rows):
            alive = ~dead[rows]
            asked, rows = asked[alive], rows[alive]
        if len(rows):
            if int(rows.max()) >= len(self):
                raise FileFormatError(
                    f"{self.name}/{ID_ROWS} is damaged: it names rows that are not there. {WHAT_TO_DO}"
                )
            stored = self.items.take("id", rows)
            equal = booleans(pa.compute.equal(stored, names.take(as_places(asked))))
            found[asked[equal]] = rows[equal]
        return found

    def block(self, rows: Rows) -> Block:
        """The items of some rows, in their order."""
        columns = [self.items.take(name, rows) for name in self.items.schema.names]
        batch = pa.RecordBatch.from_arrays(columns, schema=self.items.schema)
        codes = {}
        for modality in MODALITIES:
            codes[modality] = self.codes[modality][self._places(modality, rows[present_in(batch, modality)])]
        return Block(batch, codes)

    def code(self, modality: Modality, row: int) -> Packed | None:
        """The (1, bytes) code of one item, or None where it lacks the modality."""
        if not self.items.value(f"has_{modality}", row):
            return None
        place = self._places(modality, np.array([row], np.int64))
        return self.codes[modality][place]

    def _places(self, modality: Modality, rows: Rows) -> NDArray[np.int64]:
        held, m = self.rows[modality], len(self.codes[modality])
        places = rows if held is None else np.searchsorted(held, rows)
        if len(places) and (int(places.max()) >= m or (held is not None and (held[places] != rows).any())):
            raise FileFormatError(f"{self.name} is damaged: an item's {modality} code is not there. {WHAT_TO_DO}")
        return np.asarray(places, dtype=np.int64)

    def blocks(self, dead: Kept | None = None) -> Iterator[Block]:
        """All items that are not removed, a batch at a time."""
        for start, batch in self.items:
            stop = start + batch.num_rows
            codes, features = {}, {}
            for modality in MODALITIES:
                rows = self.rows[modality]
                low, high = (start, stop) if rows is None else np.searchsorted(rows, [start, stop])
                codes[modality] = self.codes[modality][low:high]
                if len(codes[modality]) != int(present_in(batch, modality).sum()):
                    raise FileFormatError(
                        f"{self.name} is damaged: it has other {modality} codes than items. {WHAT_TO_DO}"
                    )
                if modality in self.features:
                    features[modality] = self.features[modality][low:high]
            block = Block(batch, codes, features)
            yield block if dead is None else block.filter(~dead[start:stop])


def memory_segment(n_bits: int, schema: pa.Schema, blocks: Sequence[Block], hashes: Hashes | None = None) -> Segment:
    """A segment of blocks that are in memory. hashes: of all their ids, where they are known already."""
    blocks = blocks or [no_items(n_bits, schema)]
    batches = [conform(block.batch, schema) for block in blocks]
    if hashes is None:
        hashes = np.concatenate([hash_ids(batch.column("id")) for batch in batches])
    rows: dict[Modality, NDArray[np.int64] | None] = {}
    codes, features = {}, {}
    for modality in MODALITIES:
        present = np.concatenate([block.present(modality) for block in blocks])
        rows[modality] = None if present.all() else np.flatnonzero(present).astype(np.int64)
        codes[modality] = np.concatenate([block.codes[modality] for block in blocks])
        if all(modality in block.features for block in blocks):
            features[modality] = np.concatenate([block.features[modality] for block in blocks])
    return Segment("", n_bits, Batches.of(schema, batches), IdTable.of(hashes), codes, rows, features)


def no_items(n_bits: int, schema: pa.Schema) -> Block:
    """A block of no items."""
    none = np.empty((0, bytes_of(n_bits)), np.uint8)
    # Not from_pylist: that imports pandas where it is installed, which takes longer than opening a collection.
    columns = [pa.nulls(0, field.type) for field in schema]
    return Block(pa.RecordBatch.from_arrays(columns, schema=schema), dict.fromkeys(MODALITIES, none))


def open_segment(folder: Path, entry: SegmentEntry, n_bits: int) -> Segment:
    """Map a segment's files; raises FileFormatError, naming the file, for one that is missing or of another size."""
    for name, (size, _) in entry.files.items():
        found = (folder / name).stat().st_size if (folder / name).is_file() else -1
        if found != size:
            state = "is missing" if found < 0 else f"has {found} bytes in place of {size}: it was truncated or altered"
            raise FileFormatError(f"{folder / name} {state}. {WHAT_TO_DO}")
    rows: dict[Modality, NDArray[np.int64] | None] = {}
    codes, features = {}, {}
    for modality in MODALITIES:
        m = entry.counts[modality]
        codes[modality] = _array(folder / f"{modality}-codes.npy", np.uint8, (m, bytes_of(n_bits)))
        if f"{modality}-rows.npy" in entry.files:
            rows[modality] = _array(folder / f"{modality}-rows.npy", np.int64, (m,))
        elif m == entry.n:
            rows[modality] = None
        else:
            raise FileFormatError(f"{folder} has {m} {modality} codes for {entry.n} items. {WHAT_TO_DO}")
        if f"{modality}-features.npy" in entry.files:
            features[modality] = _array(folder / f"{modality}-features.npy", np.float32, (m, -1))
    ids = IdTable(_array(folder / ID_HASHES, np.uint64, (entry.n,)), _array(folder / ID_ROWS, np.uint32, (entry.n,)))
    return Segment(entry.name, n_bits, Batches.open(folder / ITEMS, entry.n), ids, codes, rows, features, folder.parent)


def _array(path: Path, kind: type, shape: tuple[int, ...]) -> NDArray[Any]:
    """A mapped array of this type and shape (-1: any)."""
    try:
        mapped = np.load(path, mmap_mode=None if 0 in shape else "r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(f"{path} cannot be read: {error}. {WHAT_TO_DO}") from error
    fits = mapped.ndim == len(shape) and all(w in (-1, g) for w, g in zip(shape, mapped.shape, strict=True))
    if mapped.dtype != kind or not fits:
        raise FileFormatError(
            f"{path} holds {mapped.dtype} of {mapped.shape}, not {kind.__name__} of {shape}. {WHAT_TO_DO}"
        )
    plain: NDArray[Any] = mapped.view(np.ndarray)
    return plain
