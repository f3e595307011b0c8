"""What methods that factorise features share: rows on one scale, robust weights, bits one at a time, ridge maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from crossbit.correlation import Matrix, affine, centred, expansion
from crossbit.hasher import HashFunction
from crossbit.progress import Progress, Step

State = TypeVar("State")
SMOOTHING = 1e-3  # lengths are sqrt(x^2 + SMOOTHING^2), so that a residual of zero has a finite weight


@dataclass(frozen=True, eq=False)
class ScaledRows:
    """Rows of one modality without their mean and divided by one number, so that their mean squared length is 1.

    rows: (n, d) float64. mean: (d,). scale: the root mean squared length the centred rows had.
    """

    rows: Matrix
    mean: Matrix
    scale: float

    def map(self, weight: Matrix) -> HashFunction:
        """The hash function (features - mean) / scale @ weight; weight is (d, n_bits)."""
        return affine(weight / self.scale, self.mean)

    def ridge_map(self, targets: Matrix, ridge: float) -> HashFunction:
        """The linear hash function that predicts targets (n, n_bits) best, with a ridge as in `ridge_weight`."""
        return self.map(ridge_weight(self.rows, targets, ridge))


def scaled(features: NDArray[Any]) -> ScaledRows:
    """Centre feature rows (n, d), which must vary, and bring them to a mean squared length of 1."""
    mean, rows = centred(features)
    scale = float(np.sqrt(np.square(rows).sum() / len(rows)))
    return ScaledRows(rows / scale, mean, scale)


def ridge_weight(rows: Matrix, targets: Matrix, ridge: float) -> Matrix:
    """The W (d, c) that minimises |targets - rows W|^2 / n + ridge * v |W|^2; v is the rows' mean variance."""
    n, d = rows.shape
    covariance = rows.T @ rows / n
    covariance.flat[:: d + 1] += ridge * np.trace(covariance) / d
    return np.asarray(scipy.linalg.solve(covariance, rows.T @ targets / n, assume_a="pos", check_finite=False))


def signs(values: Matrix) -> Matrix:
    """+1.0 where a value is 0 or more, else -1.0."""
    return np.where(values >= 0, 1.0, -1.0)


def turned_components(rows: Matrix, n: int, generator: np.random.Generator) -> Matrix:
    """The first principal components of centred rows, turned at random into n columns: a start that treats all alike.

    Where there are fewer components than n, the columns are a tight frame of them.
    """
    by_columns = rows.shape[1] <= len(rows)  # the smaller of the two products has the same components
    values, axes = scipy.linalg.eigh(rows.T @ rows if by_columns else rows @ rows.T, check_finite=False)
    keep = min(n, int(np.count_nonzero(values > 1e-9 * values[-1])))
    leading = axes[:, ::-1][:, :keep]
    components = rows @ leading if by_columns else leading * np.sqrt(values[::-1][:keep])
    return np.asarray(components @ expansion(keep, n, generator))


def robust_lengths(residuals: Matrix) -> NDArray[np.float64]:
    """sqrt(|r_i|^2 + SMOOTHING^2) of each row (n, d): the summands of a smoothed l2,1 norm."""
    return np.asarray(np.sqrt(np.square(residuals).sum(axis=1) + SMOOTHING**2))


def robust_weights(residuals: Matrix) -> NDArray[np.float64]:
    """The weights 1 / (2 length) with which squared lengths bound the robust lengths from above and touch them here."""
    return np.asarray(0.5 / robust_lengths(residuals))


def descend_bits(
    codes: Matrix, pull: Matrix, terms: Sequence[tuple[NDArray[np.float64] | float, Matrix]], sweeps: int
) -> Matrix:
    """Lower  sum_i ( b_i (sum_t w_ti G_t) b_i' - 2 b_i pull_i' )  over codes b_i in {-1, 1}, one bit at a time.

    codes: (n, c), where to start. pull: (n, c). terms: pairs of item weights (n,) or one weight, and a symmetric
    (c, c) matrix G. Every bit takes its best value while the others stand, for all items at once, so no step raises
    the sum (discrete cyclic coordinate descent; Shen, Shen, Liu and Shen, CVPR 2015). It ends when a sweep changes
    nothing, or after so many sweeps. A bit that may take either value stays.
    """
    codes = codes.copy()
    for _ in range(sweeps):
        before = codes.copy()
        for k in range(codes.shape[1]):
            wish = pull[:, k].copy()
            for weight, gram in terms:
                wish -= weight * (codes @ gram[:, k] - codes[:, k] * gram[k, k])
            codes[:, k] = np.where(wish == 0, codes[:, k], signs(wish))
        if np.array_equal(codes, before):
            break
    return codes


def last_of(steps: Iterator[State], stage: str, a_round: int, rounds: int, progress: Progress) -> State:
    """Go through all steps, telling progress after each round of a_round steps; the last one's state."""
    state = next(steps)
    for done in range(1, a_round * rounds + 1):
        if done % a_round == 0:
            progress(Step(stage, done // a_round, rounds))
        state = next(steps, state)
    return state
