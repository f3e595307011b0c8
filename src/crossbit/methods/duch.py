"""DUCH: deep unsupervised contrastive hashing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from crossbit.adversary import ModalityDiscriminator
from crossbit.errors import SettingsError
from crossbit.method import Paper
from crossbit.nets import HashNet, Standardise
from crossbit.pairs import PairedFeatures
from crossbit.similarity import cosine
from crossbit.taught import check_choices
from crossbit.training import Batch, DeepMethod, Objective


@dataclass(frozen=True, kw_only=True)
class DUCH(DeepMethod):
    """Codes that find their partner in the batch, and themselves again after their input was disturbed.

    Three contrastive terms (image and text, image and its augmented image, text and its augmented text); a
    discriminator that tells image codes from text codes and that the image network learns to fool; a pull towards the
    binary codes of the last epoch, and a balance of each bit over the batch.

    Source: Mikriukov, Ravanbakhsh, Demir, ICASSP 2022, from the released code, whose settings these are. Where the code
    departs from its paper a setting gives the code's behaviour: `text_views = "released"` takes the text itself for
    its augmented text; `fooling = "released"` makes the text network look like texts, so that the image network never
    hears of the discriminator; `balance_over = "samples"` balances the bits of each code instead of each bit.
    Departures: features are ready, so the augmentations (blur, rotation and crop of an image, replaced words of a
    sentence) become noise on the features and features left out; the bit balance is divided by the batch's size;
    both networks standardise their inputs; the discriminator learns in the same step as the networks.
    """

    name: ClassVar[str] = "duch"
    paper: ClassVar[Paper] = Paper(
        authors="Mikriukov, Ravanbakhsh, Demir",
        title="Deep Unsupervised Contrastive Hashing for Large-Scale Cross-Modal Text-Image Retrieval in Remote "
        "Sensing",
        venue="ICASSP",
        year=2022,
        link="https://arxiv.org/abs/2201.08125",
    )

    text_views: Literal["paper", "released"] = "paper"  # "released": no augmented texts
    fooling: Literal["paper", "released"] = "paper"  # who is to look like a text: images, or (released) texts
    balance_over: Literal["batch", "samples"] = "batch"  # "samples": as released
    noise: float = 0.5  # of an augmented feature, in its standard deviations
    drop_share: float = 0.2  # of the features, left out (set to their mean) in an augmented row
    temperature: float = 1.0  # of the contrastive terms
    adversary: float = 0.01  # weight of fooling the discriminator
    penalty: float = 10.0  # weight of the discriminator's gradient penalty
    quantization: float = 0.001  # weight of the distance to the binary codes
    balance: float = 0.01  # weight of the bit balance
    hidden: int = 4096  # units of each network
    epochs: int = 100
    batch_size: int = 256
    learning_rate: float = 1e-4  # of Adam; x 0.8 every 50 epochs
    weight_decay: float = 5e-4  # of Adam

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices(self)
        if self.batch_size < 2:
            raise SettingsError(f"batch_size must be 2 or more, since pairs are told apart; got {self.batch_size!r}.")
        if not self.temperature > 0:
            raise SettingsError(f"temperature must be above 0; got {self.temperature!r}.")

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        """One hidden layer each, with batch normalisation."""
        h = self.hidden
        image, text = (
            HashNet(
                Standardise(rows),
                *(nn.Linear(rows.shape[1], h), nn.BatchNorm1d(h), nn.ReLU(), nn.Linear(h, self.n_bits)),
            )
            for rows in (pairs.image, pairs.text)
        )
        return image, text

    def rate_factor(self, progress: float) -> float:
        """x 0.8 every 50 epochs."""
        return float(0.8 ** (int(progress * self.epochs) // 50))

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        """Adam over the networks and the discriminator."""
        parameters = [*image.parameters(), *text.parameters(), *objective.parameters()]
        return torch.optim.Adam(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)

    def objective(self, pairs: PairedFeatures) -> Objective:
        """Contrast, adversary, quantization and balance."""
        return DUCHObjective(self, pairs)


class DUCHObjective(Objective):
    """First the augmented rows, then the loss. A batch's rows: b items, then their b augmented ones."""

    spread_image: Tensor  # (2, d): the mean and the standard deviation of each feature
    spread_text: Tensor
    seen: Tensor  # (n, n_bits): the sums of the four codes of each pair when it was seen last
    codes: Tensor  # B: (n, n_bits) in {-1, 1}

    def __init__(self, method: DUCH, pairs: PairedFeatures) -> None:
        super().__init__()
        self.method = method
        for side, features in (("image", pairs.image), ("text", pairs.text)):
            rows = torch.tensor(features)
            self.register_buffer(f"spread_{side}", torch.stack([rows.mean(dim=0), rows.std(dim=0)]), persistent=False)
        self.register_buffer("seen", torch.randn(len(pairs), method.n_bits))
        self.register_buffer("codes", torch.zeros(len(pairs), method.n_bits))
        self.discriminator = ModalityDiscriminator(method.n_bits)

    def start_epoch(self, epoch: int) -> None:
        """B = sgn of the four codes' mean; at random before the first epoch."""
        self.codes = torch.where(self.seen >= 0, 1.0, -1.0)

    def inputs(self, rows: Tensor, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """The items and their augmented ones."""
        images, texts = image[rows], text[rows]
        other_texts = texts if self.method.text_views == "released" else self.augmented(texts, self.spread_text)
        return torch.cat([images, self.augmented(images, self.spread_image)]), torch.cat([texts, other_texts])

    def augmented(self, rows: Tensor, spread: Tensor) -> Tensor:
        """Noise on every feature, and some of them set to their mean."""
        mean, deviation = spread
        noisy = rows + self.method.noise * deviation * torch.randn_like(rows)
        return torch.where(torch.rand_like(rows) < self.method.drop_share, mean, noisy)

    def contrast(self, first: Tensor, second: Tensor) -> Tensor:
        """NT-Xent, summed over the 2b codes: -log softmax of the own partner's cosine among all others."""
        codes, b = torch.cat([first, second]), len(first)
        itself = torch.eye(2 * b, dtype=torch.bool, device=codes.device)
        logits = (cosine(codes, codes) / self.method.temperature).masked_fill(itself, -torch.inf)
        partner = torch.arange(2 * b, device=codes.device).roll(b)
        return cross_entropy(logits, partner, reduction="sum")

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss terms by name."""
        m, b = self.method, len(batch.rows)
        image, other_image = batch.image_code[:b], batch.image_code[b:]
        text, other_text = batch.text_code[:b], batch.text_code[b:]
        four = torch.stack([image, other_image, text, other_text])
        self.seen[batch.rows] = four.detach().sum(dim=0).to(self.seen.dtype)
        sums = four.sum(dim=1) if m.balance_over == "batch" else four.sum(dim=2)
        return {
            "between": self.contrast(image, text),
            "image_views": self.contrast(image, other_image),
            "text_views": self.contrast(text, other_text),
            "fooling": m.adversary * self.discriminator.taken_for_text(image if m.fooling == "paper" else text),
            "quantization": m.quantization * (four - self.codes[batch.rows]).square().sum(),
            "balance": m.balance * sums.square().sum() / b,
            "discriminator": self.discriminator.own_loss(text, image, m.penalty),
        }
