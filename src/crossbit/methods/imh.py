"""IMH: codes that are smooth on the neighbour graph of each medium, shared by a pair and linear in the features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
import scipy.linalg
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import LinearOperator, eigsh

from crossbit.centring import CentredRows
from crossbit.correlation import Matrix, expansion
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, Step

Threshold = Literal["median", "zero"]
_BLOCK = 1024  # rows of distances at once
_DENSE = 800  # up to so many pairs the eigenproblem is solved whole


@dataclass(frozen=True, kw_only=True)
class IMH(Method):
    """Inter-media hashing: a pair's shared code changes little between neighbours in either medium.

    For views X_t (n, d_t), centred, graphs A_t that join each row to its nearest neighbours (1 if either lists the
    other), Laplacians L_t = D_t - A_t and shared values F (n, n_bits) with F^T F = I: (1) minimise smoothness tr(F^T
    (L_x + L_y) F) + sum_t (|X_t W_t - F|^2 + beta |W_t|^2). For given F, (2) W_t = (X_t^T X_t + beta I)^-1 X_t^T F, and
    so (3) F holds the last eigenvectors of smoothness (L_x + L_y) + sum_t (I - X_t (X_t^T X_t + beta I)^-1 X_t^T); the
    constant vector, which says nothing, is left out. (4) A code is x W_t above the median of the training rows. The
    numbers are this text's: the equations are restated from accounts of the paper, which was not open to us. The
    defaults of smoothness, beta and neighbours (1, 1 and a single one) are those of a port by others.

    Departures: features are scaled to length 1 on average, so that beta means the same for all. That port takes the
    median of whatever batch is being coded; then a code depends on the company an item comes in, which no hasher
    here allows. Where the data has fewer directions than bits, the bits are thresholded on a tight frame of random
    directions in the space of F, the same for both media. The graphs are sparse and (3) is solved by products with
    vectors: no n x n matrix is made beyond 800 pairs.
    """

    name: ClassVar[str] = "imh"
    paper: ClassVar[Paper] = Paper(
        authors="Jingkuan Song, Yang Yang, Yi Yang, Zi Huang, Heng Tao Shen",
        title="Inter-media Hashing for Large-scale Retrieval from Heterogeneous Data Sources",
        venue="SIGMOD",
        year=2013,
        link="https://doi.org/10.1145/2463676.2465274",
    )

    smoothness: float = 1.0  # weight of the change between neighbours
    beta: float = 1.0  # ridge of the projections
    neighbours: int = 1  # of each row, in each medium
    threshold: Threshold = "median"  # of the training rows' outputs; or "zero", which is their mean

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.smoothness < 0:
            raise SettingsError(f"smoothness must be 0 or more; got {self.smoothness!r}.")
        if not self.beta > 0:
            raise SettingsError(f"beta must be more than 0; got {self.beta!r}.")
        if isinstance(self.neighbours, bool) or not isinstance(self.neighbours, int) or self.neighbours < 1:
            raise SettingsError(f"neighbours must be a whole number of 1 or more; got {self.neighbours!r}.")
        if self.threshold not in get_args(Threshold):
            raise SettingsError(f"threshold is median or zero; got {self.threshold!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        image, text = CentredRows.of(pairs.image), CentredRows.of(pairs.text)
        graphs = [laplacian(rows, self.neighbours) for rows in (image.rows, text.rows)]
        progress(Step("neighbours", 1, 2))
        generator = np.random.default_rng(self.seed)
        most = min(self.n_bits, image.rows.shape[1], text.rows.shape[1], len(pairs) - 1)
        changes = csr_array(self.smoothness * (graphs[0] + graphs[1]))
        shared = shared_values((image.rows, text.rows), changes, self.beta, most, generator)
        if most < self.n_bits:
            shared = shared @ expansion(most, self.n_bits, generator)
        progress(Step("neighbours", 2, 2))
        functions = []
        for view in (image, text):
            weight = regression(view.rows, self.beta) @ shared
            median = np.median(view.rows @ weight, axis=0) if self.threshold == "median" else None
            functions.append(view.function(weight, median))
        return Hasher(functions[0], functions[1], report={"directions": most})


def laplacian(rows: Matrix, neighbours: int) -> csr_array:
    """D - A, (n, n) and sparse, of the graph that joins rows (n, d) where either is among the other's nearest."""
    n, squared = len(rows), np.square(rows).sum(axis=1)
    k = min(neighbours, n - 1)
    nearest = np.empty((n, k), np.int64)
    for start in range(0, n, _BLOCK):
        stop = min(start + _BLOCK, n)
        distances = squared[None, :] - 2 * (rows[start:stop] @ rows.T)
        distances[np.arange(stop - start), np.arange(start, stop)] = np.inf
        nearest[start:stop] = np.argsort(distances, axis=1, kind="stable")[:, :k]
    listed = csr_array((np.ones(n * k), nearest.ravel(), np.arange(0, n * k + 1, k)), shape=(n, n))
    graph = csr_array(listed.maximum(listed.T))
    return csr_array(diags_array(np.asarray(graph.sum(axis=1)).ravel()) - graph)


def regression(rows: Matrix, beta: float) -> Matrix:
    """(X^T X + beta I)^-1 X^T, (d, n): what turns shared values into weights (equation 2)."""
    products = rows.T @ rows + beta * np.eye(rows.shape[1])
    return scipy.linalg.solve(products, rows.T, assume_a="pos", check_finite=False)


def shared_values(
    views: tuple[Matrix, Matrix], changes: csr_array, beta: float, k: int, generator: np.random.Generator
) -> Matrix:
    """The k orthonormal columns (n, k) of F that minimise equation 1, best first and each of mean 0.

    changes: (n, n), the Laplacians with their weight. The first eigenvectors of sum_t X_t (X_t^T X_t + beta I)^-1
    X_t^T less the changes are the last ones of equation 3.
    """
    n = len(views[0])
    explained = [regression(rows, beta) for rows in views]
    worst = 2.0 * float(abs(changes).sum(axis=1).max()) + 1.0  # pushes the constant vector to the other end

    def product(vectors: Matrix) -> Matrix:
        fitted = sum(rows @ (inverse @ vectors) for rows, inverse in zip(views, explained, strict=True))
        return np.asarray(fitted - changes @ vectors - worst * vectors.mean(axis=0))

    if n <= _DENSE or 3 * k > n:
        whole = product(np.eye(n))
        _, vectors = scipy.linalg.eigh((whole + whole.T) / 2, subset_by_index=(n - k, n - 1), check_finite=False)
        return np.ascontiguousarray(vectors[:, ::-1])
    operator = LinearOperator((n, n), matvec=product, matmat=product, dtype=np.float64)
    _, vectors = eigsh(operator, k, which="LA", v0=generator.standard_normal(n), tol=1e-6)
    return np.ascontiguousarray(vectors[:, ::-1])


def objective(views: tuple[Matrix, Matrix], changes: csr_array, beta: float, shared: Matrix) -> float:
    """Equation 1 at the best weights for these shared values (n, k)."""
    total = float((shared * (changes @ shared)).sum())
    for rows in views:
        weight = regression(rows, beta) @ shared
        total += float(np.square(rows @ weight - shared).sum() + beta * np.square(weight).sum())
    return total
