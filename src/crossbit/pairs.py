"""Aligned image and text features, validated once, and the split into train, query and database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import DataError, LabelError, SplitError

Rows = NDArray[np.int64]
Features = NDArray[np.float32]
Labels = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PairedFeatures:
    """n image-text pairs as feature rows; row i of each array belongs to pair i.

    image: (n, d_image) float32. text: (n, d_text) float32. labels: (n, c) bool or None; only evaluations and
    supervised methods ever see them. levels: labels in levels from coarse to fine, (n, c_coarse) and (n, c_fine)
    bool, or none where there is one level (`labels`, by which relevance is told); only hierarchical methods see
    them. The arrays are made float32 and read-only. A row of zeros is allowed and means
    "nothing known" (a picture whose text has no words): see `empty_rows`.

    Raises DataError for NaN or infinity, unequal lengths, a wrong number of dimensions or no pairs at all.
    """

    image: Features
    text: Features
    labels: Labels | None = None
    levels: tuple[Labels, ...] = ()

    def __post_init__(self) -> None:
        image = check_features(self.image, "image features")
        text = check_features(self.text, "text features")
        if len(image) != len(text):
            raise DataError(
                f"Pairs need as many images as texts; got {len(image)} image rows and {len(text)} text rows."
            )
        if len(image) == 0:
            raise DataError("There are no pairs: the feature arrays have no rows.")
        object.__setattr__(self, "image", image)
        object.__setattr__(self, "text", text)
        if self.labels is not None:
            object.__setattr__(self, "labels", check_labels(self.labels, len(image)))
        if len(self.levels) not in (0, 2):
            raise LabelError(f"Label levels are a coarse and a fine labelling, or none; got {len(self.levels)}.")
        object.__setattr__(self, "levels", tuple(check_labels(level, len(image)) for level in self.levels))

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: Rows | slice) -> PairedFeatures:
        """The pairs of some rows, in that order."""
        labels = None if self.labels is None else self.labels[rows]
        return PairedFeatures(self.image[rows], self.text[rows], labels, tuple(level[rows] for level in self.levels))

    def without_labels(self) -> PairedFeatures:
        """The same pairs with the labels taken away: what an unsupervised method is given."""
        return PairedFeatures(self.image, self.text)

    def without_levels(self) -> PairedFeatures:
        """The same pairs with one labelling: what a supervised method is given that knows no hierarchy."""
        return PairedFeatures(self.image, self.text, self.labels) if self.levels else self

    def empty_rows(self) -> Rows:
        """The rows in which a modality is all zeros: no words in the text, or an image without features."""
        return np.flatnonzero(~self.image.any(axis=1) | ~self.text.any(axis=1))

    def fingerprint(self) -> str:
        """A short hash of the features (not of the labels): the same data, the same string."""
        return array_fingerprint(self.image, self.text)


@dataclass(frozen=True, eq=False)
class Split:
    """Which rows train a hasher, which are queries and which are the database searched.

    train, query, database: (k,) int64 row numbers. Train may lie within the database (the protocols of the
    literature do so); a query may be in neither. Raises SplitError for a row listed twice in a part, out of a
    sensible range, or in query and another part at once; `check_duplicates` also compares the contents.
    """

    train: Rows
    query: Rows
    database: Rows

    def __post_init__(self) -> None:
        for name in ("train", "query", "database"):
            rows = np.asarray(getattr(self, name))
            if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
                raise SplitError(
                    f"{name} is expected as a list of row numbers; got {rows.dtype} of shape {rows.shape}."
                )
            if rows.size == 0:
                raise SplitError(f"{name} is empty; a split needs at least one row in each part.")
            if rows.min() < 0:
                raise SplitError(f"{name} holds negative row numbers, the first is {int(rows[rows < 0][0])}.")
            unique, counts = np.unique(rows, return_counts=True)
            if len(unique) != len(rows):
                raise SplitError(f"{name} lists rows twice: {some(unique[counts > 1])}.")
            rows = rows.astype(np.int64)
            rows.flags.writeable = False
            object.__setattr__(self, name, rows)
        for name in ("database", "train"):
            shared = np.intersect1d(self.query, getattr(self, name))
            if shared.size:
                raise SplitError(
                    f"{shared.size} rows are query and {name} at once: {some(shared)}. "
                    f"Take them out of one of the two: a query must be new to the {name}."
                )

    def check_duplicates(self, pairs: PairedFeatures) -> None:
        """Raise SplitError, naming rows, if a query has the same content as a train or database pair.

        The same content is the same image row and the same text row, bit for bit, under two row numbers.
        """
        self.check_range(len(pairs))
        digests = row_digests(pairs)
        others = np.union1d(self.train, self.database)
        seen = {digests[row]: int(row) for row in others}
        clashes = [(int(row), seen[digests[row]]) for row in self.query if digests[row] in seen]
        if clashes:
            shown = ", ".join(f"query row {query} = row {other}" for query, other in clashes[:5])
            more = f" and {len(clashes) - 5} more" if len(clashes) > 5 else ""
            raise SplitError(
                f"{len(clashes)} queries have the same content as train or database pairs: {shown}{more}. "
                "Drop one of each or move both to the same part."
            )

    def check_range(self, n: int) -> None:
        """Raise SplitError if a row number lies beyond n pairs."""
        for name in ("train", "query", "database"):
            rows = getattr(self, name)
            if int(rows.max()) >= n:
                raise SplitError(
                    f"{name} names row {int(rows.max())}, but there are only {n} pairs (rows 0 to {n - 1})."
                )

    def fingerprint(self) -> str:
        """The split's id: a short hash of the three row lists, in order."""
        return array_fingerprint(self.train, self.query, self.database)


