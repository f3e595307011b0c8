"""A network from labels to features, codes and labels again, which teaches the networks of the modalities (SSAH)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from crossbit.adversary import ModalityDiscriminator
from crossbit.tapped_net import TappedNet, Taps, taps_of

PairwiseLoss = Callable[[Tensor, Tensor], Tensor]


class LabelNetwork(nn.Module):
    """What the network makes of each of k different rows of labels; learned on them alone, then held fixed.

    rows: (k, c) of 0 and 1. counts: (k,), how many pairs have them. With n pairs a term is a sum over them, divided by
    the n x n entries that a likelihood has.
    """

    rows: Tensor  # (k, c)
    counts: Tensor  # (k,)
    features: Tensor  # (k, f), above 0
    codes: Tensor  # (k, n_bits) in (-1, 1)

    def __init__(self, rows: Tensor, counts: Tensor, n_bits: int, hidden: int, features: int) -> None:
        super().__init__()
        k, c = rows.shape
        self.n_bits = n_bits
        trunk = (nn.Linear(c, hidden), nn.ReLU(), nn.Linear(hidden, features), nn.ReLU())
        self.network = TappedNet(*trunk, features=features, n_bits=n_bits, classes=c)
        for name, value in (("rows", rows), ("counts", counts)):
            self.register_buffer(name, value, persistent=False)
        self.register_buffer("features", torch.zeros(k, features))
        self.register_buffer("codes", torch.zeros(k, n_bits))

    def parts(self) -> Taps:
        """What the network makes of all rows, with the code after its tanh."""
        found = taps_of(self.network.train()(self.rows), self.n_bits, self.rows.shape[1])
        return Taps(torch.tanh(found.outputs), found.features, found.scores)

    def shared(self, labels: Tensor) -> Tensor:
        """(b, c) -> (b, k): 1 where two rows share a label, else 0."""
        return (labels @ self.rows.T > 0).to(labels.dtype)

    def losses(self, pairwise: PairwiseLoss, own: Taps) -> dict[str, Tensor]:
        """The likelihood of features and of codes with each other, the signs' distance, and the labels' own."""
        n, shared = self.counts.sum(), self.shared(self.rows)
        weights = self.counts[:, None] * self.counts
        signs = torch.where(own.outputs >= 0, 1.0, -1.0).detach()
        missed = torch.sigmoid(own.scores) - self.rows
        return {
            "features": (weights * pairwise(own.features @ own.features.T / 2, shared)).sum() / n**2,
            "codes": (weights * pairwise(own.outputs @ own.outputs.T / 2, shared)).sum() / n**2,
            "quantization": (self.counts[:, None] * (signs - own.outputs).square()).sum() / n**2,
            "labels": (self.counts[:, None] * missed.square()).sum() / n**2,
        }

    def learn(self, pairwise: PairwiseLoss, weights: dict[str, float], steps: int, rate: float) -> float:
        """So many steps of Adam over all rows at once; then the features and codes stand. Returns the last loss."""
        optimiser = torch.optim.Adam(self.network.parameters(), lr=rate, fused=True)
        last = 0.0
        for _ in range(steps):
            terms = self.losses(pairwise, self.parts())
            loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
            optimiser.step()
            last = float(loss.detach())
        optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            own = self.parts()
        self.features, self.codes = own.features, own.outputs
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        return last


class FeatureDiscriminator(ModalityDiscriminator):
    """Features (b, f) to one value each: high for the label network's, low for a modality's."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        half = max(1, features // 2)
        deep = (nn.Linear(features, features), nn.ReLU(), nn.Linear(features, half), nn.ReLU(), nn.Linear(half, 1))
        self.layers = nn.Sequential(*deep)
