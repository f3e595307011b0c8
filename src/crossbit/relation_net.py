"""A relation network: it learns how alike two codes are."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RelationNet(nn.Module):
    """How alike two codes are, from 0 to 1: an MLP with one hidden layer on h_i, h_j and h_i * h_j."""

    def __init__(self, n_bits: int, units: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_bits, units)
        self.second = nn.Linear(n_bits, units, bias=False)
        self.product = nn.Parameter(torch.randn(units, n_bits) / n_bits**0.5)
        self.last = nn.Linear(units, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(b, n_bits) and (m, n_bits) -> (b, m)."""
        b, units = len(first), len(self.product)
        products = ((first[:, None] * self.product).flatten(0, 1) @ second.T).view(b, units, len(second))
        hidden = torch.relu(products + self.first(first)[:, :, None] + self.second(second).T)
        return torch.sigmoid((self.last.weight @ hidden)[:, 0] + self.last.bias)
