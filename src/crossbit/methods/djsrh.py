"""DJSRH: deep joint-semantics reconstructing hashing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from crossbit.method import Paper
from crossbit.nets import HashNet, hidden_net, linear_net
from crossbit.objectives import reconstruction
from crossbit.pairs import PairedFeatures
from crossbit.similarity import second_order, stretched_cosine
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class DJSRH(DeepMethod):
    """Codes whose cosines reconstruct a joint-semantics similarity of the batch.

    The similarity fuses both modalities' cosines and adds their second order (neighbours of neighbours); the loss is
    its mean squared difference from the cosines of relaxed codes, between and within the modalities.

    Source: Su, Zhong, Zhang, ICCV 2019, eqs. 2 to 7, and the settings of the released code (MIRFlickr column). Its
    settings for Wikipedia are beta .3, both lambdas .3, a rate of .01 for images too, and 200 epochs.
    Departures: the image trunk is frozen (features in, one linear hash layer on top, where the paper fine-tunes
    AlexNet); features for the similarity are those same clean features, not those of an augmented crop.
    """

    name: ClassVar[str] = "djsrh"
    paper: ClassVar[Paper] = Paper(
        authors="Su, Zhong, Zhang",
        title="Deep Joint-Semantics Reconstructing Hashing for Large-Scale Unsupervised Cross-Modal Retrieval",
        venue="ICCV",
        year=2019,
        link="https://doi.org/10.1109/ICCV.2019.00312",
    )

    beta: float = 0.9  # weight of the image similarity; the text has 1 - beta
    eta: float = 0.4  # weight of the second order
    mu: float = 1.5  # scale of the target; above 1 it acts as a margin
    lambda_image: float = 0.1  # weight of the loss within images
    lambda_text: float = 0.1  # weight of the loss within texts
    hidden: int = 4096  # units of the text network
    learning_rate_image: float = 0.001  # of SGD on the image network
    learning_rate_text: float = 0.01  # of SGD on the text network
    momentum: float = 0.9  # of SGD
    weight_decay: float = 5e-4  # of SGD

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """A linear hash layer for images, one hidden layer for texts."""
        d_image, d_text = pairs.image.shape[1], pairs.text.shape[1]
        return linear_net(d_image, self.n_bits), hidden_net(d_text, self.n_bits, self.hidden)

    def alpha(self, epoch: int) -> float:
        """sqrt(epoch + 1), epochs counted from 0."""
        return math.sqrt(epoch + 1)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """SGD with momentum, one rate a network."""
        groups = [
            {"params": image.parameters(), "lr": self.learning_rate_image},
            {"params": text.parameters(), "lr": self.learning_rate_text},
        ]
        return torch.optim.SGD(groups, momentum=self.momentum, weight_decay=self.weight_decay, fused=True)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The reconstruction of the batch's own similarity."""
        return DJSRHObjective(self)


class DJSRHObjective(Objective):
    """First the similarity (eqs. 2 to 4), then the loss (eqs. 6 and 7)."""

    def __init__(self, method: DJSRH) -> None:
        super().__init__()
        self.method = method

    @torch.no_grad()
    def similarity(self, image: Tensor, text: Tensor) -> Tensor:
        """(b, d_image), (b, d_text) -> (b, b)."""
        m = self.method
        fused = m.beta * stretched_cosine(image) + (1 - m.beta) * stretched_cosine(text)
        return (1 - m.eta) * fused + m.eta * second_order(fused)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The three reconstruction terms."""
        m = self.method
        target = m.mu * self.similarity(batch.image, batch.text)
        return {
            "between": reconstruction(target, batch.image_code, batch.text_code),
            "within_image": m.lambda_image * reconstruction(target, batch.image_code, batch.image_code),
            "within_text": m.lambda_text * reconstruction(target, batch.text_code, batch.text_code),
        }
