"""Conditions tried on items that stand in no collection, such as the hits of an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from crossbit.collection.filters import ARROW_TYPES, kept_rows
from crossbit.collection.where import parse_where

_KINDS = {bool: "boolean", int: "integer", float: "real", str: "text"}


def fulfilling(items: Sequence[Mapping[str, Any]], where: str) -> list[Any]:
    """Those of the items for which a condition holds, in their order; it means what `Collection.search` says.

    items: each with an id, a caption and its metadata, a mapping of plain values. A column is of the kind of its first
    value. Raises SettingsError for a condition that cannot be read, or on a column that no item has.
    """
    columns: dict[str, list[Any]] = {name: [item[name] for item in items] for name in ("id", "caption")}
    for name in dict.fromkeys(name for item in items for name in item["metadata"]):
        columns.setdefault(name, [item["metadata"].get(name) for item in items])
    kinds = {name: _kind(values) for name, values in columns.items()}
    condition = parse_where(where, kinds)
    typed = {name: _typed(values, kinds[name]) for name, values in columns.items()}
    kept = kept_rows(condition, pa.RecordBatch.from_pydict(typed))
    return [item for item, wanted in zip(items, kept, strict=True) if wanted]


def _kind(values: Sequence[Any]) -> str:
    present = {_KINDS.get(type(value), "text") for value in values if value is not None}
    if present == {"integer", "real"}:
        return "real"
    return present.pop() if len(present) == 1 else "text"


def _typed(values: Sequence[Any], kind: str) -> pa.Array:
    """Values of one kind as a column; what does not fit it stands there as text."""
    if kind == "text":
        values = [None if value is None else str(value) for value in values]
    elif kind == "real":
        values = [None if value is None else float(value) for value in values]
    return pa.array(values, ARROW_TYPES[kind])
