"""Codes of classes in two levels, learned bit by bit: SHDCH's discrete updates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LevelFit:
    """What one level's class codes are fitted to. n_bits: r. weight: of the level. eta: of the relation across levels.

    gram: (r, r) F F^T + G G^T of both modalities' outputs. sums: (r, c) (F + G) L, the outputs summed by class.
    under: (c, c_other) 1 where a class of this level and one of the other belong together.
    """

    n_bits: int
    weight: float
    eta: float
    gram: Tensor
    sums: Tensor
    under: Tensor


def updated(codes: Tensor, other: Tensor, fit: LevelFit, sweeps: int, zero_keeps: bool) -> Tensor:
    """Class codes (r, c) after at most so many sweeps over their bits, given the other level's codes (r, c_other).

    Each bit minimises weight (|r L - F^T Y|^2 + |r L - G^T Y|^2) + eta |r S - Y^T Y_other|^2 with all others fixed, so
    no sweep increases it; sweeps end when no bit changes. zero_keeps: where both values of a bit are as good, the bit
    stays; False gives it 0, as the released code's sign does.
    """
    codes = codes.clone()
    across = other @ other.T
    for _ in range(sweeps):
        before = codes.clone()
        for k in range(fit.n_bits):
            wanted = fit.n_bits * (fit.weight * fit.sums[k] + fit.eta * other[k] @ fit.under.T)
            pull = fit.eta * across[k] + fit.weight * fit.gram[k]
            wanted = wanted - (pull @ codes - pull[k] * codes[k])
            tied = codes[k] if zero_keeps else torch.zeros_like(wanted)
            codes[k] = torch.where(wanted == 0, tied, wanted.sign())
        if torch.equal(before, codes):
            break
    return codes
