"""Small changes as records of the log, and what they make of a snapshot."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from crossbit.codes import bytes_of
from crossbit.collection.batches import WHAT_TO_DO
from crossbit.collection.block import MODALITIES, Block, Modality, Packed, Real
from crossbit.collection.ids import id_column
from crossbit.collection.items import FIXED, conform, metadata_kinds, schema_of
from crossbit.collection.log import Record
from crossbit.collection.segment import Segment, memory_segment
from crossbit.collection.snapshot import Snapshot
from crossbit.errors import DataError, FileFormatError

ADD, REMOVE = 1, 2
_LENGTH, _PART = struct.Struct("<Q"), struct.Struct("<QI")


def added(block: Block) -> Record:
    """The record of items that were added, in place of items of the same ids."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, block.batch.schema) as stream:
        stream.write_batch(block.batch)
    columns = sink.getvalue().to_pybytes()
    parts = [_LENGTH.pack(len(columns)), columns]
    for modality in MODALITIES:
        codes, features = block.codes[modality], block.features.get(modality)
        parts += [_PART.pack(len(codes), 0 if features is None else features.shape[1]), codes.tobytes()]
        if features is not None:
            parts.append(np.ascontiguousarray(features, np.float32).tobytes())
    return Record(ADD, b"".join(parts))


def removed(ids: Sequence[str]) -> Record:
    """The record of items that were removed."""
    return Record(REMOVE, json.dumps(list(ids)).encode())


def block_of(record: Record, n_bits: int) -> Block:
    """The items of a record of addition; raises FileFormatError for one that is not as `added` makes it."""
    try:
        content = memoryview(record.payload)
        (length,) = _LENGTH.unpack_from(content)
        place = _LENGTH.size + length
        batch = pa.ipc.open_stream(pa.py_buffer(content[_LENGTH.size : place])).read_next_batch()
        batch.validate(full=True)
        if batch.schema.names[: len(FIXED)] != FIXED.names:
            raise ValueError("it lacks the columns of items")
        codes: dict[Modality, Packed] = {}
        features: dict[Modality, Real] = {}
        for modality in MODALITIES:
            m, width = _PART.unpack_from(content, place)
            place += _PART.size
            if m != int(batch.column(f"has_{modality}").true_count):
                raise ValueError("it has other codes than items")
            codes[modality] = np.frombuffer(content, np.uint8, m * bytes_of(n_bits), place).reshape(m, bytes_of(n_bits))
            place += codes[modality].nbytes
            if width:
                features[modality] = np.frombuffer(content, np.float32, m * width, place).reshape(m, width)
                place += features[modality].nbytes
    except (struct.error, pa.ArrowException, OSError, ValueError, StopIteration) as error:
        raise FileFormatError(f"The log holds a record that cannot be read: {error}. {WHAT_TO_DO}") from error
    return Block(batch, codes, features)


def apply_records(snapshot: Snapshot, records: Iterable[Record]) -> Snapshot:
    """What changes make of a snapshot whose last segment is in memory; raises FileFormatError for unknown records."""
    blocks: list[Block] = []
    last: dict[str, tuple[int, int]] = {}  # by id, in which block and row its newest content stands
    touched: dict[str, None] = {}
    for record in records:
        if record.kind == ADD:
            block = block_of(record, snapshot.n_bits)
            names = block.ids.to_pylist()
            last |= {name: (len(blocks), row) for row, name in enumerate(names)}
            blocks.append(block)
        elif record.kind == REMOVE:
            names = json.loads(record.payload)
            for name in names:
                last.pop(name, None)
        else:
            raise FileFormatError(f"The log holds a record of kind {record.kind}, which this crossbit does not know.")
        touched |= dict.fromkeys(names)
    if not touched:
        return snapshot
    kept = [np.zeros(len(block), np.bool_) for block in blocks]
    for number, row in last.values():
        kept[number][row] = True
    rows = snapshot.find(id_column(list(touched)))
    changed = snapshot.without(rows[rows >= 0]) if (rows >= 0).any() else snapshot
    return appended(changed, [block.filter(mask) for block, mask in zip(blocks, kept, strict=True)])


def appended(snapshot: Snapshot, blocks: Sequence[Block]) -> Snapshot:
    """The snapshot with new items behind those of its last segment, which is in memory."""
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return snapshot
    tail = snapshot.segments[-1]
    kinds = metadata_kinds(tail.items.schema)
    for block in blocks:
        kinds |= merged_kinds(snapshot.kinds | kinds, metadata_kinds(block.batch.schema))
    return snapshot.with_last(memory_segment(snapshot.n_bits, schema_of(kinds), _few(tail, blocks)))


def merged_kinds(known: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The metadata columns given; raises DataError where a column is known to hold something else."""
    for name, kind in given.items():
        if known.get(name, kind) != kind:
            raise DataError(f"The metadata column {name!r} holds {known[name]} values; got {kind} ones.")
    return dict(given)


def _few(tail: Segment, blocks: Sequence[Block]) -> list[Block]:
    """The items of a segment in memory and those that follow, in few blocks: each is larger than the next."""
    few = [*(block for block in tail.blocks() if len(block)), _joined(blocks)]
    while len(few) > 1 and len(few[-1]) >= len(few[-2]):
        few[-2:] = [_joined(few[-2:])]
    return few


def _joined(blocks: Sequence[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    kinds: dict[str, str] = {}
    for block in blocks:
        kinds |= metadata_kinds(block.batch.schema)
    schema = schema_of(kinds)
    batch = pa.concat_batches([conform(block.batch, schema) for block in blocks])
    codes = {modality: np.concatenate([block.codes[modality] for block in blocks]) for modality in MODALITIES}
    stored = [modality for modality in MODALITIES if all(modality in block.features for block in blocks)]
    return Block(batch, codes, {m: np.concatenate([block.features[m] for block in blocks]) for m in stored})
