"""A hash network that codes an item twice, as a whole and concept by concept, and becomes plain layers (MITH)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crossbit.hasher import Activation, HashFunction, Layer
from crossbit.nets import HashNet


class ResidualStep(nn.Module):
    """x + V relu(U x + u) + v, over the last axis: (..., d) -> (..., d)."""

    def __init__(self, d: int, units: int) -> None:
        super().__init__()
        self.inner = nn.Linear(d, units)
        self.outer = nn.Linear(units, d)

    def forward(self, rows: Tensor) -> Tensor:
        """(..., d) -> (..., d)."""
        return rows + self.outer(torch.relu(self.inner(rows)))  # type: ignore[no-any-return]  # untyped calls


class WholeConcepts(nn.Module):
    """Two residual steps on an item's vector (b, f), and its likeness to n_bits learned concepts; for all modalities.

    units: of each residual step.
    """

    def __init__(self, width: int, units: int, n_bits: int) -> None:
        super().__init__()
        self.first = ResidualStep(width, units)
        self.second = ResidualStep(width, units)
        self.concepts = nn.Linear(width, n_bits, bias=False)


class ConceptNet(HashNet):
    """Feature rows (b, d) through a trunk to vectors (b, f), f = width; from these to real outputs (b, n_bits).

    The outputs are the sum of two: of the whole vector's likeness to the concepts, and of a sight of the vector for
    each concept, (b, n_bits, sight), which take from each other and then from themselves before each becomes one bit.
    While it learns, a row holds all that `parts_of` takes apart; afterwards the outputs alone, as its hash function.
    """

    def __init__(self, trunk: Sequence[nn.Module], whole: WholeConcepts, width: int, n_bits: int, sight: int) -> None:
        super().__init__(*trunk)
        self.whole = whole  # the same object in the networks of all modalities
        self.sights = nn.Linear(width, n_bits * sight)
        self.between = ResidualStep(n_bits, n_bits)  # over the concepts, the same for each place of a sight
        self.within = ResidualStep(sight, 2 * sight)  # over the places of a sight, the same for each concept
        self.bitwise = nn.Parameter(torch.empty(n_bits, sight).uniform_(-1, 1) * sight**-0.5)
        self.bitwise_bias = nn.Parameter(torch.zeros(n_bits))

    def forward(self, rows: Tensor) -> Tensor:
        """(b, d) -> (b, n_bits), or (b, 2 n_bits + f + n_bits sight) while it learns."""
        vectors: Tensor = self.layers(rows)
        features = self.whole.second(self.whole.first(vectors))
        sights = self.within(self.between(self.seen(vectors).mT).mT)
        whole, local = self.whole.concepts(features), self.bits(sights)
        if not self.training:
            return whole + local  # type: ignore[no-any-return]  # untyped calls
        return torch.cat([whole, local, features, sights.flatten(1)], dim=1)

    def seen(self, vectors: Tensor) -> Tensor:
        """(b, f) -> (b, n_bits, sight)."""
        return self.sights(vectors).unflatten(1, self.bitwise.shape)  # type: ignore[no-any-return]  # untyped calls

    def bits(self, sights: Tensor) -> Tensor:
        """(b, n_bits, sight) -> (b, n_bits): each concept its own weights."""
        return (sights * self.bitwise).sum(dim=2) + self.bitwise_bias

    def hash_function(self) -> HashFunction:
        """The same function as plain layers: both branches side by side, and what a residual step keeps passed on.

        Vectors and units are not below 0 and pass a ReLU as they are; the outputs so far pass it as two halves.
        """
        net = copy.deepcopy(self).cpu().double()
        width, n_bits = net.sights.in_features, net.bitwise.shape[0]
        first, second = net.whole.first, net.whole.second
        units = [width, first.inner.out_features, net.bitwise.numel()]

        def opened(vectors: Tensor) -> Tensor:
            between = net.between.inner(net.seen(vectors).mT).mT
            return torch.cat([vectors, first.inner(vectors), between.flatten(1)], dim=1)

        def passed(rows: Tensor) -> Tensor:
            vectors, kept, between = rows.split(units, dim=1)  # type: ignore[no-untyped-call]  # torch has no types for it
            features = vectors + first.outer(kept)
            sights = net.seen(vectors) + net.between.outer(between.unflatten(1, net.bitwise.shape).mT).mT
            so_far = net.whole.concepts(features) + net.bits(sights)
            return torch.cat([so_far, -so_far, second.inner(features), net.within.inner(sights).flatten(1)], dim=1)

        def closed(rows: Tensor) -> Tensor:
            up, down, kept, within = rows.split([n_bits, n_bits, units[1], 2 * units[2]], dim=1)  # type: ignore[no-untyped-call]  # torch has no types for it
            sights = net.within.outer(within.unflatten(1, (n_bits, -1)))
            return up - down + net.whole.concepts(second.outer(kept)) + (sights * net.bitwise).sum(dim=2)  # type: ignore[no-any-return]  # untyped calls

        last = 2 * n_bits + units[1] + 2 * units[2]
        layers = (_layer(opened, width, "relu"), _layer(passed, sum(units), "relu"), _layer(closed, last, "linear"))
        return HashFunction((*super().hash_function().layers, *layers))


@torch.no_grad()
def _layer(affine: Callable[[Tensor], Tensor], d: int, activation: Activation) -> Layer:
    """The layer of an affine map of d values, read off what it makes of nothing and of each value alone."""
    bias = affine(torch.zeros(1, d, dtype=torch.float64))
    weight = affine(torch.eye(d, dtype=torch.float64)) - bias
    return Layer(weight.float().numpy(), bias[0].float().numpy(), activation)


@dataclass(frozen=True, eq=False)
class Parts:
    """whole, local: (b, n_bits) relaxed codes in (-1, 1). features: (b, f). sights: (b, n_bits, sight)."""

    whole: Tensor
    local: Tensor
    features: Tensor
    sights: Tensor


def parts_of(rows: Tensor, n_bits: int, width: int) -> Parts:
    """The parts of what a ConceptNet gives while it learns."""
    rest = rows.shape[1] - 2 * n_bits - width
    whole, local, features, sights = rows.split([n_bits, n_bits, width, rest], dim=1)  # type: ignore[no-untyped-call]  # torch has no types for it
    return Parts(torch.tanh(whole), torch.tanh(local), features, sights.unflatten(1, (n_bits, -1)))
