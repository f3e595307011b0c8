"""Steps of sparse coding: soft thresholds, atoms of bounded length, and the directions and atoms to start from."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from crossbit.correlation import Matrix
from crossbit.hasher import Layer


def soft(values: Matrix, threshold: float) -> Matrix:
    """Values drawn towards 0 by the threshold, and 0 where they do not reach it."""
    return np.asarray(np.maximum(values - threshold, 0) - np.maximum(-values - threshold, 0))


def soft_layers(linear: Layer, threshold: float, weight: Matrix, bias: Matrix) -> tuple[Layer, Layer]:
    """soft(linear(x), threshold) @ weight + bias as two layers, since soft(z, h) = relu(z - h) - relu(-z - h)."""
    both = np.concatenate([linear.weight, -linear.weight], axis=1)
    shift = np.concatenate([linear.bias, -linear.bias]) - np.float32(threshold)
    outer = np.concatenate([weight, -weight]).astype(np.float32)
    return Layer(both, shift, "relu"), Layer(outer, bias.astype(np.float32))


def proximal_steps(sparse: Matrix, wanted: Matrix, maps: Matrix, sparsity: float, steps: int) -> Matrix:
    """Lower |wanted - sparse @ maps|^2 + sparsity |sparse|_1 over sparse (n, q) by so many steps; none raises it.

    wanted: (n, d). maps: (q, d). Each step goes down the squared term and then draws values to 0 (iterative soft
    thresholding; Daubechies, Defrise and De Mol, 2004).
    """
    steepest = max(float(np.linalg.norm(maps, 2)) ** 2, 1e-12)
    for _ in range(steps):
        sparse = soft(sparse - (sparse @ maps - wanted) @ maps.T / steepest, sparsity / (2 * steepest))
    return sparse


def bounded_rows(rows: Matrix, pull: Matrix, gram: Matrix) -> Matrix:
    """Lower |data - use @ rows|^2 over rows (q, d) no longer than 1, each in turn to its best place.

    pull: use' data, (q, d). gram: use' use, (q, q). A row that is not used stays.
    """
    rows = rows.copy()
    for j in np.flatnonzero(np.diag(gram) > 1e-12):
        best = rows[j] + (pull[j] - gram[j] @ rows) / gram[j, j]
        rows[j] = best / max(1.0, float(np.linalg.norm(best)))
    return rows


def unit_rows(rows: Matrix) -> Matrix:
    """Rows brought to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))


def principal_axes(rows: Matrix, n: int) -> Matrix:
    """The first n principal axes (d, k) of centred rows, k fewer than n where there are fewer."""
    values, axes = scipy.linalg.eigh(rows.T @ rows)
    keep = min(n, int(np.count_nonzero(values > 1e-9 * values[-1])))
    return np.asarray(axes[:, ::-1][:, :keep])
