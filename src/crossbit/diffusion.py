"""Similarity made global: how easily a random walk on the neighbour graph gets from one pair to another.

The walk starts at a pair, goes on along the graph's edges with probability `walk` and stops otherwise. With W the
symmetrically normalised graph, K = (1 - walk) (I - walk W)^-1 holds how often it stops where; divided by the roots
of its diagonal it is a cosine. Up to some 10,000 pairs K is computed whole; beyond, only its columns for landmark
pairs are solved for, by conjugate gradients on the sparse graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import aslinearoperator
from torch import Tensor

from crossbit.errors import SettingsError
from crossbit.progress import Progress, Step, silent

_BLOCK = 1024  # rows of a similarity at once


def neighbour_graph(similarity_rows: Callable[[slice], Tensor], n: int, k: int, power: float = 1.0) -> csr_array:
    """The symmetric graph of each pair's k nearest others, normalised for a walk: (n, n), sparse.

    similarity_rows: gives the rows of a similarity with mean 0. An edge's weight is that similarity, if above 0, to
    the `power`; a pair counts as near when either of the two lists the other. Raises no error for n <= k: all others
    are then neighbours.
    """
    k = min(k, n - 1)
    weights, columns = np.empty((n, k), np.float32), np.empty((n, k), np.int64)
    for start in range(0, n, _BLOCK):
        rows = slice(start, min(start + _BLOCK, n))
        similarity = similarity_rows(rows).clone()
        similarity[torch.arange(len(similarity)), torch.arange(rows.start, rows.stop)] = -torch.inf
        values, numbers = similarity.topk(k, dim=1)
        weights[rows], columns[rows] = values.clamp(min=0).pow(power).numpy(), numbers.numpy()
    listed = csr_array((weights.ravel(), columns.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    graph = listed.maximum(listed.T).tocsr()
    # A pair without any edge keeps to itself; the tiny degree only avoids a division by zero.
    roots = 1.0 / np.sqrt(np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-12))
    graph.data = (graph.data * np.repeat(roots, np.diff(graph.indptr)) * roots[graph.indices]).astype(np.float32)
    return graph


def diffuse(graph: csr_array, walk: float) -> Tensor:
    """K of the whole graph as a cosine (n, n); takes 12 n^2 bytes and some n^3 operations."""
    n = graph.shape[0]
    system = torch.from_numpy(-walk * graph.toarray())
    system.diagonal().add_(1.0)
    # The system is symmetric and positive definite (walk < 1), so its Cholesky factor gives the inverse.
    kernel = torch.cholesky_inverse(torch.linalg.cholesky(system))
    scale = kernel.diagonal().rsqrt().clone()
    return kernel.mul_(scale[:, None]).mul_(scale[None, :]) if n else kernel


def diffuse_columns(
    graph: csr_array, columns: NDArray[np.int64], walk: float, *, seed: int = 0, progress: Progress = silent
) -> Tensor:
    """The columns of K's cosine for some pairs, (n, m), by conjugate gradients; takes 4 n m bytes.

    The diagonal, needed for the cosine, is exact for the columns and estimated elsewhere with 64 random sign vectors
    (Hutchinson): its error, some tenths, is small beside the orders of magnitude that K spans.
    """
    n = graph.shape[0]
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), (n, 64))
    diagonal = np.maximum((signs * solve(graph, signs, walk)).mean(axis=1), 1.0)
    kernel = np.empty((n, len(columns)), np.float32)
    for start in range(0, len(columns), 64):
        block = columns[start : start + 64]
        unit = np.zeros((n, len(block)), np.float32)
        unit[block, np.arange(len(block))] = 1
        kernel[:, start : start + 64] = solve(graph, unit, walk)
        progress(Step("similarity columns", min(start + 64, len(columns)), len(columns)))
    diagonal[columns] = kernel[columns, np.arange(len(columns))]
    scale = 1 / np.sqrt(diagonal)
    return torch.from_numpy(np.clip(kernel * scale[:, None] * scale[columns], 0, 1).astype(np.float32))


def solve(
    graph: csr_array, right: NDArray[np.float32], walk: float, tolerance: float = 1e-6, at_most: int | None = None
) -> NDArray[np.float32]:
    """(I - walk W)^-1 times the columns of `right` (n, m), all columns at once, by conjugate gradients.

    at_most: rounds; by default four times what the condition number (1 + walk) / (1 - walk) asks for. Raises
    SettingsError where the columns are not solved to the tolerance by then: nothing half-solved is passed on.
    """
    if at_most is None:
        at_most = 4 * math.ceil(math.sqrt((1 + walk) / (1 - walk)) * math.log(2 / tolerance) / 2)
    operator = aslinearoperator(graph)
    solution = np.zeros_like(right, dtype=np.float64)
    residual = right.astype(np.float64)
    direction, squared = residual.copy(), (residual**2).sum(axis=0)
    goal = tolerance**2 * squared
    for _ in range(at_most):
        if (squared <= goal).all():
            break
        product = direction - walk * operator.matmat(direction)
        step = squared / np.maximum((direction * product).sum(axis=0), 1e-300)
        solution += step * direction
        residual -= step * product
        before, squared = squared, (residual**2).sum(axis=0)
        direction = residual + squared / np.maximum(before, 1e-300) * direction
    unsolved = int((squared > goal).sum())
    if unsolved:
        raise SettingsError(
            f"The diffusion did not settle in {at_most} rounds for {unsolved} of {right.shape[1]} columns at walk = "
            f"{walk}. Lower walk, or set whole_up_to to the number of pairs or more, which solves it directly."
        )
    return solution.astype(np.float32)


def log_scaled(kernel: Tensor) -> Tensor:
    """A cosine K (n, m) as a target in [-1, 1]: its logarithm with the median at 0 and K = 1 at 1.

    K spans many orders of magnitude: most pairs are next to 0, and a target of that shape teaches only the few
    nearest ones. Its logarithm counts the orders. Below the median the scale is set by the 0.1 percentile.
    """
    sample = kernel.flatten()[:: max(1, kernel.numel() // 1_000_000)]
    low = float(torch.quantile(sample, 0.001).clamp(min=1e-10))
    logarithm = kernel.clamp(min=low).log()
    median, bottom = float(np.log(max(float(sample.median()), low))), float(np.log(low))
    above, below = max(-median, 1e-6), max(median - bottom, 1e-6)
    logarithm.sub_(median)
    return torch.where(logarithm > 0, logarithm / above, logarithm / below).clamp_(-1, 1)
