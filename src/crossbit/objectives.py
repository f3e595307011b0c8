"""Loss terms that several papers share."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cosine_similarity, mse_loss, softplus

from crossbit.similarity import cosine


def reconstruction(target: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """MSE between a target similarity (b, m) and the cosines of relaxed codes (b, n_bits) and (m, n_bits)."""
    return mse_loss(cosine(first, second), target)


def pair_agreement(image_code: Tensor, text_code: Tensor) -> Tensor:
    """Minus the mean cosine between the two codes of a pair (JDSH's last term)."""
    return -cosine_similarity(image_code, text_code).mean()


def negative_log_likelihood(target: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """DCMH's likelihood, mean over entries: softplus(Theta) - S Theta with Theta = first @ second^T / 2.

    softplus where the released codes write log(1 + exp): the latter overflows for long codes without tanh.
    """
    theta = first @ second.T / 2
    return (softplus(theta) - target * theta).mean()
