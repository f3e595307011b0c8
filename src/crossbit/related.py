"""Which training pairs a teacher's outputs find related to which: the K nearest, held by n thresholds, not n x n."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from crossbit.neighbours import BLOCK, squared_distances


@dataclass(frozen=True, eq=False)
class Related:
    """n pairs seen from one or more sides. outputs: (sides, n, d). bounds: (sides, n), how alike the K-th nearest is.

    by_cosine: whether alike means a high cosine, or else a small Euclidean distance.
    """

    outputs: Tensor
    bounds: Tensor
    by_cosine: bool

    def __len__(self) -> int:
        return self.bounds.shape[1]

    def rows(self, rows: Tensor) -> Tensor:
        """(b,) -> (b, n) bool: related from any of the sides; a pair is related to itself."""
        found = [
            likeness(side[rows], side, self.by_cosine) >= bound[rows][:, None]
            for side, bound in zip(self.outputs, self.bounds, strict=True)
        ]
        return torch.stack(found).any(dim=0)


@torch.no_grad()
def nearest_related(outputs: Tensor, k: int, *, by_cosine: bool) -> Related:
    """The k nearest of each pair, itself among them, from each side of (sides, n, d)."""
    n = outputs.shape[1]
    bounds = []
    for side in outputs:
        blocks = (likeness(side[start : start + BLOCK], side, by_cosine) for start in range(0, n, BLOCK))
        bounds.append(torch.cat([block.kthvalue(n - k + 1, dim=1).values for block in blocks]))
    # A hair lower: the same product may round otherwise in a batch of another size.
    return Related(outputs, torch.stack(bounds) - 1e-5, by_cosine)


def likeness(first: Tensor, second: Tensor, by_cosine: bool) -> Tensor:
    """Cosines between the rows of (b, d) and (m, d), or minus their squared Euclidean distances: (b, m)."""
    return normalize(first) @ normalize(second).T if by_cosine else -squared_distances(first, second)
