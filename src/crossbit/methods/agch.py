"""AGCH: aggregation-based graph convolutional hashing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from crossbit.errors import SettingsError
from crossbit.graph_convolution import GraphConvolution, normalised_adjacency
from crossbit.method import Paper
from crossbit.nets import HashNet, hidden_net, linear_net
from crossbit.objectives import reconstruction
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class AGCH(DeepMethod):
    """Codes that reconstruct an affinity aggregated from directions and distances, helped by graph convolutions.

    The affinity of two pairs is the product of the inner product and a decreasing function of the distance of their
    joined features. Image codes, text codes and fused codes reconstruct it; a pair's codes are drawn to its fused
    code; a graph convolution per modality over the batch's affinity does the same and draws the codes to its outputs.

    Source: Zhang, Li, Huang, Xu, IEEE TMM 2022, eqs. 8 to 20 and the MIRFlickr settings. Its settings for Wikipedia are
    gamma_image 1, gamma_text .8, within .4, between .3, fused 5 and 150 epochs.
    Departures: the image trunk is frozen (features in, one linear hash layer on top), so the image layer learns at
    1e-2, where the paper fine-tunes AlexNet at 1e-4; the inner products are brought to at most 1, since with the
    paper's weights the affinity passes what cosines of codes can reach (`affinity = "published"` leaves them); the
    distance is the Euclidean one, which the paper's worked example uses, not the root of it that its eq. 12 prints;
    sums over a batch are divided by its number of entries; fusion and graph convolutions read unit rows.
    """

    name: ClassVar[str] = "agch"
    paper: ClassVar[Paper] = Paper(
        authors="Zhang, Li, Huang, Xu",
        title="Aggregation-based Graph Convolutional Hashing for Unsupervised Cross-modal Retrieval",
        venue="IEEE TMM",
        year=2022,
        link="https://doi.org/10.1109/TMM.2021.3053766",
    )

    gamma_image: float = 2.0  # g_v: weight of the image features when they are joined
    gamma_text: float = 0.3  # g_t: the same of the text features
    rho: float = 4.0  # distance over which the affinity falls to 1/e
    affinity: Literal["unit", "published"] = "unit"  # inner products to at most 1, or as published
    within: float = 1.0  # alpha: weight of each code's own reconstruction
    between: float = 1.0  # beta: weight of the reconstruction between a modality and the fused codes
    graph: float = 0.01  # delta: weight of the graph convolutions
    fused: float = 10.0  # lambda: weight of the distance from a pair's fused code
    hidden: int = 4096  # units of the text network
    graph_hidden: tuple[int, int] = (4096, 2048)  # units of the two graph convolutions
    epochs: int = 40
    learning_rate_image: float = 0.01  # of SGD on the image layer; the paper has 1e-4 for all of AlexNet
    learning_rate_text: float = 0.01  # of SGD on the text network
    learning_rate_graph: float = 0.001  # of SGD on the graph convolutions
    learning_rate_fusion: float = 0.01  # of SGD on the fusion layer
    momentum: float = 0.9  # of SGD
    weight_decay: float = 5e-4  # of SGD

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.affinity not in ("unit", "published"):
            raise SettingsError(f'affinity is "unit" or "published"; got {self.affinity!r}.')
        if not self.rho > 0:
            raise SettingsError(f"rho must be above 0; got {self.rho!r}.")
        object.__setattr__(self, "graph_hidden", tuple(self.graph_hidden))  # a list, when read from a file

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """A linear hash layer for images, one hidden layer for texts."""
        d_image, d_text = pairs.image.shape[1], pairs.text.shape[1]
        return linear_net(d_image, self.n_bits), hidden_net(d_text, self.n_bits, self.hidden)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """SGD with momentum, one rate a part."""
        graphs = [p for name, p in objective.named_parameters() if name.startswith("graphs")]
        groups = [
            {"params": image.parameters(), "lr": self.learning_rate_image},
            {"params": text.parameters(), "lr": self.learning_rate_text},
            {"params": graphs, "lr": self.learning_rate_graph},
            {"params": objective.get_submodule("fusion").parameters(), "lr": self.learning_rate_fusion},
        ]
        return torch.optim.SGD(groups, momentum=self.momentum, weight_decay=self.weight_decay, fused=True)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The affinity of the batch, with a fresh fusion layer and fresh graph convolutions."""
        return AGCHObjective(self, pairs.image.shape[1], pairs.text.shape[1])


class GraphBranch(nn.Module):
    """Two graph convolutions and a last layer: what a pair's neighbours say of its code."""

    def __init__(self, d: int, hidden: tuple[int, int], n_bits: int) -> None:
        super().__init__()
        self.first, self.second = GraphConvolution(d, hidden[0]), GraphConvolution(hidden[0], hidden[1])
        self.last = nn.Linear(hidden[1], n_bits)

    def forward(self, adjacency: Tensor, rows: Tensor) -> Tensor:
        """(b, b), (b, d) -> (b, n_bits), relaxed codes."""
        rows = torch.relu(self.second(adjacency, torch.relu(self.first(adjacency, rows))))
        return torch.tanh(self.last(rows))


class AGCHObjective(Objective):
    """First the affinity, then the loss."""

    def __init__(self, method: AGCH, d_image: int, d_text: int) -> None:
        super().__init__()
        self.method = method
        self.fusion = nn.Linear(d_image + d_text, method.n_bits)
        widths = {"image": d_image, "text": d_text}
        hidden, n_bits = method.graph_hidden, method.n_bits
        self.graphs = nn.ModuleDict({side: GraphBranch(d, hidden, n_bits) for side, d in widths.items()})

    @torch.no_grad()
    def aggregated(self, image: Tensor, text: Tensor) -> Tensor:
        """A = C D: inner products of the joined features times exp(-distance / rho); (b, b)."""
        m = self.method
        joined = torch.cat([m.gamma_image * normalize(image), m.gamma_text * normalize(text)], dim=1)
        inner = joined @ joined.T
        # Out of the inner products: exact zeros on the diagonal and no (b, b, d) differences.
        squares = inner.diagonal()
        distance = (squares[:, None] + squares[None, :] - 2 * inner).clamp(min=0).sqrt()
        distance = distance - torch.diag(distance.diagonal())
        largest = m.gamma_image**2 + m.gamma_text**2 if m.affinity == "unit" else 1.0
        return inner / largest * torch.exp(-distance / m.rho)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Every sum of the loss, divided by the entries of a (b, b) table."""
        m = self.method
        affinity = self.aggregated(batch.image, batch.text)
        target, adjacency = 2 * affinity - 1, normalised_adjacency(affinity)
        rows = {"image": normalize(batch.image), "text": normalize(batch.text)}
        codes = {"image": batch.image_code, "text": batch.text_code}
        fused = torch.tanh(self.fusion(torch.cat(list(rows.values()), dim=1)))
        walked = {side: self.graphs[side](adjacency, rows[side]) for side in rows}

        def apart(first: Tensor, second: Tensor) -> Tensor:
            return (normalize(first) - normalize(second)).square().sum() / len(first) ** 2

        within = [reconstruction(target, code, code) for code in (*codes.values(), fused)]
        graph = [reconstruction(target, walked[s], walked[s]) + apart(walked[s], codes[s]) for s in codes]
        between = [reconstruction(target, code, fused) for code in codes.values()]
        drawn = [apart(code, fused) for code in codes.values()]
        parts = {"within": within, "graph": graph, "between": between, "fused": drawn}
        weights = {"within": m.within, "graph": m.graph, "between": m.between, "fused": m.fused}
        return {name: weights[name] * torch.stack(own).sum() for name, own in parts.items()}
