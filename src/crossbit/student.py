"""The student's loss on a distilled similarity: cosine reconstruction or likelihood, in the batch or on buffers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from crossbit.distillation import Target
from crossbit.similarity import cosine
from crossbit.training import Batch, Objective


@dataclass(frozen=True, kw_only=True)
class StudentLoss:
    """What the student minimises; the fields are KDCMH's settings of the same names."""

    n_bits: int
    loss: str
    compare: str
    mu: float
    within: float
    emphasis: float
    contrast: float
    temperature: float
    quantization: float
    balance: float
    prefixes: tuple[int, ...]
    prefix_weight: float


class StudentObjective(Objective):
    """Compare relaxed codes with a target, between the modalities and, weighted, within each.

    With compare = "buffer" a batch meets the last codes of every column of the target (asymmetric, b x m pairs a
    step) in place of itself. Buffers begin at 0, so that unseen pairs have cosine 0 with all.
    """

    values: Tensor
    place: Tensor
    columns: Tensor
    weights: Tensor | None
    image_buffer: Tensor  # (m, n_bits)
    text_buffer: Tensor

    def __init__(self, settings: StudentLoss, target: Target) -> None:
        super().__init__()
        self.settings = settings
        self.buffered = settings.compare == "buffer" or not target.whole
        # The target is made anew from the settings, so a checkpoint need not hold it.
        self.register_buffer("values", target.values, persistent=False)
        self.register_buffer("columns", target.columns, persistent=False)
        self.register_buffer("weights", target.weights, persistent=False)
        m = len(target.columns) if self.buffered else 0
        place = torch.full((len(target.values),), -1)
        place[target.columns] = torch.arange(len(target.columns))
        self.register_buffer("place", place, persistent=False)  # (n,) the column of a pair, -1 for none
        self.register_buffer("image_buffer", torch.zeros(m, settings.n_bits))
        self.register_buffer("text_buffer", torch.zeros(m, settings.n_bits))

    def _block(self, values: Tensor, rows: Tensor) -> Tensor:
        """The target's rows against what the batch is compared with."""
        return values[rows] if self.buffered else values[rows[:, None], rows]

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss terms by name."""
        s, image, text = self.settings, batch.image_code, batch.text_code
        others = self._others(batch)
        target = self._block(self.values, batch.rows)
        weights = None if self.weights is None else self._block(self.weights, batch.rows)
        terms = self.agreement(target, weights, (image, text), others)
        if s.quantization:
            signs = torch.where(image + text >= 0, 1.0, -1.0).detach()
            distance = (signs - image).square().mean() + (signs - text).square().mean()
            terms["quantization"] = s.quantization * distance
        if s.balance:
            terms["balance"] = s.balance * (image.mean(dim=0).square().mean() + text.mean(dim=0).square().mean())
        for length in s.prefixes:
            first = (image[:, :length], text[:, :length])
            parts = self.agreement(target, weights, first, (others[0][:, :length], others[1][:, :length]))
            terms |= {f"{name}_{length}": s.prefix_weight * part for name, part in parts.items()}
        return terms

    def agreement(
        self, target: Tensor, weights: Tensor | None, codes: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor]
    ) -> dict[str, Tensor]:
        """The terms that compare codes with the target and with each other; codes may be the first bits alone."""
        s, (image, text), (other_image, other_text) = self.settings, codes, others
        between = self.difference(target, weights, image, other_text)
        if self.buffered:
            between = (between + self.difference(target, weights, text, other_image)) / 2
        terms = {"between": between}
        if s.within:
            within = [self.difference(target, weights, *codes) for codes in ((image, other_image), (text, other_text))]
            terms["within"] = s.within * (within[0] + within[1])
        if s.contrast:
            terms["contrast"] = s.contrast * contrastive(image, text, s.temperature)
        return terms

    def difference(self, target: Tensor, weights: Tensor | None, first: Tensor, second: Tensor) -> Tensor:
        """Mean squared error to the cosines, or DCMH's likelihood of the target as a probability."""
        if self.settings.loss == "cosine":
            errors = (cosine(first, second) - self.settings.mu * target).square()
        else:
            theta = first @ second.T / 2
            errors = torch.nn.functional.softplus(theta) - target.clamp(min=0) * theta
        if self.settings.emphasis:
            # Most pairs are far apart; without more weight on the near ones their order would hardly be learned.
            near = 1 + self.settings.emphasis * target.clamp(min=0).square()
            weights = near if weights is None else weights * near
        return errors.mean() if weights is None else (weights * errors).sum() / weights.sum().clamp(min=1)

    def _others(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The codes that a batch is compared with: its own, or the buffers with the batch's places refreshed."""
        if not self.buffered:
            return batch.image_code, batch.text_code
        place = self.place[batch.rows]
        known = place >= 0
        # Copies, not writes in place: the gradient of this step still needs what it read.
        self.image_buffer, self.text_buffer = self.image_buffer.clone(), self.text_buffer.clone()
        self.image_buffer[place[known]] = batch.image_code[known].detach()
        self.text_buffer[place[known]] = batch.text_code[known].detach()
        return self.image_buffer, self.text_buffer


def contrastive(image: Tensor, text: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding each code's own pair in the batch, by cosine, averaged over both directions."""
    logits = cosine(image, text) / temperature
    own = torch.arange(len(image), device=image.device)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2
