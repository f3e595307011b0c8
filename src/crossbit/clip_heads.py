"""What the methods on top of CLIP share when they stand on ready features: their networks and their schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from crossbit.errors import LabelError, SettingsError
from crossbit.nets import HashNet, Standardise
from crossbit.pairs import Features, PairedFeatures
from crossbit.taught import check_choices
from crossbit.training import DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class HeadMethod(DeepMethod):
    """A supervised method whose paper fine-tunes CLIP under a hash head; here a small trunk stands in for CLIP.

    The trunk is one regularised layer a modality, as wide as CLIP's common space. The optimiser is the one that these
    papers share: decoupled weight decay, gradients of bounded length, a rate that warms up and then falls to nothing.
    Training stops after `patience` epochs without a lower loss on the training pairs, or when all epochs are done.
    """

    hidden: int = 512  # units of each trunk
    input_dropout: float = 0.1  # share of the features dropped at random in training
    dropout: float = 0.2  # share of the units before the last layer dropped
    epochs: int = 40
    batch_size: int = 128
    patience: int = 5
    learning_rate: float = 1e-3  # the peak
    weight_decay: float = 0.2  # decoupled
    warm_up_share: float = 0.1  # share of the steps in which the rate rises
    largest_gradient: float = 1.0  # a longer gradient is cut to this length

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices(self)
        if self.batch_size < 2:
            raise SettingsError(f"batch_size must be 2 or more, since pairs are compared; got {self.batch_size!r}.")
        for name in ("input_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"{name} is a share from 0 to below 1; got {getattr(self, name)!r}.")
        if not self.largest_gradient > 0:
            raise SettingsError(f"largest_gradient must be above 0; got {self.largest_gradient!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """A trunk and a head a modality."""
        return self.network(pairs.image), self.network(pairs.text)

    def network(self, features: Features) -> HashNet:
        """A trunk and a linear head."""
        return HashNet(*self.trunk(features), nn.Dropout(self.dropout), nn.Linear(self.hidden, self.n_bits))

    def trunk(self, features: Features) -> Sequence[nn.Module]:
        """Standardised, partly dropped features through one normalised ReLU layer."""
        affine = nn.Linear(features.shape[1], self.hidden)
        return Standardise(features), nn.Dropout(self.input_dropout), affine, nn.BatchNorm1d(self.hidden), nn.ReLU()

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """AdamW on gradients of bounded length; what the objective learns follows `objective_rates`."""
        networks, own = [*image.parameters(), *text.parameters()], list(objective.parameters())
        groups: list[dict[str, Any]] = [{"params": networks}]
        if own:
            groups.append({"params": own, **self.objective_rates()})
        adam = torch.optim.AdamW(groups, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

        def cut(*_: Any) -> None:
            nn.utils.clip_grad_norm_([*networks, *own], self.largest_gradient)

        adam.register_step_pre_hook(cut)
        return adam

    def objective_rates(self) -> dict[str, float]:
        """Rate and decay of what the objective learns, where they differ from the networks'."""
        return {}

    def rate_factor(self, progress: float) -> float:
        """Up in a line while warming up, then down along half a cosine."""
        if progress < self.warm_up_share:
            return max(progress / self.warm_up_share, 1e-3)
        along = (progress - self.warm_up_share) / max(1 - self.warm_up_share, 1e-9)
        return max(0.5 + 0.5 * math.cos(math.pi * along), 1e-3)


def label_rows(pairs: PairedFeatures, method: str) -> Tensor:
    """The labels (n, c) of the pairs as 0 and 1; raises LabelError, naming the method, where there are none."""
    if pairs.labels is None:
        raise LabelError(f"{method} is supervised and needs labels; the pairs have none.")
    return torch.tensor(pairs.labels, dtype=torch.float32)


def share_a_label(labels: Tensor) -> Tensor:
    """(b, c) -> (b, b): 1 where two pairs share a label, else 0; a pair is always like itself."""
    return (labels @ labels.T > 0).float().fill_diagonal_(1.0)
