"""A small network that tells image codes from text codes, and the two losses of the game against it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits


class ModalityDiscriminator(nn.Module):
    """Codes (b, n_bits) to one value each: high for text codes, low for image codes."""

    def __init__(self, n_bits: int) -> None:
        super().__init__()
        wide = 2 * n_bits
        self.layers = nn.Sequential(nn.Linear(n_bits, wide), nn.BatchNorm1d(wide), nn.ReLU(), nn.Linear(wide, 1))

    def forward(self, codes: Tensor) -> Tensor:
        """(b, n_bits) -> (b, 1)."""
        return self.layers(codes)  # type: ignore[no-any-return]  # nn.Module calls are untyped

    def own_loss(self, text: Tensor, image: Tensor, penalty: float) -> Tensor:
        """What it minimises: cross-entropy of texts as 1 and images as 0, and `penalty` times `steepness`."""
        text, image = text.detach(), image.detach()
        told_apart: Tensor = as_class(self(text), 1.0) + as_class(self(image), 0.0)
        return told_apart + penalty * self.steepness(text, image)

    def steepness(self, text: Tensor, image: Tensor) -> Tensor:
        """The mean of (|gradient| - 1)^2 at random points between a text code and an image code."""
        share = torch.rand(len(text), 1, dtype=text.dtype, device=text.device)
        between = (share * text + (1 - share) * image).requires_grad_()
        (gradient,) = torch.autograd.grad(self(between).sum(), between, create_graph=True)
        # A hair more than 0, whose root has no slope.
        return (gradient.square().sum(dim=1).add(1e-12).sqrt() - 1).square().mean()

    def taken_for_text(self, codes: Tensor) -> Tensor:
        """What those who fool it minimise: cross-entropy of their codes as texts; passes no gradient to it."""
        fixed = {name: value.detach() for name, value in self.named_parameters()}
        return as_class(functional_call(self, fixed, (codes,)), 1.0)


def as_class(values: Tensor, wanted: float) -> Tensor:
    """Mean cross-entropy of logits against one class, 1 or 0."""
    return binary_cross_entropy_with_logits(values, torch.full_like(values, wanted))
