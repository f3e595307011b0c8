"""Loss terms on tables of cosines that the later affinity-reconstructing papers share (DSAH, DGCPN, DAEH)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import mse_loss


def diagonal_pull(cosines: Tensor, target: float) -> Tensor:
    """Mean of (cosine of a pair's own two codes - target)^2: (b, b) -> a number. Above 1 the target is a margin."""
    return (cosines.diagonal() - target).square().mean()


def off_diagonal_loss(cosines: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two (b, b) tables over the entries off their diagonals; 0 for a batch of one."""
    others = ~torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
    return mse_loss(cosines[others], target[others]) if len(cosines) > 1 else cosines.sum() * 0


def asymmetry(cosines: Tensor) -> Tensor:
    """Mean squared difference between a (b, b) table and its transpose: i to j is to be as alike as j to i."""
    return mse_loss(cosines, cosines.T)
