"""The similarity of items to anchors, fused from the anchor graphs of two modalities, in sparse factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from crossbit.correlation import Matrix
from crossbit.factorisation import ScaledRows

_BLOCK = 2048  # items whose distances to all anchors are held at once


@dataclass(frozen=True, eq=False)
class FusedSimilarity:
    """S (n, p) = scale (Z - m) L^-1 (Z_A - m)', kept as its factors: never as n x n, nor as n x p.

    links: Z, (n, p) sparse with rows that sum to 1, how much an item belongs to each anchor in either modality.
    mean: m, (p,), the mean row of Z. anchor_side: scale L^-1 (Z_A - m)', (p, p), with L the diagonal of Z's sums.
    """

    links: scipy.sparse.csr_array
    mean: NDArray[np.float64]
    anchor_side: Matrix

    def times(self, right: Matrix) -> Matrix:
        """S @ right for right (p, c)."""
        inner = self.anchor_side @ right
        return np.asarray(self.links @ inner - self.mean @ inner)

    def transposed_times(self, right: Matrix) -> Matrix:
        """S' @ right for right (n, c)."""
        inner = self.links.T @ right - np.outer(self.mean, right.sum(axis=0))
        return np.asarray(self.anchor_side.T @ inner)

    def squared_length(self) -> float:
        """The sum of all squared entries of S."""
        gram = (self.links.T @ self.links).toarray() - self.links.shape[0] * np.outer(self.mean, self.mean)
        return float(np.sum(self.anchor_side * (gram @ self.anchor_side)))


def fused_similarity(
    image: ScaledRows, text: ScaledRows, anchors: NDArray[np.int64], neighbours: int
) -> FusedSimilarity:
    """Join the anchor graphs of both modalities over the same anchor pairs and go from item to anchor in two steps.

    anchors: (p,) row numbers. An item is linked to its nearest anchors in each modality by exp(-d^2 / h), h the mean
    of those d^2; links of a modality sum to 1 and the two are averaged, so that a walk may come by image and leave by
    text. S is centred over the items and scaled so that an anchor has mean similarity 1 with itself.
    """
    sides = [_links(side.rows, anchors, neighbours) for side in (image, text)]
    links = scipy.sparse.csr_array((sides[0] + sides[1]) / 2)
    mean = np.asarray(links.mean(axis=0)).ravel()
    reach = np.maximum(np.asarray(links.sum(axis=0)).ravel(), 1e-12)
    own = links[anchors].toarray() - mean
    anchor_side = own.T / reach[:, None]
    itself = float(np.einsum("ap,pa->", own, anchor_side)) / len(anchors)
    return FusedSimilarity(links, mean, anchor_side / (itself if itself > 0 else 1.0))


def _links(rows: Matrix, anchors: NDArray[np.int64], neighbours: int) -> scipy.sparse.csr_array:
    n, p, s = len(rows), len(anchors), min(neighbours, len(anchors))
    columns, squares = np.empty((n, s), dtype=np.int64), np.empty((n, s))
    targets = rows[anchors]
    lengths = np.square(targets).sum(axis=1)
    for start in range(0, n, _BLOCK):
        block = rows[start : start + _BLOCK]
        distances = np.square(block).sum(axis=1)[:, None] + lengths - 2 * block @ targets.T
        near = np.argpartition(distances, s - 1, axis=1)[:, :s]
        columns[start : start + _BLOCK] = near
        squares[start : start + _BLOCK] = np.maximum(np.take_along_axis(distances, near, axis=1), 0.0)
    width = squares.mean()
    weights = np.exp(-(squares - squares.min(axis=1, keepdims=True)) / (width if width > 0 else 1.0))
    weights /= weights.sum(axis=1, keepdims=True)
    return scipy.sparse.csr_array((weights.ravel(), (np.repeat(np.arange(n), s), columns.ravel())), shape=(n, p))
