"""Features by likeness to anchors, as kernel methods use them, made of the layers that a hasher can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.correlation import Matrix
from crossbit.hasher import HashFunction, Layer


@dataclass(frozen=True, eq=False)
class AnchorFeatures:
    """How much nearer than the average a row is to each of k training rows, by cosine: max(0, cos(x, a) - t_a) / s.

    A kernel method takes exp(-|x - a|^2 / (2 s^2)); on rows of length 1 that is an increasing function of the cosine,
    as this is. A hasher has no exponential, and this needs none. t_a is the mean cosine of the training rows with a.

    rows: (n, k) float64, the training rows' features, of mean 0 and mean squared length 1. layer: features before the
    mean is taken off. mean: (k,).
    """

    rows: Matrix
    layer: Layer
    mean: Matrix

    @classmethod
    def of(cls, features: NDArray[Any], n_anchors: int, generator: np.random.Generator) -> AnchorFeatures:
        """Of feature rows (n, d), none of them zero and not all the same; as many anchors as rows at most."""
        wide = features.astype(np.float64)
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
        chosen = np.sort(generator.choice(len(wide), size=min(n_anchors, len(wide)), replace=False))
        anchors = wide[chosen].T
        cosines = wide @ anchors
        least = cosines.mean(axis=0)
        found = np.maximum(cosines - least, 0.0)
        mean = found.mean(axis=0)
        centred = found - mean
        # Rows that differ in nothing but their length give zeros; the scale must then be no division by zero.
        scale = max(float(np.sqrt(np.square(centred).sum(axis=1).mean())), 1e-9)
        layer = Layer((anchors / scale).astype(np.float32), (-least / scale).astype(np.float32), "relu")
        return cls(centred / scale, layer, mean / scale)

    def function(self, weight: Matrix) -> HashFunction:
        """The hash function whose outputs are rows @ weight; weight is (k, n_bits)."""
        outer = Layer(weight.astype(np.float32), (-(self.mean @ weight)).astype(np.float32))
        return HashFunction((self.layer, outer), normalise=True)
