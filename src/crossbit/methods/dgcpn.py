"""DGCPN: deep graph-neighbour coherence preserving network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from crossbit.affinity_losses import asymmetry, diagonal_pull, off_diagonal_loss
from crossbit.method import Paper
from crossbit.neighbour_graphs import FusedCosines, row_floors
from crossbit.nets import HashNet, Standardise
from crossbit.pairs import Features, PairedFeatures
from crossbit.similarity import cosine
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class DGCPN(DeepMethod):
    """Codes that keep graph-neighbour coherence: two pairs are alike when they have the same nearest neighbours.

    The similarity of two pairs joins their fused cosine and the overlap of their neighbours among all training pairs.
    Codes reconstruct it off the diagonal, a pair's own two codes are pulled together, and the four tables of cosines
    (within images, within texts, both directions between) are to be the same. Half-real half-binary: the loss is
    taken three times, with real codes, and with one modality's codes replaced by their signs while the other learns.

    Source: Yu, Zhou, Zhan, Tao, AAAI 2021, and the settings of the released code (MIRFlickr column).
    Departures: the three losses of a batch share one forward pass and one update, where the released code makes three
    updates of a third each (the gradients are the same to first order in the rate); the neighbours kept are a share
    of the training pairs (the paper keeps 2,000 of 5,000) and the overlap is scaled by their number (4,000 for 2,000);
    a cosine below 0 makes no neighbour; features are centred and brought to one scale before the networks, since
    ready features come in any; no validation labels choose the epoch (`patience` stops without labels).
    """

    name: ClassVar[str] = "dgcpn"
    paper: ClassVar[Paper] = Paper(
        authors="Yu, Zhou, Zhan, Tao",
        title="Deep Graph-neighbor Coherence Preserving Network for Unsupervised Cross-modal Hashing",
        venue="AAAI",
        year=2021,
        link="https://doi.org/10.1609/aaai.v35i5.16592",
    )

    weight_text: float = 0.01  # a1: weight of the text cosines; the image has the rest
    coherence: float = 0.3  # a2: weight of the neighbours' overlap against the cosines
    coherence_scale: float = 2.0  # scale of the overlap, times the number of neighbours kept
    neighbour_share: float = 0.4  # share of the training pairs that are kept as neighbours of each
    mu: float = 1.5  # target of a pair's own two codes; above 1 it acts as a margin
    distance: float = 1.0  # dw: weight of the similarity's reconstruction
    consistency: float = 1.0  # cw: weight of the differences between the tables of cosines
    whole_up_to: int = 20_000  # more pairs than this: rows of the similarity are made anew for each batch
    hidden: int = 4096  # units of each network
    dropout: float = 0.5  # of the hidden units
    epochs: int = 100
    patience: int = 10
    learning_rate: float = 0.005  # of SGD on both networks
    momentum: float = 0.9  # of SGD
    weight_decay: float = 5e-4  # of SGD

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """One hidden layer each; the last layer of the text network starts from N(0, 0.3)."""
        image, text = (self.network(side) for side in (pairs.image, pairs.text))
        nn.init.normal_(text.layers[-1].weight, std=0.3)  # type: ignore[arg-type]  # it is a linear layer
        return image, text

    def network(self, features: Features) -> HashNet:
        """Linear, ReLU, dropout, linear, on features brought to one scale."""
        last = nn.Linear(self.hidden, self.n_bits)
        first = nn.Linear(features.shape[1], self.hidden)
        return HashNet(Standardise(features, whiten=False), first, nn.ReLU(), nn.Dropout(self.dropout), last)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """SGD with momentum, one rate for both networks."""
        parameters = [*image.parameters(), *text.parameters()]
        rates = {"lr": self.learning_rate, "momentum": self.momentum, "weight_decay": self.weight_decay}
        return torch.optim.SGD(parameters, **rates, fused=True)  # type: ignore[arg-type]  # three rates, all floats

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The coherence of all training pairs."""
        return DGCPNObjective(self, pairs)


class DGCPNObjective(Objective):
    """First the similarity of all pairs, then the loss in its three forms."""

    def __init__(self, method: DGCPN, pairs: PairedFeatures) -> None:
        super().__init__()
        self.method = method
        self.cosines = FusedCosines(pairs, 1 - method.weight_text, method.whole_up_to)

    @torch.no_grad()
    def similarity(self, rows: Tensor) -> Tensor:
        """(b,) -> (b, b): 2 [(1 - a2) P0 + a2 scale P P^T] - 1 between the pairs of a batch."""
        m = self.method
        n_kept = self.cosines.n_kept(m.neighbour_share)
        first = self.cosines.rows(rows)
        kept = torch.where(first > row_floors(first, n_kept), first, 0.0).clamp(min=0)
        kept.scatter_(1, rows[:, None], 0.0)  # nobody is their own neighbour
        walk = kept / kept.sum(dim=1, keepdim=True).clamp(min=1e-12)
        overlap = m.coherence_scale * n_kept * (walk @ walk.T)
        return 2 * ((1 - m.coherence) * first[:, rows] + m.coherence * overlap) - 1

    def loss(self, image: Tensor, text: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The paper's loss on the codes of a batch, real or binary."""
        m = self.method
        crossed, within_image, within_text = cosine(image, text), cosine(image, image), cosine(text, text)
        reconstructed = sum(off_diagonal_loss(table, target) for table in (within_text, crossed, within_image))
        differences = mse_loss(crossed, within_image) + mse_loss(crossed, within_text)
        differences = differences + mse_loss(within_image, within_text) + asymmetry(crossed)
        return {
            "pair": diagonal_pull(crossed, m.mu),
            "similarity": m.distance * reconstructed,  # type: ignore[dict-item]  # a sum of tensors is a tensor
            "consistency": m.consistency * differences,
        }

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Real codes; images against the signs of texts; texts against the signs of images."""
        image, text, target = batch.image_code, batch.text_code, self.similarity(batch.rows)
        image_bits, text_bits = (torch.where(code >= 0, 1.0, -1.0).to(code) for code in (image, text))
        ways = {"": (image, text), "_image_half": (image, text_bits), "_text_half": (image_bits, text)}
        return {name + way: term for way, codes in ways.items() for name, term in self.loss(*codes, target).items()}
