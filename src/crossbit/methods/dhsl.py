"""DHSL: deep hashing similarity learning. A reconstruction from the abstract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from crossbit.clip_heads import HeadMethod, label_rows
from crossbit.errors import SettingsError
from crossbit.hasher import Activation, HashFunction, Layer
from crossbit.method import Paper
from crossbit.nets import HashNet
from crossbit.pairs import Features, PairedFeatures
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
        return SelectingNet(self, features)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The learned similarity, the triplets and the signs."""
        return DHSLObjective(self, label_rows(pairs, self.name))


class SelectingNet(HashNet):
    """A trunk and a narrow layer, and beside them units that see the features of the largest gates alone."""

    def __init__(self, method: DHSL, features: Features) -> None:
        squeeze = (nn.Linear(method.hidden, method.narrow), nn.BatchNorm1d(method.narrow), nn.ReLU())
        super().__init__(*method.trunk(features), *squeeze)
        d = features.shape[1]
        self.kept = max(1, round(method.selected_share * d))
        self.gates = nn.Parameter(0.01 * torch.randn(d))  # so small that all may still be chosen
        self.selection = nn.Linear(d, method.selected_units)
        self.head = nn.Sequential(
            nn.Dropout(method.dropout), nn.Linear(method.narrow + method.selected_units, method.n_bits)
        )

    def gate(self) -> Tensor:
        """(d,): from 0 to 1, and 0 for all but the largest; its gradient is that of a gate that drops nothing."""
        gate = torch.sigmoid(self.gates)
        dropped = torch.ones_like(gate).index_fill(0, gate.topk(self.kept).indices, 0.0)
        return gate - (gate * dropped).detach()

    def forward(self, rows: Tensor) -> Tensor:
        """(b, d) -> (b, n_bits)."""
        rows = self.layers[:2](rows)
        selected = torch.relu(self.selection(rows * self.gate()))
        return self.head(torch.cat([self.layers[2:](rows), selected], dim=1))  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def hash_function(self) -> HashFunction:
        """The same function as plain arrays: the selected units pass the narrow layer as they are, none below 0."""
        first, second = super().hash_function().layers
        state = {name: value.double().cpu().numpy() for name, value in self.state_dict().items()}
        gate = self.gate().detach().double().cpu().numpy()
        selection = (state["selection.weight"] * gate * state["layers.0.scale"]).T
        bias = state["selection.bias"] - state["layers.0.shift"] @ selection
        wide, narrow, units = first.weight.shape[1], second.weight.shape[1], selection.shape[1]
        passing = np.zeros((wide + units, narrow + units))
        passing[:wide, :narrow], passing[wide:, narrow:] = second.weight, np.eye(units)
        return HashFunction(
            (
                _layer(np.hstack([first.weight, selection]), np.hstack([first.bias, bias]), "relu"),
                _layer(passing, np.hstack([second.bias, np.zeros(units)]), "relu"),
                _layer(state["head.1.weight"].T, state["head.1.bias"], "linear"),
            )
        )


class Relation(nn.Module):
    """How alike two codes are, from 0 to 1: an MLP with one hidden layer on h_i, h_j and h_i * h_j."""

    def __init__(self, n_bits: int, units: int) -> None:
        super().__init__()
        self.first = nn.Linear(n_bits, units)
        self.second = nn.Linear(n_bits, units, bias=False)
        self.product = nn.Parameter(torch.randn(units, n_bits) / n_bits**0.5)
        self.last = nn.Linear(units, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(b, n_bits) and (m, n_bits) -> (b, m)."""
        b, units = len(first), len(self.product)
        products = ((first[:, None] * self.product).flatten(0, 1) @ second.T).view(b, units, len(second))
        hidden = torch.relu(products + self.first(first)[:, :, None] + self.second(second).T)
        return torch.sigmoid((self.last.weight @ hidden)[:, 0] + self.last.bias)


class DHSLObjective(Objective):
    """The relation networks, and the losses of codes against what they and the labels say."""

    labels: Tensor  # (n, c)

    def __init__(self, method: DHSL, labels: Tensor) -> None:
        super().__init__()
        self.method = method
        self.register_buffer("labels", labels, persistent=False)
        kinds = ("across", "image", "text")
        self.relations = nn.ModuleDict({kind: Relation(method.n_bits, method.relation_units) for kind in kinds})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Relation, similarity and triplets across and within, and the distance to the signs."""
        m, image, text = self.method, batch.image_code, batch.text_code
        labels = with_themselves(self.labels[batch.rows])
        gains, alike = ranking_gains(labels), (labels @ labels.T > 0).to(labels.dtype)
        # That sum is divided by the items of a batch; here its size must not depend on how many triples there are.
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


def _layer(weight: np.ndarray, bias: np.ndarray, activation: Activation) -> Layer:
    return Layer(weight.astype(np.float32), bias.astype(np.float32), activation)
