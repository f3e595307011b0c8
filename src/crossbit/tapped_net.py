"""A hash network that, while it learns, also tells what lies before its outputs: its features and their classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crossbit.nets import HashNet


class TappedNet(HashNet):
    """Feature rows (b, d) through a trunk to features (b, f), and from these to outputs (b, n_bits).

    While it learns, a row of its outputs is followed by its features and by the outputs of a head for classes, for
    the objective to take apart with `taps_of`; afterwards it gives the outputs alone, as its hash function does.
    """

    def __init__(self, *trunk: nn.Module, features: int, n_bits: int, classes: int) -> None:
        super().__init__(*trunk, nn.Linear(features, n_bits))
        self.classes = nn.Linear(features, classes) if classes else None

    def forward(self, rows: Tensor) -> Tensor:
        """(b, d) -> (b, n_bits), or (b, n_bits + f + c) while it learns."""
        features: Tensor = self.layers[:-1](rows)
        outputs: Tensor = self.layers[-1](features)
        if not self.training:
            return outputs
        heads = [outputs, features] if self.classes is None else [outputs, features, self.classes(features)]
        return torch.cat(heads, dim=1)


@dataclass(frozen=True, eq=False)
class Taps:
    """outputs: (b, n_bits). features: (b, f). scores: (b, c) before any sigmoid."""

    outputs: Tensor
    features: Tensor
    scores: Tensor


def taps_of(rows: Tensor, n_bits: int, classes: int) -> Taps:
    """The parts of what a TappedNet gives while it learns."""
    outputs, features, scores = rows.split([n_bits, rows.shape[1] - n_bits - classes, classes], dim=1)  # type: ignore[no-untyped-call]  # torch has no types for it
    return Taps(outputs, features, scores)
