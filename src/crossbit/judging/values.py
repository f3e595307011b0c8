"""What codes from elsewhere are made of: signs, bits, real values or packed bytes, and what is odd about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import DataError, LabelError, WidthError
from crossbit.pairs import Labels, some

_FEATURES = 1024  # real columns beyond which codes are more likely features


@dataclass(frozen=True)
class Warned:
    """Something odd about codes or labels. what: a short name for programs. where: which array. told: a sentence."""

    what: str
    where: str
    told: str

    def to_json(self) -> dict[str, str]:
        """The warning as plain values."""
        return {"what": self.what, "where": self.where, "told": self.told}


def codes_of(arrays: Mapping[str, NDArray[Any]], lengths: Mapping[str, int]) -> tuple[dict[str, Codes], list[Warned]]:
    """Packed codes of arrays by role, and what was odd.

    Taken are {-1, 1}, {0, 1}, booleans, real values (one bit a value, 1 where it is zero or more), and packed bytes or
    words (unsigned integers). lengths: how many rows each must have; an array that lies on its side is turned.

    Raises DataError for NaN or other numbers, WidthError for code lengths that differ.
    """
    codes, warned, kinds = {}, [], {}
    for role, array in arrays.items():
        values = _upright(role, np.asarray(array), lengths[role])
        kinds[role] = kind = _kind(role, values)
        codes[role] = (
            _packed(values)
            if kind == "packed"
            else Codes.from_bits(np.asarray(values > 0 if kind == "bits" else values >= 0))
        )
        warned += _odd(role, values, kind)
    widths = {role: one.n_bits for role, one in codes.items()}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{role} {n_bits} bits ({kinds[role]})" for role, n_bits in widths.items())
        raise WidthError(f"All codes need one length; got {told}.")
    if len(set(kinds.values())) > 1:
        told = ", ".join(f"{role} {kind}" for role, kind in kinds.items())
        warned.append(Warned("mixed values", "codes", f"The arrays hold values of different kinds: {told}."))
    return codes, warned


def _upright(role: str, values: NDArray[Any], n: int) -> NDArray[Any]:
    if values.ndim != 2 or not values.size or values.dtype.kind not in "biuf":
        raise DataError(f"{role} is expected as (items, bits) numbers; got {values.dtype} of shape {values.shape}.")
    if len(values) != n and values.shape[1] == n:
        return values.T
    if len(values) != n:
        raise DataError(f"{role} has {len(values)} rows, its labels {n}; every code needs its labels.")
    return values


def _kind(role: str, values: NDArray[Any]) -> str:
    if values.dtype.kind == "b":
        return "bits"
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
        raise DataError(f"{role} holds NaN or infinity in {len(rows)} rows: {some(rows)}.")
    low, high = values.min(), values.max()
    if values.dtype.kind == "u" and high > 1:
        return "packed"
    whole = values.dtype.kind in "iu" or bool((values == np.rint(values)).all())
    if whole and low >= 0 and high <= 1:
        # All ones may be either; all zeros are a third symbol, but also bits, and the same codes in both readings.
        return "bits" if low == 0 else "signs"
    if whole and low >= -1 and high <= 1:
        return "signs"
    if whole and values.dtype.kind == "i":
        raise DataError(
            f"{role} holds whole numbers from {low} to {high}. Codes are -1 and 1, 0 and 1, real values, or packed; "
            "packed codes must be of an unsigned type (uint8)."
        )
    return "real"


def _packed(values: NDArray[Any]) -> Codes:
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    return Codes(np.ascontiguousarray(rows), 8 * rows.shape[1])


def _odd(role: str, values: NDArray[Any], kind: str) -> list[Warned]:
    warned = []
    if kind == "signs" and (zeros := int((values == 0).sum())):
        rows = int((values == 0).any(axis=1).sum())
        told = (
            f"{role} holds {zeros:,} zeros beside -1 and 1, in {rows:,} of {len(values):,} codes: a third symbol, as "
            "sign(0) leaves it. Distances then come in halves; here a zero counts as 1."
        )
        warned.append(Warned("third symbol", role, told))
    if kind == "real":
        told = f"{role} holds real values; a value of zero or more became 1, a smaller one 0."
        warned.append(Warned("real values", role, told))
        if zeros := int((values == 0).sum()):
            told = f"{role} holds {zeros:,} exact zeros, which np.sign would make a third symbol; here they became 1."
            warned.append(Warned("third symbol", role, told))
        if values.shape[1] > _FEATURES:
            told = f"{role} has {values.shape[1]:,} real columns; these look like features, not codes."
            warned.append(Warned("features", role, told))
        same = len(values) - len(np.unique(values, axis=0)) if len(values) <= 200_000 else 0
        if same:
            told = f"{same:,} of {len(values):,} rows of {role} repeat another row exactly, value by value."
            warned.append(Warned("duplicated rows", role, told))
    return warned


def labels_of(query: NDArray[Any], database: NDArray[Any]) -> tuple[Labels, Labels]:
    """The labels of both sides as (n, classes) booleans.

    Taken are 0 and 1 or -1 and 1 with one column a class, one class number or name an item, and names parted by ; or |.
    Raises LabelError for anything else, and where the two sides have different classes.
    """
    if query.ndim == 1 or min(query.shape) == 1 or database.ndim == 1 or min(database.shape) == 1:
        return _of_names(np.ravel(query), np.ravel(database))
    for side, values in (("query", query), ("database", database)):
        if values.dtype.kind not in "biuf" or not np.isin(values, (-1, 0, 1)).all():
            raise LabelError(
                f"The {side} labels are expected as 0 and 1, one column a class, or as one class an item; got "
                f"{values.dtype} of shape {values.shape}."
            )
    if query.shape[1] != database.shape[1] and query.shape[0] == database.shape[0]:
        query, database = query.T, database.T  # a row a class, as MATLAB's users write it
    if query.shape[1] != database.shape[1]:
        raise LabelError(
            f"Queries and database need the same classes; got labels of shapes {query.shape} and {database.shape}."
        )
    return np.asarray(query > 0, dtype=np.bool_), np.asarray(database > 0, dtype=np.bool_)


def _of_names(query: NDArray[Any], database: NDArray[Any]) -> tuple[Labels, Labels]:
    if query.dtype.kind in "US" or database.dtype.kind in "US":
        sets = [[set(_names(str(cell))) for cell in side.astype(str)] for side in (query, database)]
        classes = sorted({name for side in sets for cell in side for name in cell})
        place = {name: number for number, name in enumerate(classes)}
        both = []
        for side in sets:
            labels = np.zeros((len(side), max(len(classes), 1)), dtype=np.bool_)
            for row, cell in enumerate(side):
                labels[row, [place[name] for name in cell]] = True
            both.append(labels)
        return both[0], both[1]
    classes_found = np.unique(np.concatenate([query, database]))
    if not np.isfinite(classes_found).all() or (classes_found != np.rint(classes_found)).any():
        raise LabelError("One label an item must be a class number or a name; got numbers with a fraction, or NaN.")
    return query[:, None] == classes_found, database[:, None] == classes_found


def _names(cell: str) -> list[str]:
    return [name.strip() for name in cell.replace("|", ";").split(";") if name.strip()]
