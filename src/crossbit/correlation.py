"""Regularised canonical correlation analysis (CCA): the directions along which images and texts agree most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from crossbit.errors import DataError, SettingsError
from crossbit.hasher import HashFunction, Layer
from crossbit.pairs import PairedFeatures

Matrix = NDArray[np.float64]
# Neither default was chosen by looking at labels. Gong and Lazebnik add 1e-4 to the covariances; on rows of length 1 in
# about a thousand dimensions that is a tenth of the mean variance, and as a share it holds for features of any scale.
DEFAULT_RIDGE = 0.1
# Gong, Ke, Isard and Lazebnik (IJCV 2014) weight directions by the fourth power for retrieval across modalities.
DEFAULT_POWER = 4.0
_NEGLIGIBLE = 1e-6  # a correlation below this is rounding: the direction carries nothing


@dataclass(frozen=True, eq=False)
class CanonicalDirections:
    """What CCA finds in n pairs, strongest direction first; all arrays are float64.

    image: (d_image, k), text: (d_text, k), the directions, k at most the lower of the two ranks. Along each one the
    centred training rows have variance 1 (a little less where the ridge weighs in). correlations: (k,) from 0 to 1,
    never rising. image_mean: (d_image,), text_mean: (d_text,), to be taken off before projecting.
    """

    image: Matrix
    text: Matrix
    correlations: Matrix
    image_mean: Matrix
    text_mean: Matrix

    def __len__(self) -> int:
        return len(self.correlations)

    def maps(self, mixing: Matrix) -> tuple[HashFunction, HashFunction]:
        """Hash functions (rows - mean) @ directions @ mixing for images and texts; mixing is (k, n_bits)."""
        return affine(self.image @ mixing, self.image_mean), affine(self.text @ mixing, self.text_mean)

    def weights(self, power: float) -> Matrix:
        """The diagonal (k, k) matrix of correlations ** power: how much each direction is trusted."""
        return np.diag(self.correlations**power)


def canonical_directions(
    pairs: PairedFeatures, *, ridge: float = DEFAULT_RIDGE, at_most: int | None = None
) -> CanonicalDirections:
    """Fit CCA to the pairs.

    ridge: added to the diagonal of each modality's covariance, as a share of its mean variance; more than 0, so that
    constant columns, fewer pairs than features and columns that repeat each other need no special case. at_most: how
    many directions to keep. The sign of a direction is free; here its largest image weight is positive.

    Raises SettingsError for a ridge of 0 or less, DataError where a modality does not vary or nothing is shared.
    Source: Hotelling, Relations between two sets of variates, Biometrika 1936; with a ridge, Vinod 1976.
    """
    check_ridge(ridge)
    image_mean, image = centred(pairs.image)
    text_mean, text = centred(pairs.text)
    image_root = _covariance_root(image, ridge, "image")
    text_root = _covariance_root(text, ridge, "text")
    shared = image.T @ text / len(pairs)
    shared = scipy.linalg.solve_triangular(image_root, shared, lower=True, check_finite=False)
    shared = scipy.linalg.solve_triangular(text_root, shared.T, lower=True, check_finite=False).T
    left, correlations, right = scipy.linalg.svd(shared, full_matrices=False, check_finite=False)
    keep = int(np.count_nonzero(correlations > _NEGLIGIBLE))
    if keep == 0:
        raise DataError("Images and texts have nothing in common: no direction of the two is correlated.")
    keep = keep if at_most is None else min(keep, at_most)
    image_side = scipy.linalg.solve_triangular(image_root.T, left[:, :keep], lower=False, check_finite=False)
    text_side = scipy.linalg.solve_triangular(text_root.T, right[:keep].T, lower=False, check_finite=False)
    signs = _signs(image_side)
    return CanonicalDirections(
        image_side * signs, text_side * signs, np.minimum(correlations[:keep], 1.0), image_mean, text_mean
    )


def weighted_cca(
    pairs: PairedFeatures,
    *,
    n_directions: int = 64,
    ridge: float = DEFAULT_RIDGE,
    power: float = DEFAULT_POWER,
) -> tuple[HashFunction, HashFunction]:
    """The un-hashed reference: real-valued maps of images and texts into the weighted canonical space.

    Directions are scaled by correlation ** power. Compare the outputs of the two maps by cosine. At most
    n_directions are kept, fewer where the data has fewer. Features are taken as given, and labels play no part.
    """
    found = canonical_directions(pairs, ridge=ridge, at_most=n_directions)
    return found.maps(found.weights(power))


def check_ridge(ridge: float) -> None:
    """Raise SettingsError unless the ridge is a finite number above 0."""
    if not 0 < ridge < np.inf:
        raise SettingsError(f"ridge must be more than 0 (such as {DEFAULT_RIDGE}); got {ridge!r}.")


def expansion(k: int, n_bits: int, generator: np.random.Generator) -> Matrix:
    """A random (k, n_bits) matrix with orthonormal rows, n_bits at least k: a rotation, or a tight frame where wider.

    Each of the n_bits columns is a direction in the k-dimensional space; together they treat all of it alike.
    """
    orthonormal, upper = np.linalg.qr(generator.standard_normal((n_bits, k)))
    return np.ascontiguousarray((orthonormal * np.where(np.diag(upper) < 0, -1.0, 1.0)).T)


def centred(rows: NDArray[Any]) -> tuple[Matrix, Matrix]:
    """The mean of the rows (d,), and the rows without it (n, d), in float64."""
    wide = rows.astype(np.float64)
    mean = wide.mean(axis=0)
    wide -= mean
    return mean, wide


def affine(weight: Matrix, mean: Matrix) -> HashFunction:
    """The hash function (rows - mean) @ weight, with the mean folded into the bias."""
    rounded = weight.astype(np.float32)
    # The bias answers the weights as they are stored, so that rounding them moves no output along a large mean.
    return HashFunction((Layer(rounded, (-(mean @ rounded.astype(np.float64))).astype(np.float32)),))


def _covariance_root(rows: Matrix, ridge: float, side: str) -> Matrix:
    """The lower Cholesky factor of the rows' covariance with the ridge on its diagonal."""
    covariance = rows.T @ rows / len(rows)
    mean_variance = float(np.trace(covariance)) / len(covariance)
    if not mean_variance > 0:
        raise DataError(f"All {side} features are the same, so nothing can be correlated with them.")
    covariance.flat[:: len(covariance) + 1] += ridge * mean_variance
    return scipy.linalg.cholesky(covariance, lower=True, check_finite=False)


def _signs(directions: Matrix) -> Matrix:
    largest = np.abs(directions).argmax(axis=0)
    return np.where(directions[largest, np.arange(directions.shape[1])] < 0, -1.0, 1.0)
