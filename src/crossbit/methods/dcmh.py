"""DCMH: deep cross-modal hashing, the supervised reference and the student's ancestor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from crossbit.errors import LabelError
from crossbit.method import Paper
from crossbit.nets import HashNet, Standardise
from crossbit.objectives import negative_log_likelihood
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class DCMH(DeepMethod):
    """Codes under which pairs that share a label are likely to be alike, learned in turns: codes, text, image.

    Each network compares its batch with the buffered outputs of the other network for all pairs, so a step sees
    b x n pairs. B = sgn(F + G) is refreshed before each epoch.

    Source: Jiang, Li, CVPR 2017, eqs. 1 to 5; settings of the authors' code. Outputs are linear: no tanh.
    Departures: frozen image features with one linear hash layer (the paper fine-tunes CNN-F); inputs are
    standardised, since ready features come in any scale; Adam, 15 epochs and a rate of 1e-3 where the authors run 500
    epochs of SGD; no bit balance, which works against labels whose classes differ in size and would make a weak
    reference (`eta = 1` is the paper's, on the batch's share of the sum); softplus in place of log(1 + exp), which
    overflows.
    """

    name: ClassVar[str] = "dcmh"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Jiang, Li",
        title="Deep Cross-Modal Hashing",
        venue="CVPR",
        year=2017,
        link="https://doi.org/10.1109/CVPR.2017.348",
    )

    gamma: float = 1.0  # weight of the quantization term
    eta: float = 0.0  # weight of the bit balance; the paper has 1
    hidden: int = 8192  # units of the text network
    batch_size: int = 128
    epochs: int = 15
    learning_rate: float = 1e-3  # of Adam
    weight_decay: float = 0.0  # of Adam

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """A linear hash layer for images, one hidden layer for texts, both after standardising."""
        image = HashNet(Standardise(pairs.image), nn.Linear(pairs.image.shape[1], self.n_bits))
        text = (nn.Linear(pairs.text.shape[1], self.hidden), nn.ReLU(), nn.Linear(self.hidden, self.n_bits))
        return image, HashNet(Standardise(pairs.text), *text)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """Adam over both networks; in a turn only one of them has gradients."""
        parameters = [*image.parameters(), *text.parameters()]
        return torch.optim.Adam(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def turns(self) -> tuple[str, ...]:
        """Text first, then image, as in the authors' MatConvNet code."""
        return ("text", "image")

    def objective(self, pairs: PairedFeatures) -> Objective:
        """The likelihood of the labels' similarity."""
        if pairs.labels is None:
            raise LabelError("dcmh is supervised and needs labels; the pairs have none.")
        labels = torch.tensor(pairs.labels, dtype=torch.float32)
        return DCMHObjective(self, labels)


class DCMHObjective(Objective):
    """First the similarity (a shared label), then the loss (eq. 1), on buffers of all outputs."""

    image_outputs: Tensor  # F: (n, n_bits)
    text_outputs: Tensor  # G: (n, n_bits)
    codes: Tensor  # B: (n, n_bits) in {-1, 1}
    labels: Tensor  # (n, c)

    def __init__(self, method: DCMH, labels: Tensor) -> None:
        super().__init__()
        self.method = method
        n = len(labels)
        self.register_buffer("labels", labels)
        self.register_buffer("image_outputs", torch.randn(n, method.n_bits))
        self.register_buffer("text_outputs", torch.randn(n, method.n_bits))
        self.register_buffer("codes", torch.zeros(n, method.n_bits))

    def start_epoch(self, epoch: int) -> None:
        """B = sgn(F + G), zero counted as +1."""
        outputs = self.image_outputs + self.text_outputs
        self.codes = torch.where(outputs >= 0, 1.0, -1.0)

    def similarity(self, rows: Tensor) -> Tensor:
        """(b,) -> (b, n): 1 where two pairs share a label, else 0."""
        return (self.labels[rows] @ self.labels.T > 0).float()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Eq. 1 for the network whose turn it is, divided by its number of entries."""
        m = self.method
        own, outputs = (
            (batch.image_real, self.image_outputs) if batch.turn == "image" else (batch.text_real, self.text_outputs)
        )
        other = self.text_outputs if batch.turn == "image" else self.image_outputs
        likelihood = negative_log_likelihood(self.similarity(batch.rows), own, other)
        quantization = (self.codes[batch.rows] - own).square().sum() / (len(own) * len(other))
        balance = own.sum(dim=0).square().sum() / (len(own) * len(other))
        # A copy, not a write in place: the gradient of this step still needs the old buffer.
        refreshed = outputs.clone()
        refreshed[batch.rows] = own.detach()
        setattr(self, f"{batch.turn}_outputs", refreshed)
        return {
            f"likelihood_{batch.turn}": likelihood,
            "quantization": m.gamma * quantization,
            "balance": m.eta * balance,
        }
