"""PLDH: pseudo-label driven deep hashing. A reconstruction from the abstract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet, regular_net
from crossbit.objectives import pair_agreement, reconstruction
from crossbit.pairs import PairedFeatures
from crossbit.pseudo_labels import clusters_of, usual_number
from crossbit.similarity import cosine, second_order, stretched_cosine
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class PLDH(DeepMethod):
    """Clusters of the training pairs sharpen the similarity that the codes reconstruct, first real, then half binary.

    The joint similarity of a batch is raised for pairs of one cluster and lowered for others. An epoch is two sweeps:
    one with relaxed codes, one in which each network's relaxed codes meet the signs of the other's.

    Source: Zeng, Xu, Xie, IJMLC 14, 2023. Only the abstract is public, so this is a reconstruction, not the paper's
    code. The abstract fixes: pseudo-labels from clustering that adjust the joint-semantic similarity, a loss of
    similarity consistency between the modalities, and a fine-tuning with real values and binary codes. We decided the
    rest: k-means on both modalities together (`clusters`: the usual sqrt(n / 2)), an adjustment by `cluster_pull`
    held within [-1, 1], DJSRH's joint similarity with equal weights and its losses, the consistency and the
    half-binary step as in DGCPN, KDCMH's regularised networks, AdamW and the figures of all settings.
    """

    name: ClassVar[str] = "pldh"
    paper: ClassVar[Paper] = Paper(
        authors="Zeng, Xu, Xie",
        title="Pseudo-label driven deep hashing for unsupervised cross-modal retrieval",
        venue="International Journal of Machine Learning and Cybernetics",
        year=2023,
        reconstruction=True,
    )

    clusters: int | None = None  # of the training pairs; None: sqrt(n / 2)
    cluster_pull: float = 0.4  # added to the similarity of pairs in one cluster, taken from that of others
    weight_image: float = 0.5  # of the image similarity; the text has 1 - this
    eta: float = 0.4  # weight of the second order
    mu: float = 1.2  # scale of the target
    within: float = 0.5  # weight of the losses within a modality
    consistency: float = 1.0  # weight of the differences between the modalities' own similarities
    pair: float = 0.5  # weight of the agreement of a pair's two codes
    hidden: int = 1024  # units of each network
    input_dropout: float = 0.1  # share of the features dropped at random in training
    dropout: float = 0.3  # share of the hidden units dropped
    epochs: int = 20  # of two sweeps each
    batch_size: int = 128
    learning_rate: float = 1e-3  # of AdamW
    weight_decay: float = 1e-4  # of AdamW

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clusters is not None and self.clusters < 2:
            raise SettingsError(f"clusters must be 2 or more, or None for sqrt(n / 2); got {self.clusters!r}.")
        if self.batch_size < 2:
            raise SettingsError(f"batch_size must be 2 or more, since pairs are compared; got {self.batch_size!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """Two regularised networks of one hidden layer."""
        shape = (self.n_bits, self.hidden, self.input_dropout, self.dropout)
        return regular_net(pairs.image, *shape), regular_net(pairs.text, *shape)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """AdamW."""
        parameters = [*image.parameters(), *text.parameters()]
        return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def turns(self) -> tuple[str, ...]:
        """Real values, then half binary."""
        return ("real", "binary")

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The clusters, then the losses."""
        return PLDHObjective(self, pairs)


class PLDHObjective(Objective):
    """First the similarity, adjusted by the pseudo-labels, then the loss of the sweep."""

    labels: Tensor  # (n,) the cluster of each pair

    def __init__(self, method: PLDH, pairs: PairedFeatures) -> None:
        super().__init__()
        self.method = method
        n_clusters = method.clusters or usual_number(len(pairs))
        labels = clusters_of(pairs, n_clusters, method.weight_image, method.seed)
        self.register_buffer("labels", torch.from_numpy(labels), persistent=False)

    @torch.no_grad()
    def similarity(self, rows: Tensor, image: Tensor, text: Tensor) -> Tensor:
        """(b,), (b, d_image), (b, d_text) -> (b, b) in [-1, 1]."""
        m = self.method
        fused = m.weight_image * stretched_cosine(image) + (1 - m.weight_image) * stretched_cosine(text)
        joint = (1 - m.eta) * fused + m.eta * second_order(fused)
        together = self.labels[rows][:, None] == self.labels[rows]
        return (joint + torch.where(together, m.cluster_pull, -m.cluster_pull)).clamp(-1, 1)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses with relaxed codes, or those of relaxed codes against the other modality's signs."""
        m, image, text = self.method, batch.image_code, batch.text_code
        target = m.mu * self.similarity(batch.rows, batch.image, batch.text)
        if batch.turn == "binary":
            image_signs, text_signs = (torch.where(codes >= 0, 1.0, -1.0).to(codes.dtype) for codes in (image, text))
            return {"binary": reconstruction(target, image, text_signs) + reconstruction(target, image_signs, text)}
        between, within = cosine(image, text), (cosine(image, image), cosine(text, text))
        consistency = mse_loss(between, within[0]) + mse_loss(between, within[1]) + mse_loss(*within)
        return {
            "between": reconstruction(target, image, text),
            "within": m.within * (reconstruction(target, image, image) + reconstruction(target, text, text)),
            "consistency": m.consistency * consistency,
            "pair": m.pair * pair_agreement(image, text),
        }
