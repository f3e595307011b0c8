"""Target similarities: what the codes of two pairs are meant to agree in. Torch, no gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Cosines between the rows of (n, d) and (m, d): (n, m) in [-1, 1]; a row of zeros has cosine 0 with all."""
    return normalize(first) @ normalize(second).T


def stretched_cosine(features: Tensor) -> Tensor:
    """2 cos - 1 within one modality, as DJSRH and JDSH use it: spans [-1, 1] for non-negative features."""
    return 2 * cosine(features, features) - 1


def second_order(similarity: Tensor) -> Tensor:
    """S S^T / m: two pairs are alike when they are like the same others (DJSRH, eq. 4)."""
    return similarity @ similarity.T / len(similarity)


def cross_profile(image_similarity: Tensor, text_similarity: Tensor) -> Tensor:
    """JDSH's S_h, made symmetric: the cosine between i's image profile and j's text profile."""
    crossed = cosine(image_similarity, text_similarity)
    return (crossed + crossed.T) / 2


@torch.no_grad()
def off_diagonal(similarity: Tensor) -> Tensor:
    """The entries of a square matrix off its diagonal, flat."""
    n = len(similarity)
    return similarity.flatten()[1:].view(n - 1, n + 1)[:, :-1].flatten() if n > 1 else similarity.new_empty(0)
