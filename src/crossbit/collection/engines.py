"""Engines built over a collection's segments and kept beside them: derived, under checksums, never needed.

A segment never changes and its name is never given twice, so an engine is bound to its segment by the name of its
file. What was removed since is left out by the filter of each search, and what was added stands in other segments. An
engine that is missing or damaged is passed over: the codes are then compared in full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from crossbit.codes import Codes
from crossbit.collection.block import MODALITIES, Modality
from crossbit.collection.ids import Rows
from crossbit.errors import FileFormatError, MissingExtraError, SettingsError
from crossbit.files import flush
from crossbit.hasher import Hasher
from crossbit.index import Index, IvfIndex, PrefixIndex, PrunedIndex, choose_engine
from crossbit.index.arrays_file import read_arrays, read_header
from crossbit.index.built import BuiltIndex
from crossbit.index.tuning import check_recall

FOLDER = "engines"
EngineName = Literal["auto", "exact", "ivf", "pruned", "prefix"]
IN_FULL = "every code is compared, which misses nothing"

_KINDS: dict[str, type[BuiltIndex[Any]]] = {"ivf": IvfIndex, "pruned": PrunedIndex, "prefix": PrefixIndex}


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


@dataclass(frozen=True)
class Asked:
    """What an engine is asked for. prefixes: the lengths at which the codes' method made codes of their own."""

    engine: EngineName
    target_recall: float
    prefixes: Sequence[int] = ()


def check_engine(name: str, *, to_build: bool = False) -> None:
    """Raise SettingsError unless it is the name of an engine, or auto; MissingExtraError where it cannot be built."""
    if name not in get_args(EngineName):
        raise SettingsError(f"An engine is one of {', '.join(get_args(EngineName))}; got {name!r}.")
    if to_build and name == "ivf":
        IvfIndex.check_installed()


def recall_for(engine: str, target_recall: float | None) -> float:
    """The recall asked for, and where none was said the one that suits the engine; raises SettingsError."""
    if target_recall is not None:
        check_recall(target_recall)
        return target_recall
    return 1.0 if engine in ("auto", "exact", "pruned") else 0.95


def learned_prefixes(hasher: Hasher) -> list[int]:
    """The lengths below its own at which a hasher's first bits were made codes of their own (KDCMH's `prefixes`)."""
    told = hasher.settings.get("prefixes")
    lengths = told if isinstance(told, list | tuple) else []
    return [length for length in lengths if isinstance(length, int) and 0 < length < hasher.n_bits]


def build_engine(
    path: Path, name: str, modality: Modality, codes: Codes, rows: Rows | None, asked: Asked
) -> BuiltEngine:
    """Build and keep the engine of one segment's codes, in place of what was kept; exact needs none."""
    check_engine(asked.engine)
    engine, reason = choose_engine(len(codes), codes.n_bits, target_recall=asked.target_recall)
    if asked.engine != "auto":
        engine, reason = asked.engine, "it was asked for"
    recall = 1.0
    if len(codes) and engine != "exact":
        index, recall, more = _built(codes, rows, engine, asked)
        reason += more
        # The codes stand in the segment already, mapped from a file: they are not kept a second time.
        index.save(place_of(path, name, modality, engine), with_codes=False, note=reason)
    for kind in _KINDS:
        if kind != engine:
            place_of(path, name, modality, kind).unlink(missing_ok=True)
    return BuiltEngine(name, modality, len(codes), engine, reason, recall)


def _built(codes: Codes, rows: Rows | None, engine: str, asked: Asked) -> tuple[BuiltIndex[Any], float, str]:
    """The engine, its recall and what it looks at."""
    if engine == "ivf":
        lists = IvfIndex.build(codes, rows, target_recall=asked.target_recall)
        assert lists.settings is not None  # there are codes
        told = lists.settings
        return lists, told.recall, f"; {told.n_probe} of {told.n_lists} lists a query"
    if engine == "prefix":
        lengths = asked.prefixes or [max(codes.n_bits // 2, 1)]
        first = PrefixIndex.best(codes, rows, lengths=lengths, target_recall=asked.target_recall)
        assert first.settings is not None  # there are codes
        more = f"; {first.settings.candidates:,} candidates a query by the first {first.settings.prefix_bits} bits"
        more += "" if asked.prefixes else ", which the method did not make a code of their own"
        return first, first.settings.recall, more
    return PrunedIndex.build(codes, rows), 1.0, ""


def place_of(path: Path, name: str, modality: Modality, engine: str) -> Path:
    """Where the engine of a segment is kept in a collection's folder."""
    return path / FOLDER / f"{name}-{modality}.{engine}"


def kept_engine(path: Path, name: str, modality: Modality, codes: Codes, engine: str) -> Index | None:
    """The engine of that kind that is kept for a segment's codes; None where there is none that is whole and fits.

    None also where it needs a package that is not here: then too the codes are compared in full.
    """
    place, index = place_of(path, name, modality, engine), _KINDS.get(engine)
    if index is None or not place.is_file():
        return None
    try:
        return index.load(place, codes=codes)
    except (FileFormatError, MissingExtraError):
        return None


def told_engine(path: Path | None, name: str, modality: Modality, n: int) -> BuiltEngine:
    """What is known of the engine that is kept for a segment's n codes, its arrays unread."""
    for kind, index in _KINDS.items():
        place = None if path is None else place_of(path, name, modality, kind)
        if place is not None and place.is_file():
            try:
                told = read_header(place, index.file_format)
                recall = float((told.get("settings") or {}).get("recall", 1.0))
            except (FileFormatError, AttributeError, TypeError, ValueError):
                continue
            return BuiltEngine(name, modality, n, kind, str(told.get("note") or "it was asked for"), recall)
    return BuiltEngine(name, modality, n, "exact", IN_FULL, 1.0)


def damaged_engines(path: Path) -> list[Path]:
    """The kept engines that are not whole; searches pass them over."""
    found: list[Path] = []
    for place in sorted((path / FOLDER).glob("segment-*")):
        index = _KINDS.get(place.suffix[1:])
        try:
            if index is not None:
                read_arrays(place, index.file_format)
        except FileFormatError:
            found.append(place)
    return found


def forget_engines(path: Path, names: set[str]) -> None:
    """Delete the engines of segments that are no more, and what killed builds left. Only under the writer's lock."""
    if not (path / FOLDER).is_dir():
        return
    belongs = tuple(f"{name}-{modality}." for name in names for modality in MODALITIES)
    for place in (path / FOLDER).iterdir():
        unfinished = place.name.startswith(".segment-") and place.suffix == ".part"
        if unfinished or (place.name.startswith("segment-") and not place.name.startswith(belongs)):
            place.unlink(missing_ok=True)
    flush(path / FOLDER)
