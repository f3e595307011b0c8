"""JDSH: joint-modal distribution-based similarity hashing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from crossbit.distribution import Distribution, fit_distribution
from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet, hidden_net, linear_net
from crossbit.objectives import pair_agreement, reconstruction
from crossbit.pairs import PairedFeatures
from crossbit.similarity import cross_profile, off_diagonal, stretched_cosine
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class JDSH(DeepMethod):
    """Codes whose cosines reconstruct a joint-modal similarity, sharpened where its distribution is decided.

    The similarity of a batch joins both modalities and their crossed profiles. Its distribution over the training
    pairs, half Gaussian left of the mode and half Laplace right of it, says which pairs are surely unlike or surely
    alike (DSDW); those are pushed further apart or together.

    Source: Liu, Qian, Guan, Zhan, Ying, SIGIR 2020, and the settings of the released code (MIRFlickr column).
    Departures: the distribution's constants are fitted to the training pairs at hand (the code hard-codes them for
    two data sets); `dsdw = "centred"` weights the distance from the mode, because the published rule multiplies
    values that may be negative, which makes pairs it declared alike less alike ("published" gives it, "clamped" lets
    no threshold for alike pairs lie below 0); features are clean, where the code left dropout on; both masks are
    taken before either is applied; the slope of the tanh stops growing at `alpha_limit`.
    """

    name: ClassVar[str] = "jdsh"
    paper: ClassVar[Paper] = Paper(
        authors="Liu, Qian, Guan, Zhan, Ying",
        title="Joint-modal Distribution-based Similarity Hashing for Large-scale Unsupervised Deep Cross-modal "
        "Retrieval",
        venue="SIGIR",
        year=2020,
        link="https://doi.org/10.1145/3397271.3401086",
    )

    weight_image: float = 0.5  # a: share of the image similarity
    weight_text: float = 0.1  # b: share of the text similarity
    weight_cross: float = 0.4  # l: share of the crossed profiles
    mu: float = 1.4  # scale of the target
    dsdw: Literal["centred", "published", "clamped", "off"] = "centred"  # the weighting: see above
    spread_left: float = 2.0  # ALPHA: pairs so many left scales below the mode are surely unlike
    spread_right: float = 4.0  # BETA: pairs so many right scales above it are surely alike
    push: float = 0.1  # L1: how much further apart
    pull: float = 0.2  # L2: how much closer
    within: float = 0.1  # weight of the losses within a modality
    hidden: int = 4096  # units of the text network
    epochs: int = 300
    alpha_limit: float = 10.0  # largest slope of the tanh
    learning_rate_image: float = 0.01  # of SGD on the image network
    learning_rate_text: float = 0.01  # of SGD on the text network
    momentum: float = 0.9  # of SGD
    weight_decay: float = 5e-4  # of SGD

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dsdw not in ("centred", "published", "clamped", "off"):
            raise SettingsError(f'dsdw is one of "centred", "published", "clamped", "off"; got {self.dsdw!r}.')

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """A linear hash layer for images, one hidden layer for texts."""
        d_image, d_text = pairs.image.shape[1], pairs.text.shape[1]
        return linear_net(d_image, self.n_bits), hidden_net(d_text, self.n_bits, self.hidden)

    def alpha(self, epoch: int) -> float:
        """sqrt(epoch + 1), capped."""
        return min(math.sqrt(epoch + 1), self.alpha_limit)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """SGD with momentum, one rate a network."""
        groups = [
            {"params": image.parameters(), "lr": self.learning_rate_image},
            {"params": text.parameters(), "lr": self.learning_rate_text},
        ]
        return torch.optim.SGD(groups, momentum=self.momentum, weight_decay=self.weight_decay, fused=True)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The batch's joint similarity, weighted by the distribution measured on all training pairs."""
        return JDSHObjective(self, pairs)


class JDSHObjective(Objective):
    """First the similarity and its weighting, then the loss."""

    def __init__(self, method: JDSH, pairs: PairedFeatures) -> None:
        super().__init__()
        self.method = method
        self.distribution = self.measure(pairs)

    @torch.no_grad()
    def joint(self, image: Tensor, text: Tensor) -> Tensor:
        """S~ = a S_I + b S_T + l S_h: (b, d_image), (b, d_text) -> (b, b)."""
        m = self.method
        image_similarity, text_similarity = stretched_cosine(image), stretched_cosine(text)
        crossed = cross_profile(image_similarity, text_similarity)
        return m.weight_image * image_similarity + m.weight_text * text_similarity + m.weight_cross * crossed

    def measure(self, pairs: PairedFeatures, n_batches: int = 100) -> Distribution:
        """The distribution of S~ over random batches; of the training size, since S_h depends on the batch."""
        order = np.random.default_rng(self.method.seed)
        size = min(self.method.batch_size, len(pairs))
        drawn = (order.choice(len(pairs), size, replace=False) for _ in range(n_batches))
        joints = (self.joint(torch.tensor(pairs.image[rows]), torch.tensor(pairs.text[rows])) for rows in drawn)
        return fit_distribution(torch.cat([off_diagonal(joint) for joint in joints]).numpy())

    @torch.no_grad()
    def weigh(self, joint: Tensor) -> Tensor:
        """DSDW: push the surely unlike apart, pull the surely alike together."""
        m, d = self.method, self.distribution
        if m.dsdw == "off":
            return joint
        left, right = d.thresholds(m.spread_left, m.spread_right)
        origin = d.mode if m.dsdw == "centred" else 0.0
        right = max(right, 0.0) if m.dsdw == "clamped" else right
        away = joint - origin
        pushed = origin + away * (1 + m.push * torch.exp(-(joint - d.low)))
        pulled = origin + away * (1 + m.pull * torch.exp(joint - d.high))
        return torch.where(joint < left, pushed, torch.where(joint > right, pulled, joint))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The released loss; both directions between modalities are written out, as there."""
        m, image, text = self.method, batch.image_code, batch.text_code
        target = m.mu * self.weigh(self.joint(batch.image, batch.text))
        return {
            "between": reconstruction(target, image, text) + reconstruction(target, text, image),
            "within_image": m.within * reconstruction(target, image, image),
            "within_text": m.within * reconstruction(target, text, text),
            "pair": pair_agreement(image, text),
        }
