"""Engines built over a collection's segments and kept beside them: derived, under checksums, never needed.

A segment never changes and its name is never given twice, so an engine is bound to its segment by the name of its
file. What was removed since is left out by the filter of each search, and what was added stands in other segments. An
engine that is missing or damaged is passed over: the codes are then compared in full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from crossbit.codes import Codes
from crossbit.collection.block import MODALITIES, Modality
from crossbit.collection.ids import Rows
from crossbit.errors import FileFormatError, SettingsError
from crossbit.files import flush
from crossbit.index import Index, IvfIndex, PrunedIndex, choose_engine

FOLDER = "engines"
EngineName = Literal["auto", "exact", "ivf", "pruned"]


@dataclass(frozen=True)
class BuiltEngine:
    """The engine of a segment's codes of one modality. reason: why this one. recall: 1 where it is exact, else as
    measured on a sample when it was built."""

    segment: str
    modality: Modality
    n: int
    engine: str
    reason: str
    recall: float


def build_engine(
    path: Path, name: str, modality: Modality, codes: Codes, rows: Rows | None, asked: EngineName, target_recall: float
) -> BuiltEngine:
    """Build and keep the engine of one segment's codes, in place of what was kept; exact needs none."""
    if asked not in get_args(EngineName):
        raise SettingsError(f"An engine is one of {', '.join(get_args(EngineName))}; got {asked!r}.")
    engine, reason = choose_engine(len(codes), codes.n_bits, target_recall=target_recall)
    if asked != "auto":
        engine, reason = asked, "it was asked for"
    recall = 1.0
    for kind in ("ivf", "pruned"):
        place_of(path, name, modality, kind).unlink(missing_ok=True)
    if len(codes) and engine == "ivf":
        lists = IvfIndex.build(codes, rows, target_recall=target_recall)
        lists.save(place_of(path, name, modality, engine))
        assert lists.settings is not None  # there are codes
        recall = lists.settings.recall
        reason += f"; {lists.settings.n_probe} of {lists.settings.n_lists} lists a query"
    elif len(codes) and engine == "pruned":
        PrunedIndex.build(codes, rows).save(place_of(path, name, modality, engine))
    return BuiltEngine(name, modality, len(codes), engine, reason, recall)


def place_of(path: Path, name: str, modality: Modality, engine: str) -> Path:
    """Where the engine of a segment is kept in a collection's folder."""
    return path / FOLDER / f"{name}-{modality}.{engine}"


def kept_engine(path: Path, name: str, modality: Modality, codes: Codes) -> Index | None:
    """The engine that is kept for a segment's codes; None where there is none, or none that is whole and fits."""
    readers: dict[str, Callable[[Path], Index]] = {"ivf": IvfIndex.load, "pruned": PrunedIndex.load}
    for engine, load in readers.items():
        place = place_of(path, name, modality, engine)
        if place.is_file():
            try:
                index = load(place)
            except FileFormatError:
                continue
            if len(index) == len(codes) and index.n_bits == codes.n_bits:
                return index
    return None


def damaged_engines(path: Path) -> list[Path]:
    """The kept engines that are not whole; searches pass them over."""
    found: list[Path] = []
    for place in sorted((path / FOLDER).glob("segment-*")):
        try:
            (IvfIndex.load if place.suffix == ".ivf" else PrunedIndex.load)(place)
        except FileFormatError:
            found.append(place)
    return found


def forget_engines(path: Path, names: set[str]) -> None:
    """Delete the engines of segments that are no more."""
    for place in (path / FOLDER).glob("segment-*"):
        if not any(place.name.startswith(f"{name}-{modality}.") for name in names for modality in MODALITIES):
            place.unlink(missing_ok=True)
    if (path / FOLDER).is_dir():
        flush(path / FOLDER)
