"""The similarity of labels, -1 to 1, in forms that never hold a matrix of all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.correlation import Matrix
from crossbit.errors import LabelError
from crossbit.pairs import PairedFeatures


def labels_of(pairs: PairedFeatures, method: str) -> Matrix:
    """The labels (n, c) of the pairs as 0 and 1; raises LabelError, naming the method, where there are none."""
    if pairs.labels is None:
        raise LabelError(f"{method} is supervised and needs labels; the pairs have none.")
    return pairs.labels.astype(np.float64)


def unit_labels(labels: NDArray[Any]) -> Matrix:
    """Label rows (n, c) at length 1; a row without labels stays zero, so it is like nothing."""
    wide = labels.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return np.asarray(wide / np.where(lengths > 0, lengths, 1.0))


def label_similarity_times(unit: Matrix, values: Matrix) -> Matrix:
    """S @ values with S_ij = 2 cos(labels i, labels j) - 1, in time and memory linear in n.

    unit: (n, c), from `unit_labels`. values: (n, k).
    """
    return np.asarray(2 * unit @ (unit.T @ values) - values.sum(axis=0))


def crossed_similarity(image: Matrix, text: Matrix, unit: Matrix) -> Matrix:
    """image^T S text (d_image, d_text) with the same S, in time and memory linear in n."""
    return np.asarray(2 * (image.T @ unit) @ (text.T @ unit).T - np.outer(image.sum(axis=0), text.sum(axis=0)))
