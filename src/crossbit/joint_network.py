"""The joint network of CIRH: both modalities of a batch and its graph to one code a pair. Only learning uses it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from crossbit.graph_convolution import GraphConvolution, crossed_graph, normalised_adjacency


class JointNetwork(nn.Module):
    """Both modalities of a batch and its graph to one relaxed code a pair, and back to the features."""

    def __init__(self, n_bits: int, hidden: int, d_image: int, d_text: int) -> None:
        super().__init__()
        c, widths = n_bits, {"image": d_image, "text": d_text}

        def head(d: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(d, c), nn.BatchNorm1d(c))

        def encoder(d: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(d, hidden), nn.BatchNorm1d(hidden), nn.ReLU())

        def decoder(d: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(c, hidden), nn.ReLU(), nn.Linear(hidden, d))

        self.encoders = nn.ModuleDict({side: encoder(d) for side, d in widths.items()})
        self.graphs = nn.ModuleDict({side: GraphConvolution(hidden, hidden) for side in (*widths, "joint")})
        self.heads = nn.ModuleDict({side: head(hidden) for side in (*widths, "joint")})
        self.whole = head(3 * c)
        self.decoders = nn.ModuleDict({side: decoder(d) for side, d in widths.items()})

    def forward(self, image: Tensor, text: Tensor, graph: Tensor) -> dict[str, Tensor]:
        """(b, d_image), (b, d_text), (b, b) -> the heads H_I, H_T, the code H, and both rebuilt feature rows."""
        rows = {"image": image, "text": text}
        nodes = {side: normalize(self.encoders[side](own)) for side, own in rows.items()}
        own = normalised_adjacency(graph)
        heads = {side: self.heads[side](torch.relu(self.graphs[side](own, nodes[side]))) for side in rows}
        both = normalised_adjacency(crossed_graph(graph))
        crossed = torch.relu(self.graphs["joint"](both, torch.cat([nodes["image"], nodes["text"]])))
        joint = self.heads["joint"]((crossed[: len(graph)] + crossed[len(graph) :]) / 2)
        code = torch.tanh(self.whole(torch.cat([heads["image"], joint, heads["text"]], dim=1)))
        rebuilt = {f"rebuilt_{side}": self.decoders[side](code + torch.tanh(heads[side])) for side in rows}
        return {**heads, "code": code, **rebuilt}
