"""CIRH: correlation-identity reconstruction hashing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from crossbit.errors import SettingsError
from crossbit.joint_network import JointNetwork
from crossbit.method import Paper
from crossbit.neighbour_graphs import FusedCosines, row_floors
from crossbit.nets import HashNet, Standardise
from crossbit.objectives import reconstruction
from crossbit.pairs import Features, PairedFeatures
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class CIRH(DeepMethod):
    """Codes taught by a joint network that mixes neighbours over a multi-modal graph and rebuilds both modalities.

    A graph joins the fused cosines of each pair's nearest neighbours with a squashed, symmetric form of them. A joint
    network (graph convolutions within each modality and across both) reconstructs the graph and the features of both
    modalities, and gives a pair one code B. Each modality's hash function learns B, agrees with the other one and
    keeps the graph.

    Source: Zhu, Wu, Li, Zhang, Guan, Shen, TKDE 2023, and the settings of the released code (MIRFlickr column).
    Departures: the two stages alternate by batch, not by epoch (they share no weights; B is that of the same batch);
    the neighbours kept are a share of the training pairs (the code keeps 2,000 of 5,000), found without holding the
    n x n table; the graph's second form is made symmetric by the mean with its transpose; a node pair across the
    modalities is read out as the mean of its two nodes; the joint network reads unit rows, the hash functions rows
    that are centred and of length 1 on average; the text network's units are a setting, since text features may be
    few. The released code takes the graph's
    rows by their place in the shuffled order instead of by pair when it trains the hash functions, so a wrong part of
    the graph supervises them: `similarity_rows = "place"`.
    """

    name: ClassVar[str] = "cirh"
    paper: ClassVar[Paper] = Paper(
        authors="Zhu, Wu, Li, Zhang, Guan, Shen",
        title="Work Together: Correlation-Identity Reconstruction Hashing for Unsupervised Cross-Modal Retrieval",
        venue="IEEE TKDE",
        year=2023,
        link="https://doi.org/10.1109/TKDE.2022.3218656",
    )

    weight_image: float = 0.6  # a1: weight of the image cosines; the text has the rest
    weight_first: float = 0.6  # a2: weight of the graph's first form against its squashed one
    neighbour_share: float = 0.4  # share of the training pairs that are kept as neighbours of each
    mixed: tuple[float, float, float] = (0.7, 0.2, 0.1)  # an input's own weight, and of its 3rd and 4th nearest
    rebuild: float = 10.0  # lambda1: weight of the features' reconstruction
    correlate: float = 1.0  # lambda2: weight of the graph's reconstruction by the joint network
    keep: float = 0.01  # beta: weight of the graph's reconstruction by the hash functions
    similarity_rows: Literal["pair", "place"] = "pair"  # which rows of the graph teach; "place" as released
    joint_hidden: int = 512  # units of the joint network
    hidden: int = 4096  # units of the image network
    hidden_text: int = 1386  # units of the text network: as many as the published text features
    dropout: float = 0.3  # of the hash functions' hidden units
    batch_size: int = 512
    epochs: int = 60
    learning_rate_joint: float = 1e-3  # of Adam on the joint network
    learning_rate: float = 1e-4  # of Adam on the hash functions

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.similarity_rows not in ("pair", "place"):
            raise SettingsError(f'similarity_rows is "pair" or "place"; got {self.similarity_rows!r}.')
        object.__setattr__(self, "mixed", tuple(self.mixed))  # a list, when read from a file

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """One hidden layer each; the last layers start from N(0, 1)."""
        return self.network(pairs.image, self.hidden), self.network(pairs.text, self.hidden_text)

    def network(self, features: Features, hidden: int) -> HashNet:
        """Linear, ReLU, dropout, linear, on rows centred and of length 1 on average."""
        d, scaled, last = features.shape[1], Standardise(features, whiten=False), nn.Linear(hidden, self.n_bits)
        scaled.scale /= math.sqrt(d)
        nn.init.normal_(last.weight)
        return HashNet(scaled, nn.Linear(d, hidden), nn.ReLU(), nn.Dropout(self.dropout), last)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """Adam, one rate for the joint network and one for the hash functions."""
        groups = [
            {"params": [*image.parameters(), *text.parameters()], "lr": self.learning_rate},
            {"params": objective.parameters(), "lr": self.learning_rate_joint},
        ]
        return torch.optim.Adam(groups, fused=True)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The joint network and what it teaches."""
        return CIRHObjective(self, pairs)


