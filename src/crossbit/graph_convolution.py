"""Graph convolution over the pairs of a batch: used while learning, never to encode."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def normalised_adjacency(similarity: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2 of a (b, b) similarity, with D the sums of A's rows; what is below 0 is no edge."""
    edges = similarity.clamp(min=0)
    scale = edges.sum(dim=1).clamp(min=1e-12).rsqrt()
    return scale[:, None] * edges * scale[None, :]


def crossed_graph(similarity: Tensor) -> Tensor:
    """[[S, I], [I, S]]: b images and b texts as 2b nodes, each image tied to its own text: (b, b) -> (2b, 2b)."""
    tie = torch.eye(len(similarity), dtype=similarity.dtype, device=similarity.device)
    return torch.cat([torch.cat([similarity, tie], dim=1), torch.cat([tie, similarity], dim=1)])


class GraphConvolution(nn.Module):
    """One layer: the rows of a node's neighbours, averaged by the adjacency, through an affine map."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.affine = nn.Linear(d_in, d_out)

    def forward(self, adjacency: Tensor, rows: Tensor) -> Tensor:
        """(b, b), (b, d_in) -> (b, d_out)."""
        return self.affine(adjacency @ rows)  # type: ignore[no-any-return]
