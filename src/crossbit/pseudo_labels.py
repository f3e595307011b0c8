"""Pseudo-labels: clusters of the training pairs, found in both modalities together and without any labels."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from crossbit.pairs import Features, PairedFeatures


def usual_number(n: int) -> int:
    """The rule of thumb for n items, sqrt(n / 2), and at least 2."""
    return max(2, round(math.sqrt(n / 2)))


def clusters_of(pairs: PairedFeatures, n_clusters: int, weight_image: float, seed: int) -> NDArray[np.int64]:
    """(n,) the cluster of each pair, from 0: k-means on both modalities' centred rows of length 1, weighted."""
    parts = [
        np.sqrt(weight) * _unit(rows) for weight, rows in ((weight_image, pairs.image), (1 - weight_image, pairs.text))
    ]
    rows = np.concatenate(parts, axis=1)
    with warnings.catch_warnings():
        # A cluster that nobody belongs to does no harm.
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        _, found = kmeans2(rows, min(n_clusters, len(rows)), minit="++", seed=seed)
    return np.asarray(found, dtype=np.int64)


def _unit(rows: Features) -> NDArray[np.float64]:
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(lengths, 1e-12), dtype=np.float64)