class CIRHObjective(Objective):
    """First the graph, then the joint network's loss, then that of the hash functions."""

    floors: Tensor  # (n, 1): below them a cosine makes no neighbour

    def __init__(self, method: CIRH, pairs: PairedFeatures) -> None:
        super().__init__()
        self.method = method
        self.joint = JointNetwork(method.n_bits, method.joint_hidden, pairs.image.shape[1], pairs.text.shape[1])
        self.cosines = FusedCosines(pairs, method.weight_image, whole_up_to=0)
        n_kept = self.cosines.n_kept(method.neighbour_share)
        n = len(pairs)
        chunks = (torch.arange(start, min(start + 1000, n)) for start in range(0, n, 1000))
        floors = [row_floors(self.cosines.rows(rows), n_kept) for rows in chunks]
        self.register_buffer("floors", torch.cat(floors), persistent=False)
        self.place = 0  # pairs seen in this epoch

    def start_epoch(self, epoch: int) -> None:
        """The order starts anew."""
        self.place = 0

    @torch.no_grad()
    def graph(self, rows: Tensor) -> Tensor:
        """(b,) -> (b, b): S = a2 S1 + (1 - a2) S2."""
        m, cosines = self.method, self.cosines.among(rows)
        first = torch.where(cosines > self.floors[rows], cosines, 0.0)
        squashed = 2 * torch.sigmoid(first) - 1
        second = (squashed + squashed.T) / 2 + torch.eye(len(rows), device=rows.device)
        return m.weight_first * first + (1 - m.weight_first) * second

    def mix(self, rows: Tensor, graph: Tensor) -> Tensor:
        """Each row with its third and fourth strongest in the batch, itself counted as one: (b, d) -> (b, d)."""
        nearest = graph.topk(min(4, len(graph)), dim=1).indices
        third, fourth = nearest[:, min(2, len(graph) - 1)], nearest[:, min(3, len(graph) - 1)]
        own, near, far = self.method.mixed
        return own * rows + near * rows[third] + far * rows[fourth]

    def taught_rows(self, rows: Tensor) -> Tensor:
        """The pairs whose graph teaches the hash functions: the batch's own, or as released those at its place."""
        if self.method.similarity_rows == "pair":
            return rows
        places = torch.arange(self.place, self.place + len(rows), device=rows.device)
        self.place += len(rows)
        return places

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of the joint network, and that of the hash functions on its codes."""
        m, graph = self.method, self.graph(batch.rows)
        image, text = normalize(batch.image), normalize(batch.text)
        made = self.joint(self.mix(image, graph), self.mix(text, graph), graph)
        codes = torch.where(made["code"] >= 0, 1.0, -1.0).to(image).detach()
        rebuilt = mse_loss(made["rebuilt_image"], image) + mse_loss(made["rebuilt_text"], text)
        correlated = [reconstruction(graph, made[name], made[name]) for name in ("image", "text", "code")]
        own, other, taught = batch.image_code, batch.text_code, self.graph(self.taught_rows(batch.rows))
        kept = [reconstruction(taught, *two) for two in ((own, other), (own, own), (other, other))]
        return {
            "rebuild": m.rebuild * rebuilt,
            "correlate": m.correlate * torch.stack(correlated).sum(),
            "binary": mse_loss(made["code"], codes),
            "codes": mse_loss(own, codes) + mse_loss(other, codes) + mse_loss(own, other),
            "keep": m.keep * torch.stack(kept).sum(),
        }
