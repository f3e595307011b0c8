"""DSAH: deep semantic-alignment hashing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from crossbit.affinity_losses import asymmetry, diagonal_pull
from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet, hidden_net, linear_net
from crossbit.objectives import reconstruction
from crossbit.pairs import PairedFeatures
from crossbit.similarity import cosine, stretched_cosine
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class DSAH(DeepMethod):
    """Codes that reconstruct a fused similarity, align pair by pair, and rebuild the other modality's features.

    The similarity is a weighted sum of both modalities' cosines. Beside its reconstruction between and within the
    modalities stand: the two codes of a pair agree, similarity is the same in both directions, each modality's codes
    also reconstruct that modality's own similarity, and a linear decoder tells the features of one modality from the
    codes of the other.

    Source: Yang, Wu, Zhang, Zhang, Li, Wang, ICMR 2020, the objective term by term as in the released code, with its
    settings (one setting for all data sets).
    Departures: the image trunk is frozen (features in, one linear hash layer on top, where the paper fine-tunes
    AlexNet), and the same clean features are what the similarity and the decoders see, as unit rows; the decoders
    read the relaxed codes, so that their error reaches the hash networks. The released code hands them the signs,
    through which no gradient flows: `decoder_input = "sign"`. The released code keeps the epoch that is best on the
    test queries; here the last one is kept.
    """

    name: ClassVar[str] = "dsah"
    paper: ClassVar[Paper] = Paper(
        authors="Yang, Wu, Zhang, Zhang, Li, Wang",
        title="Deep Semantic-Alignment Hashing for Unsupervised Cross-Modal Retrieval",
        venue="ICMR",
        year=2020,
        link="https://doi.org/10.1145/3372278.3390673",
    )

    weight_image: float = 0.9  # alpha: weight of the image similarity; the text has the rest
    mu: float = 1.5  # K: scale of the target; above 1 it acts as a margin
    symmetry: float = 2.0  # weight of the difference between the two directions
    own: float = 0.1  # weight of each modality's own similarity
    decoder_input: Literal["code", "sign"] = "code"  # what the decoders read; "sign" as released
    hidden: int = 4096  # units of the text network
    epochs: int = 200
    learning_rate: float = 0.005  # of SGD on both networks
    momentum: float = 0.7  # of SGD, in Nesterov's form
    weight_decay: float = 5e-4  # of SGD

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decoder_input not in ("code", "sign"):
            raise SettingsError(f'decoder_input is "code" or "sign"; got {self.decoder_input!r}.')

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """A linear hash layer for images, one hidden layer for texts."""
        d_image, d_text = pairs.image.shape[1], pairs.text.shape[1]
        return linear_net(d_image, self.n_bits), hidden_net(d_text, self.n_bits, self.hidden)

    def alpha(self, epoch: int) -> float:
        """sqrt(epoch + 1), epochs counted from 0."""
        return math.sqrt(epoch + 1)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """SGD with Nesterov momentum, one rate for the networks and the decoders."""
        parameters = [*image.parameters(), *text.parameters(), *objective.parameters()]
        return torch.optim.SGD(
            parameters,
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.momentum > 0,
            fused=True,
        )

    def objective(self, pairs: PairedFeatures) -> Objective:
        """Alignment to the batch's own similarity, with fresh decoders."""
        return DSAHObjective(self, pairs.image.shape[1], pairs.text.shape[1])


class DSAHObjective(Objective):
    """First the similarity, then the loss in the released code's order."""

    def __init__(self, method: DSAH, d_image: int, d_text: int) -> None:
        super().__init__()
        self.method = method
        self.to_text = nn.Linear(method.n_bits, d_text)  # text features out of image codes
        self.to_image = nn.Linear(method.n_bits, d_image)

    @torch.no_grad()
    def similarity(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b, d_image), (b, d_text) -> S, S_I and S_T, (b, b) each and scaled by K."""
        m = self.method
        image_similarity, text_similarity = m.mu * stretched_cosine(image), m.mu * stretched_cosine(text)
        fused = m.weight_image * image_similarity + (1 - m.weight_image) * text_similarity
        return fused, image_similarity, text_similarity

    def decode(self, batch: Batch) -> Tensor:
        """How far the features rebuilt from the other modality's codes are from the true ones."""
        image, text = batch.image_code, batch.text_code
        if self.method.decoder_input == "sign":
            image, text = (torch.where(code >= 0, 1.0, -1.0).to(code) for code in (image, text))
        rebuilt_image = mse_loss(self.to_image(text), normalize(batch.image))
        return rebuilt_image + mse_loss(self.to_text(image), normalize(batch.text))

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Reconstruction, pairs, decoders, symmetry, and each modality by its own similarity."""
        m, image, text = self.method, batch.image_code, batch.text_code
        fused, image_similarity, text_similarity = self.similarity(batch.image, batch.text)
        crossed = cosine(image, text)
        own = reconstruction(image_similarity, image, image) + reconstruction(text_similarity, text, text)
        return {
            "between": mse_loss(crossed, fused),
            "within_image": reconstruction(fused, image, image),
            "within_text": reconstruction(fused, text, text),
            "pair": diagonal_pull(crossed, m.mu),
            "decoders": self.decode(batch),
            "symmetry": m.symmetry * asymmetry(crossed),
            "own": m.own * own,
        }
