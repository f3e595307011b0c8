"""The shape of a similarity's distribution: a mode with a left and a right spread, measured without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import DataError


@dataclass(frozen=True)
class Distribution:
    """Half a Gaussian left of the mode, half a Laplace right of it.

    mode: the densest value. left: standard deviation of the left half. right: Laplace scale of the right half.
    low, high: the 0.1 and 99.9 percentiles, standing for the smallest and largest value.
    """

    mode: float
    left: float
    right: float
    low: float
    high: float

    def thresholds(self, left_spreads: float, right_spreads: float) -> tuple[float, float]:
        """Below the first a pair is surely unlike, above the second surely alike."""
        return self.mode - left_spreads * self.left, self.mode + right_spreads * self.right


def fit_distribution(values: NDArray[Any], bin_width: float = 0.01) -> Distribution:
    """Measure the distribution of similarities (any shape, no diagonal).

    The mode is the middle of the fullest bin. Each side is mirrored around it: the left spread is then the root mean
    square distance from the mode, the right one the mean distance (the maximum-likelihood Laplace scale).

    Raises DataError when fewer than two values are given.
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    if values.size < 2:
        raise DataError(f"A distribution needs at least 2 similarities; got {values.size}.")
    low, high = np.percentile(values, [0.1, 99.9])
    # Bins at multiples of the width, so that the same data gives the same bins whatever its extremes.
    bins = np.floor(values / bin_width).astype(np.int64)
    numbers, counts = np.unique(bins, return_counts=True)
    mode = (float(numbers[counts.argmax()]) + 0.5) * bin_width
    below, above = values[values < mode] - mode, values[values >= mode] - mode
    left = float(np.sqrt(np.mean(below**2))) if below.size else 0.0
    right = float(np.mean(above)) if above.size else 0.0
    return Distribution(mode=mode, left=left, right=right, low=float(low), high=float(high))
