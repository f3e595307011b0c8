"""Which array is what: the names that released codes save their codes and labels under."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import DataError, LabelError, SettingsError

ROLES = (
    "image_query",
    "text_query",
    "image_database",
    "text_database",
    "query_codes",
    "database_codes",
    "query_labels",
    "database_labels",
)
"""What an array can be: codes of one side and modality, codes of a side where there is one modality, labels."""

_SIDES = {
    "query": ("q", "qu", "query", "queries", "test", "te", "tst", "val"),
    "database": ("r", "re", "retrieval", "db", "d", "database", "gallery", "base"),
    "train": ("train", "tr", "trn"),  # the database, where there is no other
}
_MODALITIES = {"image": ("i", "img", "image", "images", "x", "v"), "text": ("t", "txt", "text", "texts", "y")}
_CODES = ("b", "code", "codes", "hash", "binary", "bin", "hashcode", "hashcodes")
_LABELS = ("l", "lab", "label", "labels", "targets", "y")


@dataclass(frozen=True, eq=False)
class Sides:
    """The arrays of an evaluation: codes by role, labels of queries and database, and which name each came under."""

    codes: Mapping[str, NDArray[Any]]
    query_labels: NDArray[Any]
    database_labels: NDArray[Any]
    names: Mapping[str, str]


def find_sides(arrays: Mapping[str, NDArray[Any]], named: Mapping[str, str] | None = None) -> Sides:
    """The roles of arrays by the names that released codes use, such as qB_img, rB_txt and retrieval_L.

    Known are names put together of a side (q, query, test, r, retrieval, db, train ...), a modality (img, I, x, txt,
    T, y ...) and b, code or binary, in any order and spelling; and a side with L or label. named: role -> array name,
    for other names; where it names codes, only these are taken.

    Raises SettingsError for a name that is not there, DataError or LabelError for what is missing, with what there is.
    """
    chosen = dict(named or {})
    for role, name in chosen.items():
        if role not in ROLES:
            raise SettingsError(f"{role!r} is no role of an array; there are {', '.join(ROLES)}.")
        if name not in arrays:
            raise SettingsError(f"There is no array {name!r} for {role}; there are {_listed(arrays)}.")
    by_hand = bool(set(chosen) & set(ROLES[:6]))
    for role, name in _recognised(arrays).items():
        if not (by_hand and role in ROLES[:6]):
            chosen.setdefault(role, name)
    codes = {role: arrays[name] for role, name in chosen.items() if role in ROLES[:6]}
    if not _directions(codes):
        raise DataError(
            "There are no codes of queries and database that belong together. Expected are arrays named like "
            "qB_img, rB_txt (and qB_txt, rB_img for the other direction), or query_codes and database_codes; there are "
            f"{_listed(arrays)}. Name them with --query-codes and --database-codes, or --image-query and the like."
        )
    missing = [role for role in ("query_labels", "database_labels") if role not in chosen]
    if missing:
        raise LabelError(
            f"There are no {' and '.join(missing)}. Expected are arrays named like query_L and retrieval_L; there are "
            f"{_listed(arrays)}. Name them with --query-labels and --database-labels."
        )
    return Sides(codes, arrays[chosen["query_labels"]], arrays[chosen["database_labels"]], chosen)


def _directions(codes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pairs of roles that can be searched: image in text, text in image, or the one modality in itself."""
    wanted = (
        ("image_query", "text_database"),
        ("text_query", "image_database"),
        ("query_codes", "database_codes"),
    )
    found = [pair for pair in wanted if set(pair) <= set(codes)]
    alone = [("image_query", "image_database"), ("text_query", "text_database")]
    return found or [pair for pair in alone if set(pair) <= set(codes)]


def directions_of(sides: Sides) -> list[tuple[str, str]]:
    """Which codes are searched with which, as roles of queries and database."""
    return _directions(sides.codes)


def _recognised(arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Role -> name of the array, by the table of names; training arrays stand in for a database that is not there."""
    table = _table()
    found: dict[str, str] = {}
    for name in arrays:
        role = table.get(re.sub(r"[^a-z0-9]", "", name.split("/")[-1].lower()))
        if role is not None and role not in found and arrays[name].ndim in (1, 2):
            found[role] = name
    has_database = any(role.endswith("database") or role == "database_codes" for role in found)
    for role in [role for role in found if "train" in role]:
        name = found.pop(role)
        if not has_database:
            found.setdefault(role.replace("train", "database"), name)
    return found


def _table() -> dict[str, str]:
    """Every name that is known, without signs and capitals, and its role."""
    table: dict[str, str] = {}
    for side, spelled in _SIDES.items():
        for own in spelled:
            for label in _LABELS[:-1]:
                table[own + label] = table[label + own] = f"{side}_labels"
            table["y" + own] = f"{side}_labels"
            for code in _CODES:
                table.setdefault(own + code, f"{side}_codes")
                table.setdefault(code + own, f"{side}_codes")
    for (side, spelled), (modality, words) in product(_SIDES.items(), _MODALITIES.items()):
        for own, word, code in product(spelled, words, ("", *_CODES)):
            parts = (own, word, code)
            for order in ((0, 2, 1), (0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2), (2, 0, 1)):
                spelled_out = "".join(parts[place] for place in order)
                if code or len(spelled_out) > 1:
                    table.setdefault(spelled_out, f"{modality}_{side}")
    return table


def _listed(arrays: Mapping[str, NDArray[Any]]) -> str:
    shown = [f"{name} {np.shape(array)}" for name, array in list(arrays.items())[:30]]
    return ", ".join(shown) or "no arrays of numbers"
