"""DADH: weighted triplets, two adversaries between the modalities, and codes found without relaxing them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from crossbit.adversary import ModalityDiscriminator
from crossbit.errors import SettingsError
from crossbit.label_similarity import labels_of
from crossbit.method import Paper
from crossbit.nets import Standardise
from crossbit.pairs import Features, PairedFeatures
from crossbit.tapped_net import TappedNet, taps_of
from crossbit.training import Batch, DeepMethod, Objective
from crossbit.weighted_triplets import ranking_gains, weighted_triplets


@dataclass(frozen=True, kw_only=True)
class DADH(DeepMethod):
    """Deep adversarial discrete hashing: what shares more labels lies nearer, and features tell no modality apart.

    With relaxed codes h = tanh of the outputs: (1) a weighted cosine triplet loss both ways, the sum over items i, j, k
    of a batch of 10 (gain_ij - gain_ik) max(0, d(i, j) - d(i, k) + 0.4), d = 1 - cos, where gain_ij is above gain_ik;
    gain_ij = (2^s - 1) / Z_i for s shared labels, Z_i the best discounted sum of row i in the batch. (2) |B - h|^2
    of both modalities. (3) Two discriminators, of features and of codes, with a gradient penalty; the image network
    learns to pass for texts. (4) The codes are discrete: before each epoch P = (L^T L + I)^-1 L^T B and
    B = sgn(L P + mu / 2 (H_I + H_T)). All is divided by the items of the batch.

    Source: Bai, Zeng, Ma, Zhang, Chen, ICMR 2020, from an account of the released code, whose settings these are. With
    so small a mu the codes follow the labels alone from the second epoch on, a class a code, as the formula has it.
    Departures: weights and masks are not raised by a tenth, a slip of the code; no epoch is chosen on the test queries,
    all are done; who fools whom, the discriminators' shape and the weight of fooling them are DUCH's, a method on the
    same frame, since the account does not tell them; inputs are standardised ready features.
    """

    name: ClassVar[str] = "dadh"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Cong Bai, Chao Zeng, Qing Ma, Jinglin Zhang, Shengyong Chen",
        title="Deep Adversarial Discrete Hashing for Cross-Modal Retrieval",
        venue="ICMR",
        year=2020,
        link="https://doi.org/10.1145/3372278.3390711",
    )

    margin: float = 0.4  # of the triplets, in distances 1 - cos
    triplets: float = 10.0  # weight of the triplets
    gain: float = 10.0  # what their weights are multiplied with
    quantization: float = 1.0  # weight of the distance to the binary codes
    adversary: float = 0.01  # weight of fooling the discriminators
    penalty: float = 10.0  # weight of their gradient penalty
    mu: float = 1e-5  # weight of the networks' outputs in the codes
    widths: tuple[int, ...] = (8192, 4096, 2048)  # units of the layers; the last ones are the features
    epochs: int = 300
    batch_size: int = 128
    learning_rate: float = 5e-5  # of Adam
    weight_decay: float = 5e-4  # of Adam

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "widths", tuple(self.widths))  # a settings file gives a list
        if not self.widths or min(self.widths) < 1:
            raise SettingsError(f"widths are units of one layer or more, each 1 or more; got {self.widths!r}.")
        if self.batch_size < 2:
            raise SettingsError(f"batch_size must be 2 or more, since pairs are compared; got {self.batch_size!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[TappedNet, TappedNet]:
        """Layers of these widths with batch normalisation, then the hash layer."""
        return self.network(pairs.image), self.network(pairs.text)

    def network(self, rows: Features) -> TappedNet:
        """The network of one modality."""
        layers: list[nn.Module] = [Standardise(rows)]
        for inside, outside in zip((rows.shape[1], *self.widths), self.widths, strict=False):
            layers += [nn.Linear(inside, outside), nn.BatchNorm1d(outside), nn.ReLU()]
        return TappedNet(*layers, features=self.widths[-1], n_bits=self.n_bits, classes=0)

    def optimiser(self, image: nn.Module, text: nn.Module, objective: Objective) -> torch.optim.Optimizer:
        """Adam over the networks and the discriminators."""
        parameters = [*image.parameters(), *text.parameters(), *objective.parameters()]
        return torch.optim.Adam(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """Triplets, quantization and the two games."""
        return DADHObjective(self, torch.tensor(labels_of(pairs, self.name)).float())


class DADHObjective(Objective):
    """First the discrete codes, before each epoch; then the loss."""

    labels: Tensor  # (n, c)
    codes: Tensor  # B: (n, n_bits) in {-1, 1}
    seen: Tensor  # (n, n_bits): h_I + h_T of each pair when it was seen last

    def __init__(self, method: DADH, labels: Tensor) -> None:
        super().__init__()
        self.method = method
        self.register_buffer("labels", labels, persistent=False)
        self.register_buffer("seen", torch.randn(len(labels), method.n_bits))
        self.register_buffer("codes", torch.where(self.seen >= 0, 1.0, -1.0))
        self.discriminators = nn.ModuleDict(
            {"features": ModalityDiscriminator(method.widths[-1]), "codes": ModalityDiscriminator(method.n_bits)}
        )

    def start_epoch(self, epoch: int) -> None:
        """Equation 4; before the first epoch B is random."""
        labels = self.labels
        held = labels.T @ labels + torch.eye(labels.shape[1], dtype=labels.dtype, device=labels.device)
        classes = torch.linalg.solve(held, labels.T @ self.codes)
        self.codes = torch.where(labels @ classes + self.method.mu / 2 * self.seen >= 0, 1.0, -1.0)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Equations 1 to 3, the terms by name."""
        m, b = self.method, len(batch.rows)
        image, text = (taps_of(real, m.n_bits, 0) for real in (batch.image_real, batch.text_real))
        image_code, text_code = torch.tanh(image.outputs), torch.tanh(text.outputs)
        self.seen[batch.rows] = (image_code + text_code).detach().to(self.seen.dtype)
        signs, gains = self.codes[batch.rows], m.gain * ranking_gains(self.labels[batch.rows])
        distance = (signs - image_code).square().sum() + (signs - text_code).square().sum()
        terms = {
            "image_to_text": m.triplets * weighted_triplets(image_code, text_code, gains, m.margin),
            "text_to_image": m.triplets * weighted_triplets(text_code, image_code, gains, m.margin),
            "quantization": m.quantization * distance / b,
        }
        levels = {"features": (image.features, text.features), "codes": (image_code, text_code)}
        for level, (own, other) in levels.items():
            against = self.discriminators[level]
            terms[f"fooling_{level}"] = m.adversary * against.taken_for_text(own)  # type: ignore[operator]  # a ModuleDict does not tell what it holds
            terms[f"discriminator_{level}"] = against.own_loss(other, own, m.penalty)  # type: ignore[operator]  # a ModuleDict does not tell what it holds
        return terms
