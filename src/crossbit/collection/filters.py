"""Conditions on the columns of items, run by Arrow's column functions over one batch of rows after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crossbit.collection.conditions import (
    All,
    Column,
    Compare,
    Condition,
    IsNull,
    Like,
    Not,
    OneOf,
    Operand,
    Some,
    Value,
)
from crossbit.errors import SettingsError

ARROW_TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "real": pa.float64(),
    "boolean": pa.bool_(),
    "null": pa.bool_(),
}
KINDS = {pa.string(): "text", pa.int64(): "integer", pa.float64(): "real", pa.bool_(): "boolean"}


def kept_rows(condition: Condition, batch: pa.RecordBatch) -> NDArray[np.bool_]:
    """Which rows of a batch fulfil a condition, (n,) bool; as in SQL, a row for which it is unknown does not.

    Raises SettingsError for what Arrow refuses, such as a pattern that is too large.
    """
    try:
        found = _run(condition, batch)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise SettingsError(f"The filter cannot be run: {error}") from error
    if isinstance(found, pa.Scalar):
        return np.full(batch.num_rows, found.as_py() is True)
    return booleans(found)


def booleans(column: pa.Array) -> NDArray[np.bool_]:
    """A boolean column as (n,) bool, nulls as False.

    Not Arrow's to_numpy: that imports pandas where it is installed, which takes longer than opening a collection.
    """
    if column.null_count:
        column = pc.fill_null(column, False)
    if not len(column):
        return np.empty(0, np.bool_)
    bits = np.unpackbits(np.frombuffer(column.buffers()[1], np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].astype(np.bool_)


def _run(condition: Condition, batch: pa.RecordBatch) -> Any:
    if isinstance(condition, All | Some):
        join = pc.and_kleene if isinstance(condition, All) else pc.or_kleene
        found = _run(condition.terms[0], batch)
        for term in condition.terms[1:]:
            found = join(found, _run(term, batch))
        return found
    if isinstance(condition, Not):
        return pc.invert(_run(condition.term, batch))
    if isinstance(condition, Compare):
        kind = condition.left.kind if condition.left.kind != "null" else condition.right.kind
        sides = (_values(side, batch, kind) for side in (condition.left, condition.right))
        return pc.call_function(condition.function, list(sides))
    operand = _values(condition.operand if isinstance(condition, OneOf | Like | IsNull) else condition, batch)
    if isinstance(condition, IsNull):
        return pc.is_null(operand)
    if isinstance(condition, Like):
        return pc.match_like(operand, condition.pattern, ignore_case=condition.ignore_case)
    if isinstance(condition, OneOf):
        return _one_of(operand, condition)
    return operand


def _one_of(operand: Any, condition: OneOf) -> Any:
    """SQL's IN: unknown for a NULL, and unknown in place of no where a NULL is among the values."""
    given = [value for value in condition.values if value is not None]
    of_type = pa.float64() if any(isinstance(value, float) for value in given) else operand.type
    values = operand.cast(of_type, safe=False) if of_type != operand.type else operand
    found = pc.is_in(values, value_set=pa.array(given, of_type))
    unknown = pc.is_null(operand)
    if len(given) < len(condition.values):
        unknown = pc.or_(unknown, pc.invert(found))
    return pc.if_else(unknown, pa.scalar(None, pa.bool_()), found)


def _values(operand: Operand, batch: pa.RecordBatch, kind: str = "null") -> Any:
    """The operand's values: a column of the batch (nulls where the batch has no such column), or one value."""
    if isinstance(operand, Value):
        return pa.scalar(operand.value, ARROW_TYPES[kind if operand.kind == "null" else operand.kind])
    return batch_column(batch, operand)


def batch_column(batch: pa.RecordBatch, column: Column) -> pa.Array:
    """A column of a batch; nulls where the batch has none of that name."""
    place = batch.schema.get_field_index(column.name)
    if place < 0:
        return pa.nulls(batch.num_rows, ARROW_TYPES[column.kind])
    found = batch.column(place)
    wanted = ARROW_TYPES[column.kind]
    return found if found.type == wanted else found.cast(wanted)


def as_mask(kept: NDArray[np.bool_]) -> pa.Array:
    """Booleans as a column (see `booleans` for why not by Arrow's array())."""
    return pa.Array.from_buffers(pa.bool_(), len(kept), [None, pa.py_buffer(np.packbits(kept, bitorder="little"))])


def as_places(rows: NDArray[Any]) -> pa.Array:
    """Row numbers as a column (see `booleans` for why not by Arrow's array())."""
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows, np.int64))])
