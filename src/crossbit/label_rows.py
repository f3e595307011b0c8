"""The different rows of labels that pairs have: where many pairs have the same ones, they can be counted as one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossbit.correlation import Matrix

MANY = 20_000  # rows from which on tables of all against all are announced
_TABLES = 4  # of 8 bytes an entry, that those who compare all rows hold at once


@dataclass(frozen=True, eq=False)
class LabelRows:
    """Rows of labels, how often each occurs and which one a pair has.

    rows: (k, c) of 0 and 1. counts: (k,) whole numbers. place: (n,) from 0 to k - 1, the row of each pair.
    """

    rows: Matrix
    counts: NDArray[np.float64]
    place: NDArray[np.intp]

    @classmethod
    def of(cls, labels: Matrix, *, each_item: bool) -> LabelRows:
        """The different rows of labels (n, c), or with each_item every row on its own, k = n.

        A UserWarning tells the GiB that tables of all rows against all take where there are more than 20,000.
        """
        if each_item:
            found = cls(labels, np.ones(len(labels)), np.arange(len(labels)))
        else:
            rows, place, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
            found = cls(rows, counts.astype(np.float64), place.ravel())
        k = len(found.rows)
        if k > MANY:
            warnings.warn(
                f"Tables of {k} x {k} pairs of label rows are held and take {_TABLES * 8 * k * k / 2**30:.1f} GiB. "
                f"With a setting such as sampled={MANY} codes are learned on so many pairs drawn at random.",
                stacklevel=2,
            )
        return found
