"""A memory bank: one vector a training pair, remembered from batch to batch, whose signs are keys to compare with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


class MemoryBank(nn.Module):
    """The remembered directions v of n pairs, (n, n_bits), each of length 1; a checkpoint holds them.

    They begin at random; a pair's key is sgn(v) / sqrt(n_bits), zero counted as +1, and so of length 1 too.
    """

    directions: Tensor

    def __init__(self, n: int, n_bits: int) -> None:
        super().__init__()
        self.register_buffer("directions", normalize(torch.randn(n, n_bits)))

    def keys(self, rows: Tensor) -> Tensor:
        """(b,) -> (b, n_bits)."""
        return as_keys(self.directions[rows])

    def drawn(self, how_many: int) -> Tensor:
        """The keys of pairs drawn at random, each time anew: (how_many, n_bits)."""
        n = len(self.directions)
        return self.keys(torch.randint(n, (how_many,), device=self.directions.device))

    @torch.no_grad()
    def refresh(self, rows: Tensor, directions: Tensor, momentum: float) -> None:
        """v <- momentum v + (1 - momentum) direction, brought to length 1 again."""
        mixed = momentum * self.directions[rows] + (1 - momentum) * directions
        self.directions[rows] = normalize(mixed)


def as_keys(directions: Tensor) -> Tensor:
    """Signs, zero counted as +1, brought to length 1: (b, n_bits), with no gradient."""
    return torch.where(directions >= 0, 1.0, -1.0).to(directions.dtype) * directions.shape[1] ** -0.5  # type: ignore[no-any-return]
