"""Signs of collapse in one set of codes, without labels and without a paired set."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from crossbit.codes import Codes
from crossbit.errors import DataError

_ROWS = 20_000  # codes looked at for correlations, evenly spaced


@dataclass(frozen=True)
class CodeHealth:
    """What can be said of n codes alone.

    balanced: share of bits whose mean in {-1, 1} lies within [-.9, .9]; healthy codes have .95 and more.
    constant: bits that never change. twins: bits that always equal another bit, or its opposite. unique: different
    codes over items. correlation: mean absolute correlation of two bits that change, 0 is best. effective_rank: how
    many directions the codes use, over n_bits: exp of the entropy of the eigenvalues of the bits' covariance (Roy and
    Vetterli, "The effective rank", EUSIPCO 2007); 1 is best, 0 where nothing varies.
    """

    n: int
    n_bits: int
    balanced: float
    constant: int
    twins: int
    unique: float
    correlation: float
    effective_rank: float

    def to_json(self) -> dict[str, float | int]:
        """The figures as plain JSON values."""
        return asdict(self)


def code_health(codes: Codes) -> CodeHealth:
    """The figures of some codes; at most 20,000, evenly spaced, for all but `unique`. Raises DataError for none."""
    if not len(codes):
        raise DataError("There are no codes to look at.")
    rows = np.unique(np.linspace(0, len(codes) - 1, _ROWS).astype(np.int64))
    signs = codes[rows].signs()
    means = signs.mean(axis=0)
    centred = signs - means
    covariance = (centred.T @ centred).astype(np.float64) / len(rows)
    spread = np.sqrt(np.diag(covariance))
    varying = spread > 0
    correlation = covariance[np.ix_(varying, varying)] / np.outer(spread[varying], spread[varying])
    apart = np.abs(correlation[~np.eye(len(correlation), dtype=np.bool_)])
    twins = int((np.triu(np.abs(correlation), 1) > 1 - 1e-6).any(axis=0).sum())
    return CodeHealth(
        n=len(codes),
        n_bits=codes.n_bits,
        balanced=float((np.abs(means) <= 0.9).mean()),
        constant=int((~varying).sum()),
        twins=twins,
        unique=codes.n_unique() / len(codes),
        correlation=float(apart.mean()) if apart.size else 0.0,
        effective_rank=_effective_rank(covariance) / codes.n_bits,
    )


def _effective_rank(covariance: np.ndarray) -> float:
    values = np.clip(np.linalg.eigvalsh(covariance), 0, None)
    if values.sum() <= 0:
        return 0.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))
