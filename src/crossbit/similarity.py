"""Target similarities: what the codes of two pairs are meant to agree in. Torch, no gradients."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class Fused:
    """A weighted sum of inner products over n pairs, computed by rows: sum of w L R^T, less a constant.

    parts: (w, L, R) with L and R (n, d). It is never held whole unless asked for, so it costs n x d.
    """

    parts: tuple[tuple[float, Tensor, Tensor], ...]
    shift: float = 0.0

    def __len__(self) -> int:
        return len(self.parts[0][1])

    def rows(self, rows: Tensor | slice) -> Tensor:
        """(b,) -> (b, n)."""
        return sum((w * (left[rows] @ right.T) for w, left, right in self.parts), start=torch.tensor(-self.shift))

    def standardised(self) -> Fused:
        """The same similarity with mean 0 and standard deviation 1 off its diagonal, measured on up to 2,000 rows."""
        n = len(self)
        rows = torch.linspace(0, n - 1, min(n, 2000)).long()
        sample = self.rows(rows)
        others = sample[torch.arange(n)[None, :] != rows[:, None]]
        mean, spread = float(others.mean()), float(others.std())
        # Similarities that are all the same (of two pairs, say) differ by rounding only, which must not be blown up.
        spread = spread if spread > 1e-6 * abs(mean) + 1e-12 else 1.0
        parts = tuple((w / spread, left, right) for w, left, right in self.parts)
        return Fused(parts, (self.shift + mean) / spread)

    def plus(self, other: Fused, share: float) -> Fused:
        """(1 - share) of this similarity and `share` of another one."""
        parts = tuple((w * (1 - share), left, right) for w, left, right in self.parts)
        others = tuple((w * share, left, right) for w, left, right in other.parts)
        return Fused(parts + others, self.shift * (1 - share) + other.shift * share)


def modal_fusion(image: Tensor, text: Tensor, weight_image: float, weight_text: float, weight_cross: float) -> Fused:
    """w_I cos(I, I) + w_T cos(T, T) + w_X (cos(I, T) + cos(T, I)) / 2 of outputs (n, d) in one common space."""
    image, text = normalize(image), normalize(text)
    crossed = ((weight_cross / 2, image, text), (weight_cross / 2, text, image))
    return Fused(((weight_image, image, image), (weight_text, text, text), *crossed))


def centred_cosine(features: Tensor) -> Fused:
    """Cosines of features (n, d) after their mean is taken away."""
    rows = normalize(features - features.mean(dim=0))
    return Fused(((1.0, rows, rows),))
