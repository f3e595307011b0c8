"""A hash network that carries features past its squeeze: those that a selector picks out of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from crossbit.hasher import Activation, HashFunction, Layer
from crossbit.nets import HashNet


class SelectingNet(HashNet):
    """Feature rows (b, d) through two ReLU layers, of which the second is narrow; beside them, units that see a choice.

    These units read the `kept` features of the largest gates alone, each times its gate. A linear head reads both.
    layers: Standardise and a Dropout, which the units see too, then the two layers, each normalised.
    """

    def __init__(
        self, *layers: nn.Module, d: int, narrow: int, kept: int, units: int, dropout: float, n_bits: int
    ) -> None:
        super().__init__(*layers)
        self.kept = kept
        self.gates = nn.Parameter(0.01 * torch.randn(d))  # so small that all may still be chosen
        self.selection = nn.Linear(d, units)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(narrow + units, n_bits))

    def gate(self) -> Tensor:
        """(d,): from 0 to 1, and 0 for all but the largest; its gradient is that of a gate that drops nothing."""
        gate = torch.sigmoid(self.gates)
        dropped = torch.ones_like(gate).index_fill(0, gate.topk(self.kept).indices, 0.0)
        return gate - (gate * dropped).detach()

    def forward(self, rows: Tensor) -> Tensor:
        """(b, d) -> (b, n_bits)."""
        rows = self.layers[:2](rows)
        selected = torch.relu(self.selection(rows * self.gate()))
        return self.head(torch.cat([self.layers[2:](rows), selected], dim=1))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def hash_function(self) -> HashFunction:
        """The same function as plain arrays: the selected units pass the narrow layer as they are, none below 0."""
        first, second = super().hash_function().layers
        state = {name: value.double().cpu().numpy() for name, value in self.state_dict().items()}
        gate = self.gate().detach().double().cpu().numpy()
        selection = (state["selection.weight"] * gate * state["layers.0.scale"]).T
        bias = state["selection.bias"] - state["layers.0.shift"] @ selection
        wide, narrow, units = first.weight.shape[1], second.weight.shape[1], selection.shape[1]
        passing = np.zeros((wide + units, narrow + units))
        passing[:wide, :narrow], passing[wide:, narrow:] = second.weight, np.eye(units)
        return HashFunction(
            (
                _layer(np.hstack([first.weight, selection]), np.hstack([first.bias, bias]), "relu"),
                _layer(passing, np.hstack([second.bias, np.zeros(units)]), "relu"),
                _layer(state["head.1.weight"].T, state["head.1.bias"], "linear"),
            )
        )


def _layer(weight: np.ndarray, bias: np.ndarray, activation: Activation) -> Layer:
    return Layer(weight.astype(np.float32), bias.astype(np.float32), activation)