def check_features(values: Any, what: str) -> Features:
    """The values as a read-only (n, d) float32 array; raises DataError saying what is wrong and where."""
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[1] == 0:
        raise DataError(f"{what} are expected as (items, features); got an array of shape {array.shape}.")
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_) or np.iscomplexobj(array):
        raise DataError(f"{what} are expected as real numbers; got the type {array.dtype}.")
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(array, dtype=np.float32)
    finite = np.isfinite(converted).all(axis=1)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise DataError(
            f"{what} hold NaN or infinity in {bad.size} of {len(array)} rows: {some(bad)}. Repair or drop those rows."
        )
    if converted is values:
        converted = converted.view()
    converted.flags.writeable = False
    return converted


def check_labels(values: Any, n: int) -> Labels:
    """The labels as a read-only (n, c) bool array; raises LabelError saying what is wrong."""
    labels = np.asarray(values)
    if labels.ndim != 2 or len(labels) != n:
        raise LabelError(f"Labels are expected as ({n}, classes), one row a pair; got shape {labels.shape}.")
    if labels.dtype != np.bool_:
        if not np.isin(labels, (0, 1)).all():
            raise LabelError(
                "Labels are expected as 0 and 1 (or booleans), one column a class; other values were given."
            )
        labels = labels.astype(np.bool_)
    labels = np.ascontiguousarray(labels).view()
    labels.flags.writeable = False
    return labels


def array_fingerprint(*arrays: NDArray[Any]) -> str:
    """A 16-digit hash of the arrays' types, shapes and contents."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def row_digests(pairs: PairedFeatures) -> list[bytes]:
    """A hash of each pair's content (image row and text row)."""
    return [
        hashlib.sha256(image.tobytes() + text.tobytes()).digest()
        for image, text in zip(pairs.image, pairs.text, strict=True)
    ]


def some(rows: NDArray[np.integer], at_most: int = 5) -> str:
    """The first few row numbers, for an error message."""
    shown = ", ".join(str(int(row)) for row in rows[:at_most])
    return f"rows {shown}" + (f" and {rows.size - at_most} more" if rows.size > at_most else "")
