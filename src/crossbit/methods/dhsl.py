"""DHSL: deep hashing similarity learning. A reconstruction from the abstract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from crossbit.clip_heads import HeadMethod, label_rows
from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet
from crossbit.pairs import Features, PairedFeatures
from crossbit.relation_net import RelationNet
from crossbit.selecting_net import SelectingNet
from crossbit.similarity import cosine
from crossbit.training import Batch, Objective
from crossbit.weighted_triplets import ranking_gains, weighted_triplets


@dataclass(frozen=True, kw_only=True)
class DHSL(HeadMethod):
    """Relation networks learn from labels how alike two codes are; their similarity and weighted triplets make codes.

    With h the relaxed codes and S_ij = 1 where two pairs share a label, three networks R (image-text, image-image,
    text-text; an MLP on h_i, h_j and their products, from 0 to 1) and the codes minimise, the comparisons within a
    modality weighing `within`: the mean of (R - S)^2; `similarity` times the mean of ((1 + cos) / 2 - R)^2, in which R
    is held fixed; `triplets` times the mean of w_ijk max(cos_ik - cos_ij + margin, 0) over the i, j, k with w > 0,
    image to text, text to image and within; and `quantization` times |B - h|^2 of both, B = sgn of the codes' sum.
    w_ijk = gain_ij - gain_ik, gain = (2^shared labels - 1) / the best DCG that row i of the batch allows. Each network
    squeezes the features and carries past the squeeze what a selector picks out of them.

    Source: Ma, Wang, Lu, Sun, IEEE Access 12, 2024, whose abstract alone was open to us: relation networks for a
    matrix of inter- and intra-modal similarity, a selector that adds original features to the compressed ones, a
    weighted cosine triplet loss, a quantization loss. The triplets' weights, `margin` and `triplets` are those of the
    released DADH (ICMR 2020), which has the same loss. All else is ours: formulas, weights, networks, settings. Do
    not take its scores for the paper's.
    With `quantization` 1 the outputs settle on signs before the rarer classes are apart, which then share one code; .1
    was taken over 1 on fashion6k, where it ranks held-out training pairs better and all other terms fall lower.
    Departures known: features are ready. The selector weighs every item's features alike, since a hasher holds plain
    layers. B is that of the batch, not of the epoch before. Optimiser and schedule are those of the methods on top of
    CLIP here; 15 epochs, for the time they take.
    """

    name: ClassVar[str] = "dhsl"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Ma, Wang, Lu, Sun",
        title="Deep Hashing Similarity Learning for Cross-Modal Retrieval",
        venue="IEEE Access 12",
        year=2024,
        reconstruction=True,
    )

    narrow: int = 256  # units that the features are squeezed to
    selected_units: int = 128  # units made of the selected features
    selected_share: float = 0.25  # share of the features that the selector keeps
    relation_units: int = 32  # units of each relation network
    within: float = 0.5  # weight of the comparisons within a modality
    similarity: float = 1.0  # weight of the codes' distance to the learned similarity
    triplets: float = 10.0  # weight of the triplets
    margin: float = 0.4  # between cosines
    quantization: float = 0.1  # weight of the distance to the signs
    epochs: int = 15
    batch_size: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("narrow", "selected_units", "relation_units"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        if not 0 < self.selected_share <= 1:
            raise SettingsError(f"selected_share is a share above 0, at most 1; got {self.selected_share!r}.")

    def network(self, features: Features) -> HashNet:
        """The squeeze, the selection beside it, and a linear head on both."""
        d = features.shape[1]
        return SelectingNet(
            *self.trunk(features),
            *(nn.Linear(self.hidden, self.narrow), nn.BatchNorm1d(self.narrow), nn.ReLU()),
            d=d,
            narrow=self.narrow,
            kept=max(1, round(self.selected_share * d)),
            units=self.selected_units,
            dropout=self.dropout,
            n_bits=self.n_bits,
        )

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The learned similarity, the triplets and the signs."""
        return DHSLObjective(self, label_rows(pairs, self.name))


class DHSLObjective(Objective):
    """The relation networks, and the losses of codes against what they and the labels say."""

    labels: Tensor  # (n, c)

    def __init__(self, method: DHSL, labels: Tensor) -> None:
        super().__init__()
        self.method = method
        self.register_buffer("labels", labels, persistent=False)
        kinds = ("across", "image", "text")
        self.relations = nn.ModuleDict({kind: RelationNet(method.n_bits, method.relation_units) for kind in kinds})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Relation, similarity and triplets across and within, and the distance to the signs."""
        m, image, text = self.method, batch.image_code, batch.text_code
        labels = with_themselves(self.labels[batch.rows])
        gains, alike = ranking_gains(labels), (labels @ labels.T > 0).to(labels.dtype)
        # DADH divides the sum by the items of a batch; a mean does not depend on how many triples there are.
        share = len(labels) / (gains[:, :, None] > gains[:, None, :]).sum().clamp(min=1)
        terms = {name: torch.zeros((), device=image.device) for name in ("relation", "similarity", "triplets")}
        couples = {"across": (1.0, image, text), "image": (m.within, image, image), "text": (m.within, text, text)}
        for kind, (weight, first, second) in couples.items():
            learned = self.relations[kind](first, second)
            to_learned = mse_loss((1 + cosine(first, second)) / 2, learned.detach())
            triplets = weighted_triplets(first, second, gains, m.margin)
            if kind == "across":
                triplets = triplets + weighted_triplets(second, first, gains, m.margin)
            terms["relation"] = terms["relation"] + weight * mse_loss(learned, alike)
            terms["similarity"] = terms["similarity"] + m.similarity * weight * to_learned
            terms["triplets"] = terms["triplets"] + m.triplets * weight * share * triplets
        signs = torch.where(image + text >= 0, 1.0, -1.0).to(image.dtype)
        terms["quantization"] = m.quantization * (mse_loss(image, signs) + mse_loss(text, signs))
        return terms


def with_themselves(labels: Tensor) -> Tensor:
    """(b, c) -> (b, c + b): a pair without labels gets one of its own, so that it is like itself."""
    return torch.cat([labels, torch.diag((labels.sum(dim=1) == 0).to(labels.dtype))], dim=1)
