"""Folders that `Dataset.save_to_disk` and `DatasetDict.save_to_disk` of the package `datasets` write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from crossbit.errors import DataError, FileFormatError
from crossbit.sources.columnar import ArrowTable, read_json
from crossbit.sources.places import Root

DICT, STATE, INFO = "dataset_dict.json", "state.json", "dataset_info.json"


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder was written by `save_to_disk`."""
    return (folder / DICT).is_file() or ((folder / STATE).is_file() and (folder / INFO).is_file())


def open_saved_dataset(folder: Path) -> ArrowTable:
    """The rows of all splits; raises FileFormatError for a folder that is not whole or names files elsewhere."""
    if (folder / DICT).is_file():
        splits = read_json(folder / DICT).get("splits")
        if not isinstance(splits, list) or not splits:
            raise FileFormatError(f"{folder / DICT} names no splits; save the data set again.")
        holders = [(str(split), folder / str(split)) for split in splits]
    else:
        holders = [("", folder)]
    parts = [(split, path) for split, holder in holders for path in _arrow_files(holder, folder)]
    if not parts:
        raise DataError(f"{folder} holds no rows.")
    schemas = [_schema(path) for _, path in parts]
    if any(schema.names != schemas[0].names for schema in schemas):
        raise DataError(f"The splits of {folder} have different columns; name the folder of one of them.")
    schema = schemas[0]
    if len(holders) > 1 and "split" not in schema.names:
        schema = schema.append(pa.field("split", pa.string()))
    several = len(holders) > 1
    named = tuple((split if several else "", path) for split, path in parts)
    return ArrowTable(named, schema, _classes(holders[0][1]))


def _arrow_files(holder: Path, folder: Path) -> list[Path]:
    if not Root(folder).holds(holder):
        raise FileFormatError(f"{folder / DICT} names the split {holder.name!r}, which lies outside the folder.")
    state = read_json(holder / STATE)
    if state.get("_indices_data_files"):
        raise FileFormatError(f"{holder} holds a selection of rows; save it again after flatten_indices().")
    entries = state.get("_data_files")
    if not isinstance(entries, Sequence) or not all(isinstance(entry, dict) for entry in entries):
        raise FileFormatError(f"{holder / STATE} names no files; save the data set again.")
    files = [holder / str(entry.get("filename")) for entry in entries]
    for path in files:
        if not Root(folder).holds(path):
            raise FileFormatError(f"{holder / STATE} names a file outside the folder, {path.name!r}; it is not read.")
        if not path.is_file():
            raise FileFormatError(f"{holder / STATE} names {path.name!r}, which is not there; save the data set again.")
    return files


def _schema(path: Path) -> pa.Schema:
    try:
        with pa.memory_map(str(path)) as mapped:
            if path.stat().st_size >= 6 and mapped.read(6) == b"ARROW1":
                return pa.ipc.open_file(mapped).schema
            mapped.seek(0)
            return pa.ipc.open_stream(mapped).schema
    except (pa.ArrowException, OSError) as error:
        raise FileFormatError(f"{path} is not a whole Arrow file ({error}); save the data set again.") from error


def _classes(holder: Path) -> dict[str, list[str]]:
    """The names of classes (the feature ClassLabel) by column."""
    features = read_json(holder / INFO).get("features") if (holder / INFO).is_file() else None
    found = {}
    for column, about in (features or {}).items() if isinstance(features, dict) else ():
        names = about.get("names") if isinstance(about, dict) else None
        if isinstance(about, dict) and about.get("_type") == "ClassLabel" and isinstance(names, list):
            found[str(column)] = [str(name) for name in names]
    return found
