"""A hash network with a hidden tanh layer, which becomes plain layers like the others."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from crossbit.hasher import HashFunction
from crossbit.nets import HashNet, Standardise
from crossbit.pairs import Features


class TanhNet(HashNet):
    """Standardised feature rows (b, d) through one hidden tanh layer to real outputs (b, n_bits)."""

    def __init__(self, features: Features, n_bits: int, hidden: int) -> None:
        d = features.shape[1]
        super().__init__(Standardise(features), nn.Linear(d, hidden), nn.Tanh(), nn.Linear(hidden, n_bits))

    def hash_function(self) -> HashFunction:
        """The same function as plain arrays."""
        standardise, first, _, last = self.layers
        hidden = HashNet(standardise, first).hash_function().layers[0]
        return HashFunction((replace(hidden, activation="tanh"), *HashNet(last).hash_function().layers))
