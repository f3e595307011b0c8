"""A hash network with a hidden tanh layer, which becomes plain layers like the others."""

from __future__ import annotations

from torch import Tensor, nn

from crossbit.hasher import Activation, HashFunction, Layer
from crossbit.nets import HashNet, Standardise
from crossbit.pairs import Features


class TanhNet(HashNet):
    """Standardised feature rows (b, d) through one hidden tanh layer to real outputs (b, n_bits)."""

    def __init__(self, features: Features, n_bits: int, hidden: int) -> None:
        d = features.shape[1]
        super().__init__(Standardise(features), nn.Linear(d, hidden), nn.Tanh(), nn.Linear(hidden, n_bits))

    def hash_function(self) -> HashFunction:
        """The same function as plain arrays; the standardisation is folded into the first of them."""
        state = {name: value.detach().double().cpu() for name, value in self.layers.state_dict().items()}
        weight = state["1.weight"] * state["0.scale"]
        first = _layer(weight, state["1.bias"] - weight @ state["0.shift"], "tanh")
        return HashFunction((first, _layer(state["3.weight"], state["3.bias"], "linear")))


def _layer(weight: Tensor, bias: Tensor, activation: Activation) -> Layer:
    return Layer(weight.T.float().numpy(), bias.float().numpy(), activation)
