"""Loss terms on tables of cosines that the later affinity-reconstructing papers share (DSAH, DGCPN, DAEH)."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import mse_loss


def diagonal_pull(cosines: Tensor, target: float) -> Tensor:
    """Mean of (cosine of a pair's own two codes - target)^2: (b, b) -> a number. Above 1 the target is a margin."""
    return (cosines.diagonal() - target).square().mean()


def off_diagonal_loss(cosines: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two (b, b) tables over the entries off their diagonals; 0 for a batch of one."""
    b = len(cosines)
    squares = (cosines - target).square()
    return (squares.sum() - squares.diagonal().sum()) / max(b * b - b, 1)


def asymmetry(cosines: Tensor) -> Tensor:
    """Mean squared difference between a (b, b) table and its transpose: i to j is to be as alike as j to i."""
    return mse_loss(cosines, cosines.T)
