"""DCHMT: differentiable cross-modal hashing via multimodal transformers, on ready features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from crossbit.clip_heads import HeadMethod, label_rows, share_a_label
from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet
from crossbit.pairs import Features, PairedFeatures
from crossbit.training import Batch, Objective


@dataclass(frozen=True, kw_only=True)
class DCHMT(HeadMethod):
    """Each bit is a choice between two, made by a softmax, so that learning needs no sign and no relaxed code.

    A pair's modality has a vector v of 2 x n_bits chances; the code is the likelier choice of each couple. d is the
    distance of two such vectors, m = sqrt(2 n_bits theta) the distance of codes that differ in a share theta of the
    bits, S = 1 where pairs share a label. The loss is mean(S d^2) + mean((1 - S) (m - min(d, m))^2), summed over
    image-text, image-image and text-text, each in the batch.

    Source: Tu, Liu, Lin, Hong, Wang, ACM MM 2022; the formulas as the authors' code has them. `balance_of_chances`
    is a term that only their later repository has, w (1 - mean((2 v - 1)^2)): it asks for clear choices.
    Departures: the paper fine-tunes CLIP ViT-B/32 on pixels and tokens; here ready features go through one layer of
    CLIP's width, then through the paper's head (128 ReLU units, one couple a bit). A couple's softmax is written as
    the sigmoid of one output, the difference of the two: the same chances, half the weights. AdamW in place of
    BertAdam, both with decoupled decay .2, at the head's rate of 1e-3; 40 epochs, not 100; the authors keep the best
    epoch on the test queries, direction by direction, here training stops by its own loss. Distances near 0 are kept
    off the root, whose slope has no bound there.
    """

    name: ClassVar[str] = "dchmt"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Tu, Liu, Lin, Hong, Wang",
        title="Differentiable Cross-modal Hashing via Multimodal Transformers",
        venue="ACM MM",
        year=2022,
        link="https://doi.org/10.1145/3503161.3548187",
    )

    theta_share: float = 0.5  # share of the bits in which unlike codes shall differ; the later repository has .75
    balance_of_chances: float = 0.0  # weight of the term for clear choices; the later repository has .001
    head_units: int = 128  # ReLU units between trunk and bits

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_units < 1:
            raise SettingsError(f"head_units must be 1 or more units; got {self.head_units!r}.")

    def network(self, features: Features) -> HashNet:
        """Trunk, ReLU units, one output a bit."""
        head = (nn.Linear(self.hidden, self.head_units), nn.ReLU(), nn.Linear(self.head_units, self.n_bits))
        return HashNet(*self.trunk(features), nn.Dropout(self.dropout), *head)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The loss of distances and margins under the labels' similarity."""
        return DCHMTObjective(self, label_rows(pairs, self.name))


class DCHMTObjective(Objective):
    """First the similarity (a shared label), then the loss on chances."""

    labels: Tensor  # (n, c)

    def __init__(self, method: DCHMT, labels: Tensor) -> None:
        super().__init__()
        self.method = method
        self.margin = math.sqrt(2 * method.n_bits * method.theta_share)
        self.register_buffer("labels", labels, persistent=False)

    def pull_and_push(self, alike: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """mean(S d^2) + mean((1 - S) (m - min(d, m))^2) of chances (b, n_bits) that the first choice wins."""
        # A couple's chances are p and 1 - p, so its part of the squared distance counts (p - q)^2 twice.
        lengths = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)
        squared = (2 * (lengths - 2 * first @ second.T)).clamp(min=1e-12)
        gap = self.margin - squared.sqrt().clamp(max=self.margin)
        return (alike * squared).mean() + ((1 - alike) * gap.square()).mean()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The three comparisons, and the term for clear choices where it is asked for."""
        alike = share_a_label(self.labels[batch.rows])
        image, text = torch.sigmoid(batch.image_real), torch.sigmoid(batch.text_real)
        terms = {
            "between": self.pull_and_push(alike, image, text),
            "image": self.pull_and_push(alike, image, image),
            "text": self.pull_and_push(alike, text, text),
        }
        if self.method.balance_of_chances:
            vague = (1 - (2 * image - 1).square().mean()) + (1 - (2 * text - 1).square().mean())
            terms["vague"] = self.method.balance_of_chances * vague
        return terms
