"""Writing a segment: block after block, so that memory stays bounded, then flushed to the disk and described."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from crossbit.codes import bytes_of
from crossbit.collection.block import MODALITIES, Block, Modality
from crossbit.collection.ids import IdTable, hash_ids
from crossbit.collection.items import BATCH, conform
from crossbit.collection.manifest import SegmentEntry, described
from crossbit.collection.segment import ID_HASHES, ID_ROWS, ITEMS
from crossbit.files import flush


class SegmentWriter:
    """Fills a new folder with a segment. Use as a context, `append` blocks, then `finish`.

    widths: by modality, the width of the features that are stored; empty where none are.
    """

    def __init__(self, folder: Path, schema: pa.Schema, n_bits: int, widths: Mapping[Modality, int]) -> None:
        folder.mkdir()
        self._folder, self._schema, self._n_bits = folder, schema, n_bits
        self._items = pa.OSFile(str(folder / ITEMS), "wb")
        self._writer = pa.ipc.new_file(self._items, schema)
        self._codes = {m: _Growing(folder / f"{m}-codes.npy", np.dtype(np.uint8), bytes_of(n_bits)) for m in MODALITIES}
        self._features = {
            m: _Growing(folder / f"{m}-features.npy", np.dtype(np.float32), width) for m, width in widths.items()
        }
        self._waiting: list[pa.RecordBatch] = []
        self._hashes: list[NDArray[np.uint64]] = []
        self._rows: dict[Modality, list[NDArray[np.int64]]] = {modality: [] for modality in MODALITIES}
        self.n = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for growing in (*self._codes.values(), *self._features.values()):
            growing.file.close()
        self._items.close()

    def append(self, block: Block) -> None:
        """Take in some items."""
        if not len(block):
            return
        for modality in MODALITIES:
            self._codes[modality].append(block.codes[modality])
            self._rows[modality].append(np.flatnonzero(block.present(modality)) + self.n)
            if modality in self._features:
                self._features[modality].append(block.features[modality])
        self._hashes.append(hash_ids(block.ids))
        self.n += len(block)
        self._waiting.append(conform(block.batch, self._schema))
        self._write_batches(BATCH)

    def _write_batches(self, least: int) -> None:
        """Write what waits, in batches of BATCH rows, while at least `least` rows wait."""
        while (waiting := sum(batch.num_rows for batch in self._waiting)) >= least and waiting:
            taken, left = [], BATCH
            while self._waiting and left:
                first = self._waiting.pop(0)
                taken.append(first.slice(0, left))
                if first.num_rows > left:
                    self._waiting.insert(0, first.slice(left))
                left -= taken[-1].num_rows
            self._writer.write_batch(taken[0] if len(taken) == 1 else pa.concat_batches(taken))

    def finish(self) -> SegmentEntry:
        """Write the rest, flush everything to the disk and describe it."""
        self._write_batches(1)
        self._writer.close()
        self._items.close()
        for growing in (*self._codes.values(), *self._features.values()):
            growing.close()
        counts = {}
        for modality in MODALITIES:
            rows = np.concatenate([np.empty(0, np.int64), *self._rows[modality]])
            counts[modality] = len(rows)
            if len(rows) < self.n:
                np.save(self._folder / f"{modality}-rows.npy", rows, allow_pickle=False)
        table = IdTable.of(np.concatenate([np.empty(0, np.uint64), *self._hashes]))
        np.save(self._folder / ID_HASHES, table.hashes, allow_pickle=False)
        np.save(self._folder / ID_ROWS, table.rows, allow_pickle=False)
        files = sorted(self._folder.iterdir())
        entry = SegmentEntry(self._folder.name, self.n, counts, {file.name: described(file) for file in files})
        for file in (*files, self._folder, self._folder.parent):
            flush(file)
        return entry


class _Growing:
    """A .npy file of rows that are appended one after another; written plainly, so a full disk is an error."""

    def __init__(self, path: Path, kind: np.dtype[Any], width: int) -> None:
        self._kind, self._width, self._n = kind, width, 0
        self.file: BinaryIO = path.open("wb")
        self._head()
        self._start = self.file.tell()

    def _head(self) -> None:
        # NumPy leaves room in the header for more rows: its length does not change when they are counted at the end.
        shape = {"descr": np.lib.format.dtype_to_descr(self._kind), "fortran_order": False}
        np.lib.format.write_array_header_1_0(self.file, shape | {"shape": (self._n, self._width)})

    def append(self, rows: NDArray[Any]) -> None:
        assert rows.shape[1] == self._width
        self.file.write(np.ascontiguousarray(rows, self._kind).data if rows.size else b"")
        self._n += len(rows)

    def close(self) -> None:
        self.file.seek(0)
        self._head()
        assert self.file.tell() == self._start
        self.file.close()
