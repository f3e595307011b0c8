"""DMFH: features of several layers of each network, fused into codes that are learned without relaxing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from crossbit.errors import SettingsError
from crossbit.fused_net import FusedNet
from crossbit.label_similarity import labels_of
from crossbit.method import Paper
from crossbit.methods.dcmh import DCMH, DCMHObjective
from crossbit.nets import HashNet
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class DMFH(DeepMethod):
    """Deep multiscale fusion hashing: DCMH's likelihood on networks that fuse features of all their layers.

    A network has a trunk of layers x_s = relu(W_s x_{s-1} + b_s), a branch of each, q_s = relu(V_s x_s + c_s), and
    outputs f = H relu(U [q_1; ...; q_S] + u) + h. (1) Over F of the images, G of the texts and codes B, minimise
    e_ij = softplus(Theta_ij) - S_ij Theta_ij with Theta = F G^T / 2 and S_ij = 1 where labels are shared, half its mean
    over the couples that are related and half over those that are not, plus gamma (|B - F|^2 + |B - G|^2) plus eta
    times the squared column sums, in turns: texts, images, and (2) B = sgn(F + G), the best common code there is, so
    none is relaxed.

    Source: Nie, Wang, Li, Hao, Jian, Yin, IEEE TCSVT 2021. Only its abstract was open to us: a network a modality, a
    model on each that fuses features of several layers, common codes learned directly; a catalogue files it with the
    likelihood losses. All else is ours, so this is a reconstruction: the fusion's form, and that the loss is DCMH's.
    The paper taps a convolutional network; here the layers are those of a network on ready features, which are
    standardised. As in our DCMH: Adam, 15 epochs, a rate of 1e-3 and no bit balance. No likelihood of each scale's own
    outputs is added, which others do. DCMH counts all couples alike (`couples = "alike"`). On these networks that ends,
    where one couple in ten is related, with all image codes one and the text codes its opposite, as the monitors show;
    so related and unrelated couples weigh half each, as in HashNet (Cao, Long, Wang, Yu, ICCV 2017). That choice was
    made on held-out training pairs.
    """

    name: ClassVar[str] = "dmfh"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Nie, Wang, Li, Hao, Jian, Yin",
        title="Deep Multiscale Fusion Hashing for Cross-Modal Retrieval",
        venue="IEEE TCSVT 31",
        year=2021,
        link="https://doi.org/10.1109/TCSVT.2020.2974877",
        reconstruction=True,
    )

    gamma: float = 1.0  # weight of the quantization term
    eta: float = 0.0  # weight of the bit balance
    couples: Literal["halves", "alike"] = "halves"  # related and unrelated ones weigh half each; or each couple alike
    image_widths: tuple[int, ...] = (2048, 1024, 512)  # units of the image network's layers, each of them tapped
    text_widths: tuple[int, ...] = (2048, 1024, 512)  # of the text network's
    scale: int = 512  # units of each branch and of their fusion
    batch_size: int = 128
    epochs: int = 15
    learning_rate: float = 1e-3  # of Adam
    weight_decay: float = 0.0  # of Adam

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("image_widths", "text_widths"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # a list, when read from a file
            if not getattr(self, name) or min(getattr(self, name)) < 1:
                raise SettingsError(f"{name} are units of one layer or more; got {getattr(self, name)!r}.")
        if self.couples not in ("halves", "alike"):
            raise SettingsError(f"couples is 'halves' or 'alike'; got {self.couples!r}.")
        if self.scale < 1:
            raise SettingsError(f"scale must be 1 or more units; got {self.scale!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[FusedNet, FusedNet]:
        """A network of tapped layers for each modality."""
        image = FusedNet(pairs.image, self.n_bits, self.image_widths, self.scale)
        return image, FusedNet(pairs.text, self.n_bits, self.text_widths, self.scale)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """Adam over both networks; in a turn only one of them has gradients."""
        parameters = [*image.parameters(), *text.parameters()]
        return torch.optim.Adam(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def turns(self) -> tuple[str, ...]:
        """Texts first, then images, as in DCMH."""
        return ("text", "image")

    def objective(self, pairs: PairedFeatures) -> Objective:
        """DCMH's, with its two kinds of couples weighed."""
        settings = DCMH(n_bits=self.n_bits, gamma=self.gamma, eta=self.eta)
        labels = torch.tensor(labels_of(pairs, self.name)).float()
        return DCMHObjective(settings, labels) if self.couples == "alike" else DMFHObjective(settings, labels)


class DMFHObjective(DCMHObjective):
    """DCMH's, with a likelihood in which related and unrelated couples weigh half each."""

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of DCMH, the likelihood (1) in the place of its own."""
        others = self.text_outputs if batch.turn == "image" else self.image_outputs
        own = batch.image_real if batch.turn == "image" else batch.text_real
        terms = super().forward(batch)
        return terms | {f"likelihood_{batch.turn}": weighed_likelihood(self.similarity(batch.rows), own, others)}


def weighed_likelihood(similarity: Tensor, own: Tensor, others: Tensor) -> Tensor:
    """Half the mean negative log likelihood of related couples and half that of unrelated ones; a kind with none is 0.

    similarity: (b, n) of 0 and 1; own: (b, n_bits); others: (n, n_bits).
    """
    theta = own @ others.T / 2
    each = functional.softplus(theta) - similarity * theta
    kinds = (similarity, 1 - similarity)
    return torch.stack([(kind * each).sum() / kind.sum().clamp(min=1) for kind in kinds]).mean()
