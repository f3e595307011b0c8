"""Triplets of cosines that weigh what exchanging their two answers would cost a ranking (DADH)."""

from __future__ import annotations

import torch
from torch import Tensor

from crossbit.similarity import cosine


@torch.no_grad()
def ranking_gains(labels: Tensor) -> Tensor:
    """Labels (b, c) of 0 and 1 to (2^shared - 1) / Z_i, (b, b); Z_i is the best discounted sum of row i."""
    gains = torch.exp2(labels @ labels.T) - 1
    places = torch.arange(len(labels), dtype=gains.dtype, device=gains.device)
    best = (gains.sort(dim=1, descending=True).values / torch.log2(places + 2)).sum(dim=1, keepdim=True)
    return gains / best.clamp(min=1e-12)


def weighted_triplets(first: Tensor, second: Tensor, gains: Tensor, margin: float) -> Tensor:
    """Sum over all i, j, k of max(0, gain_ij - gain_ik) max(0, cos_ik - cos_ij + margin), over the items i.

    first: (b, r), the i. second: (b, r), the j and k. gains: (b, b). The margin is of distances 1 - cos.
    """
    near = cosine(first, second)
    weights = (gains[:, :, None] - gains[:, None, :]).clamp(min=0)
    return (weights * (near[:, None, :] - near[:, :, None] + margin).clamp(min=0)).sum() / len(first)
