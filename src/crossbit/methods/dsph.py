"""DSPH: deep semantic-aware proxy hashing, on ready features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from crossbit.clip_heads import HeadMethod, label_rows
from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet
from crossbit.pairs import Features, PairedFeatures
from crossbit.similarity import cosine
from crossbit.training import Batch, Objective

_DISTANCES = {(16, 7): 6, (16, 8): 5, (16, 9): 4, (32, 7): 14, (32, 8): 13, (32, 9): 12}
_DISTANCES |= {(64, 8): 29, (64, 9): 28, (128, 9): 60}


@dataclass(frozen=True, kw_only=True)
class DSPH(HeadMethod):
    """Each label has a learned point in code space, its proxy: codes go to the proxies of their labels, off the others.

    With h the relaxed codes of a modality and p the proxies, both modalities minimise the mean of 1 - cos(h, p) over
    the labels that pairs have and the mean of max(cos(h, p) - z, 0) over those that they have not. Among pairs of
    several labels, those that share none also leave each other: `apart` times the mean of max(cos(h, h') - z, 0) over
    such couples, image-image, text-text and image-text. z is the cosine that as many codes as there are labels can
    keep from each other: 1 - 2 d / n_bits, d the least distance of the best known linear code of that size.

    Source: Huo, Qin, Dai, Wang, Zhang, Huang, Wang, IEEE TCSVT 34(1) 2024; the formulas as the authors' code has
    them. Its z is read from a table of which nine cells are known to us; the other lengths and numbers of labels take
    Griesmer's bound on d, which is no less than the best code's and so gives no larger z. z below 0 counts as 0.
    Departures: the paper fine-tunes CLIP ViT-B/32 on pixels and tokens; here ready features go through one layer of
    CLIP's width, then through the paper's head (affine, dropout of outputs, tanh). AdamW in place of BertAdam, and
    also for the proxies, which the authors move by SGD with momentum at the same rate; 30 epochs, not 100; the authors
    keep the best epoch on the test queries, direction by direction, here training stops by its own loss.
    """

    name: ClassVar[str] = "dsph"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Huo, Qin, Dai, Wang, Zhang, Huang, Wang",
        title="Deep Semantic-Aware Proxy Hashing for Multi-Label Cross-Modal Retrieval",
        venue="IEEE TCSVT 34(1)",
        year=2024,
        link="https://doi.org/10.1109/TCSVT.2023.3285266",
    )

    apart: float = 0.8  # weight of the couples that share no label, among pairs of several labels
    margin: float | None = None  # z, a cosine from -1 to 1; None: from the best known codes
    learning_rate_proxies: float = 0.02
    weight_decay_proxies: float = 5e-4
    epochs: int = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.margin is not None and not -1 <= self.margin <= 1:
            raise SettingsError(f"margin is a cosine from -1 to 1, or None; got {self.margin!r}.")

    def network(self, features: Features) -> HashNet:
        """Trunk and one affine layer, whose outputs are partly dropped."""
        return HashNet(*self.trunk(features), nn.Linear(self.hidden, self.n_bits), nn.Dropout(self.dropout))

    def objective_rates(self) -> dict[str, float]:
        """The proxies learn faster and are held back less."""
        return {"lr": self.learning_rate_proxies, "weight_decay": self.weight_decay_proxies}

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The loss of proxies and of unlike couples."""
        return DSPHObjective(self, label_rows(pairs, self.name))


class DSPHObjective(Objective):
    """Cosines of relaxed codes with the proxies of all labels, and with each other."""

    labels: Tensor  # (n, c)

    def __init__(self, method: DSPH, labels: Tensor) -> None:
        super().__init__()
        self.method = method
        self.register_buffer("labels", labels, persistent=False)
        self.proxies = nn.Parameter(torch.randn(labels.shape[1], method.n_bits))
        self.margin = proxy_margin(method.n_bits, labels.shape[1]) if method.margin is None else method.margin

    def to_proxies(self, codes: Tensor, labels: Tensor) -> Tensor:
        """Mean of 1 - cos over the labels that rows have, plus mean of max(cos - z, 0) over those they have not."""
        found = cosine(codes, self.proxies)
        own = (labels * (1 - found)).sum() / labels.sum().clamp(min=1)
        others = ((1 - labels) * torch.relu(found - self.margin)).sum() / (1 - labels).sum().clamp(min=1)
        return own + others

    def unlike(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        """Mean of max(cos - z, 0) over the couples that share no label."""
        strangers = (labels @ labels.T == 0).float()
        return (strangers * torch.relu(cosine(first, second) - self.margin)).sum() / strangers.sum().clamp(min=1)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Both modalities against the proxies, and the three comparisons of pairs that have several labels."""
        image, text, labels = batch.image_code, batch.text_code, self.labels[batch.rows]
        terms = {"image": self.to_proxies(image, labels), "text": self.to_proxies(text, labels)}
        several = labels.sum(dim=1) > 1
        image, text, labels = image[several], text[several], labels[several]
        couples = ((image, image), (text, text), (image, text))
        terms["apart"] = self.method.apart * sum(
            (self.unlike(*couple, labels) for couple in couples), start=torch.zeros((), device=image.device)
        )
        return terms


def proxy_margin(n_bits: int, n_labels: int) -> float:
    """The cosine 1 - 2 d / n_bits, at least 0, that n_labels codes of n_bits keep from each other.

    d: the least distance of the best known linear code with 2^k >= n_labels words, where it is known to us, else
    Griesmer's bound on it: the largest d with sum over i < k of ceil(d / 2^i) <= n_bits.
    """
    k = max(math.ceil(math.log2(max(n_labels, 1))), 1)
    bound = max((d for d in range(1, n_bits + 1) if sum(-(-d >> i) for i in range(k)) <= n_bits), default=1)
    return max(1 - 2 * _DISTANCES.get((n_bits, k), bound) / n_bits, 0.0)
