"""Distances between rows, and the nearest training rows of each: block by block, so that no n x n matrix is held."""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1024  # rows compared with all others at once


@torch.no_grad()
def nearest_rows(features: Tensor, k: int) -> Tensor:
    """(n, d) -> (n, min(k, n - 1)): the k nearest others of each row by Euclidean distance, the nearest first."""
    n = len(features)
    found = []
    for start in range(0, n, BLOCK):
        rows = torch.arange(start, min(start + BLOCK, n), device=features.device)
        distances = torch.cdist(features[rows], features)
        distances[torch.arange(len(rows)), rows] = torch.inf
        found.append(distances.topk(min(k, n - 1), dim=1, largest=False).indices)
    return torch.cat(found)


def squared_distances(first: Tensor, second: Tensor) -> Tensor:
    """|a - b|^2 between the rows of (b, d) and (m, d): (b, m)."""
    lengths = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)
    return lengths - 2 * first @ second.T
