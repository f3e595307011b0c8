"""A hash network that fuses what several of its layers tell, and becomes plain layers all the same (DMFH)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crossbit.hasher import Activation, HashFunction, Layer
from crossbit.nets import HashNet, Standardise
from crossbit.pairs import Features


class FusedNet(HashNet):
    """Standardised rows (b, d) through a trunk; a branch of every layer of it; all branches fused into the outputs.

    widths: units of the trunk's layers. scale: units of each branch, and of the layer that fuses them.
    """

    def __init__(self, features: Features, n_bits: int, widths: tuple[int, ...], scale: int) -> None:
        super().__init__()
        self.standardise = Standardise(features)
        before = (features.shape[1], *widths[:-1])
        self.trunk = nn.ModuleList(nn.Linear(d, width) for d, width in zip(before, widths, strict=True))
        self.branches = nn.ModuleList(nn.Linear(width, scale) for width in widths)
        self.fusion = nn.Linear(len(widths) * scale, scale)
        self.head = nn.Linear(scale, n_bits)

    def forward(self, rows: Tensor) -> Tensor:
        """(b, d) -> (b, n_bits)."""
        rows, told = self.standardise(rows), []
        for layer, branch in zip(self.trunk, self.branches, strict=True):
            rows = torch.relu(layer(rows))
            told.append(torch.relu(branch(rows)))
        return self.head(torch.relu(self.fusion(torch.cat(told, dim=1))))  # type: ignore[no-any-return]  # untyped calls

    def hash_function(self) -> HashFunction:
        """The same function as plain layers: what a branch told passes later ones as it is, since it is not below 0."""
        state = {name: value.detach().double().cpu() for name, value in self.state_dict().items()}
        first = state["trunk.0.weight"] * state["standardise.scale"]
        layers = [_layer(first, state["trunk.0.bias"] - first @ state["standardise.shift"], "relu")]
        told = 0
        for number in range(len(self.trunk)):
            steps = [f"branches.{number}", *([f"trunk.{number + 1}"] if number + 1 < len(self.trunk) else [])]
            weight = torch.cat([state[f"{step}.weight"] for step in steps])
            bias = torch.cat([state[f"{step}.bias"] for step in steps])
            weight = torch.block_diag(torch.eye(told, dtype=weight.dtype), weight)  # type: ignore[no-untyped-call]  # torch has no types for it
            layers.append(_layer(weight, torch.cat([bias.new_zeros(told), bias]), "relu"))
            told += self.fusion.out_features
        layers.append(_layer(state["fusion.weight"], state["fusion.bias"], "relu"))
        return HashFunction((*layers, _layer(state["head.weight"], state["head.bias"], "linear")))


def _layer(weight: Tensor, bias: Tensor, activation: Activation) -> Layer:
    return Layer(weight.T.float().numpy(), bias.float().numpy(), activation)
