"""The fused cosines of all n training pairs, held whole while they are few and made by rows beyond that."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from crossbit.pairs import PairedFeatures

WARN_ABOVE = 20_000
"""An n x n table of more pairs than this is announced before it is made."""


def whole_table_gib(n: int) -> float:
    """What n x n numbers of four bytes take, in GiB."""
    return 4 * n * n / 2**30


class FusedCosines(nn.Module):
    """w cos(image_i, image_j) + (1 - w) cos(text_i, text_j) between all n training pairs.

    whole_up_to: up to so many pairs the n x n table is held; of more, the rows that are asked for are made anew each
    time, with the same values: n x d operations a row, and no memory but the features.
    A UserWarning tells the GiB of a table of more than 20,000 pairs before it is made.
    """

    image: Tensor
    text: Tensor
    table: Tensor | None

    def __init__(self, pairs: PairedFeatures, weight_image: float, whole_up_to: int) -> None:
        super().__init__()
        n = len(pairs)
        if WARN_ABOVE < n <= whole_up_to:
            warnings.warn(
                f"The similarities of {n} pairs are held whole and take {whole_table_gib(n):.1f} GiB. With whole_up_to "
                f"below {n} they are made by rows, with the same values, in more time and hardly any memory.",
                stacklevel=2,
            )
        self.weight_image = weight_image
        # Not persistent: they follow from the pairs, so a checkpoint need not carry them.
        self.register_buffer("image", normalize(torch.tensor(pairs.image)), persistent=False)
        self.register_buffer("text", normalize(torch.tensor(pairs.text)), persistent=False)
        self.register_buffer("table", None, persistent=False)
        if n <= whole_up_to:
            self.table = self.made(torch.arange(n))

    def __len__(self) -> int:
        return len(self.image)

    def made(self, rows: Tensor) -> Tensor:
        """(b,) -> (b, n), from the features."""
        image = self.image[rows] @ self.image.T
        return self.weight_image * image + (1 - self.weight_image) * (self.text[rows] @ self.text.T)

    def rows(self, rows: Tensor) -> Tensor:
        """(b,) -> (b, n), out of the table where there is one."""
        return self.made(rows) if self.table is None else self.table[rows]

    def among(self, rows: Tensor) -> Tensor:
        """(b,) -> (b, b): the pairs of a batch with each other."""
        image, text = self.image[rows], self.text[rows]
        return self.weight_image * (image @ image.T) + (1 - self.weight_image) * (text @ text.T)

    def n_kept(self, share: float) -> int:
        """How many entries of a row a share of all n stands for: at least the pair itself and one other."""
        return max(2, min(len(self), round(share * len(self))))


def row_floors(similarities: Tensor, n_kept: int) -> Tensor:
    """(b, n) -> (b, 1): the largest value of each row that is no longer among its n_kept largest."""
    n = similarities.shape[1]
    if n_kept >= n:
        return torch.full_like(similarities[:, :1], -torch.inf)
    return similarities.kthvalue(n - n_kept, dim=1, keepdim=True).values
