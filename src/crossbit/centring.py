"""Features about their mean and of length 1 on average, so that a method's weights mean the same on any scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.correlation import Matrix, affine, centred
from crossbit.hasher import HashFunction


@dataclass(frozen=True, eq=False)
class CentredRows:
    """Training rows of one modality, (rows - mean) / length.

    rows: (n, d) float64 with mean 0 and mean squared length 1. mean: (d,). length: the root mean square length that
    the rows had about their mean, above 0.
    """

    rows: Matrix
    mean: Matrix
    length: float

    @classmethod
    def of(cls, features: NDArray[Any], *, centre: bool = True) -> CentredRows:
        """Of features (n, d) whose rows are not all the same; centre=False leaves the mean where it is."""
        mean, rows = centred(features)
        if not centre:
            rows += mean
            mean = np.zeros_like(mean)
        length = float(np.sqrt(np.square(rows).sum(axis=1).mean()))
        rows /= length
        return cls(rows, mean, length)

    def function(self, weight: Matrix, threshold: Matrix | None = None) -> HashFunction:
        """The hash function whose outputs are rows @ weight, less a threshold for each bit; weight is (d, n_bits)."""
        function = affine(weight / self.length, self.mean)
        if threshold is None:
            return function
        (layer,) = function.layers
        return HashFunction((replace(layer, bias=(layer.bias - threshold).astype(np.float32)),))
