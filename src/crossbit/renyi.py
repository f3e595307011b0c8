"""How much two similarities of the same items tell of each other: matrix-based Renyi information of order 2."""

from __future__ import annotations

import torch
from torch import Tensor


def entropy(kernel: Tensor) -> Tensor:
    """-log2 of the sum of squared entries of a symmetric (b, b) kernel, brought to trace 1: 0 to log2 b bits.

    At order 2 the sum of squared eigenvalues is the sum of squared entries, so that none has to be found.
    Source: Sanchez Giraldo, Rao, Principe, IEEE Transactions on Information Theory 61, 2015.
    """
    return -torch.log2((kernel / kernel.diagonal().sum()).square().sum())


def mutual_information(first: Tensor, second: Tensor) -> Tensor:
    """Entropy of each kernel, less that of both at once (their product entry by entry)."""
    return entropy(first) + entropy(second) - entropy(first * second)
