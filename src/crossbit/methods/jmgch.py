"""JMGCH: joint-modal graph convolutional hashing. A reconstruction from the title."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet, Standardise, regular_net
from crossbit.objectives import pair_agreement, reconstruction
from crossbit.pairs import PairedFeatures
from crossbit.similarity import cross_profile, stretched_cosine
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class JMGCH(DeepMethod):
    """Codes that follow what a graph convolution over the batch's joint-modal similarity makes of both modalities.

    The joint similarity of a batch is both the graph of two convolutions over the joined features, whose output is a
    code of the pair, and the target that all codes reconstruct; the image and the text network learn to agree with
    the pair's code. The graph serves learning only: an item is encoded by its own network alone, so that its code
    does not depend on the batch it comes in.

    Source: Meng et al., Neurocomputing 2024. No text of it was open to us, not even its abstract in full, so this is a
    reconstruction from the title: joint-modal as in JDSH (Liu et al., SIGIR 2020), whose similarity it takes with equal
    weights, graph convolutions as in AGCH (Zhang et al., IEEE TMM 2022). KDCMH's regularised networks, AdamW and the
    figures of all settings are ours. Do not take its scores for the paper's.
    """

    name: ClassVar[str] = "jmgch"
    paper: ClassVar[Paper] = Paper(
        authors="Meng et al.",
        title="Joint-Modal Graph Convolutional Hashing for unsupervised cross-modal retrieval",
        venue="Neurocomputing",
        year=2024,
        reconstruction=True,
    )

    weight_image: float = 0.3  # share of the image similarity
    weight_text: float = 0.3  # share of the text similarity
    weight_cross: float = 0.4  # share of the crossed profiles
    mu: float = 1.2  # scale of the target
    within: float = 0.5  # weight of the losses within a modality
    graph: float = 1.0  # weight of the loss of the pairs' codes
    follow: float = 0.5  # weight of the agreement of a network's code with the pair's
    hidden: int = 1024  # units of each network
    graph_hidden: int = 512  # units between the graph convolutions
    input_dropout: float = 0.1  # share of the features dropped at random in training
    dropout: float = 0.3  # share of the hidden units dropped
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3  # of AdamW
    weight_decay: float = 1e-4  # of AdamW

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.graph_hidden < 1:
            raise SettingsError(f"graph_hidden must be 1 or more units; got {self.graph_hidden!r}.")
        if self.batch_size < 2:
            raise SettingsError(f"batch_size must be 2 or more, since pairs are compared; got {self.batch_size!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """Two regularised networks of one hidden layer."""
        shape = (self.n_bits, self.hidden, self.input_dropout, self.dropout)
        return regular_net(pairs.image, *shape), regular_net(pairs.text, *shape)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """AdamW over the networks and the graph convolutions."""
        parameters = [*image.parameters(), *text.parameters(), *objective.parameters()]
        return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The graph of a batch and what the codes are to learn from it."""
        return JMGCHObjective(self, pairs)


class JMGCHObjective(Objective):
    """First the joint-modal similarity, then the pairs' codes over its graph, then the loss."""

    def __init__(self, method: JMGCH, pairs: PairedFeatures) -> None:
        super().__init__()
        self.method = method
        self.standardise = nn.ModuleList([Standardise(pairs.image), Standardise(pairs.text)])
        d = pairs.image.shape[1] + pairs.text.shape[1]
        self.first = nn.Linear(d, method.graph_hidden)
        self.second = nn.Linear(method.graph_hidden, method.n_bits)

    @torch.no_grad()
    def similarity(self, image: Tensor, text: Tensor) -> Tensor:
        """JDSH's S~ = a S_I + b S_T + l S_h: (b, d_image), (b, d_text) -> (b, b)."""
        m = self.method
        image_similarity, text_similarity = stretched_cosine(image), stretched_cosine(text)
        crossed = cross_profile(image_similarity, text_similarity)
        return m.weight_image * image_similarity + m.weight_text * text_similarity + m.weight_cross * crossed

    def pair_codes(self, image: Tensor, text: Tensor, similarity: Tensor) -> Tensor:
        """tanh of two graph convolutions over the joined features: (b, n_bits)."""
        edges = adjacency(similarity)
        joined = torch.cat([self.standardise[0](image), self.standardise[1](text)], dim=1)
        hidden = torch.relu(edges @ self.first(joined))
        return torch.tanh(edges @ self.second(hidden))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Reconstruction by the pairs' codes and by the networks' codes, and the agreement of these with those."""
        m, image, text = self.method, batch.image_code, batch.text_code
        joint = self.similarity(batch.image, batch.text)
        pair, target = self.pair_codes(batch.image, batch.text, joint), m.mu * joint
        return {
            "between": reconstruction(target, image, text),
            "within": m.within * (reconstruction(target, image, image) + reconstruction(target, text, text)),
            "graph": m.graph * reconstruction(target, pair, pair),
            "follow": m.follow * (pair_agreement(image, pair) + pair_agreement(text, pair)),
        }


def adjacency(similarity: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2 of a (b, b) similarity, with D the sums of A's rows; what is below 0 is no edge."""
    edges = similarity.clamp(min=0)
    scale = edges.sum(dim=1).clamp(min=1e-12).rsqrt()
    return scale[:, None] * edges * scale
