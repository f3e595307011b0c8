"""SCM: linear hash functions whose codes have the inner products that the labels ask for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
import scipy.linalg

from crossbit.centring import CentredRows
from crossbit.correlation import DEFAULT_RIDGE, Matrix, check_ridge, expansion
from crossbit.errors import DataError, SettingsError
from crossbit.factorisation import signs
from crossbit.hasher import Hasher
from crossbit.label_similarity import crossed_similarity, labels_of, unit_labels
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, Step

Learning = Literal["sequential", "orthogonal"]
Growth = Literal["go on", "canonical"]
_NEGLIGIBLE = 1e-6  # a value below this share of the largest is rounding (its square is what is compared)


@dataclass(frozen=True, kw_only=True)
class SCM(Method):
    """Semantic correlation maximisation: codes whose inner products across modalities follow the labels' similarity.

    With X (n, d) and T (n, e) centred and S_ij = 2 cos(labels i, labels j) - 1: (1) minimise
    |r S - sgn(X W_x) sgn(T W_t)^T|^2, r the number of bits. (2) C = r X^T S T, made of X^T L and T^T L alone, so no
    matrix of all pairs is held. (3) orthogonal: the signs are dropped, and with W_x^T X^T X W_x = n I the directions
    are the leading solutions of C C_tt^-1 C^T w = l^2 C_xx w, w_t = C_tt^-1 C^T w_x / l. (4) sequential: the first of
    them for one bit, then C less (X^T sgn(X w_x)) (T^T sgn(T w_t))^T, which is the same as to take the bit's product
    off r S, and so on. The numbers are this text's: written from an account of the code of others.

    In the code of others the sequence ends where its value grows, and the bits left are canonical directions, weakest
    first: at_growth="canonical". Departures: features are scaled to length 1 on average; the ridge is a share of the
    mean variance, as in the CCA methods, where that code adds 1e-6, with which new items get codes of chance where
    there are about as many features as pairs; database items are centred as queries are, which that code forgets.
    Orthogonal has no more directions than labels; further bits are signs on a tight frame of the same directions.
    """

    name: ClassVar[str] = "scm"
    supervised: ClassVar[bool] = True
    paper: ClassVar[Paper] = Paper(
        authors="Dongqing Zhang, Wu-Jun Li",
        title="Large-Scale Supervised Multimodal Hashing with Semantic Correlation Maximization",
        venue="AAAI",
        year=2014,
        link="https://doi.org/10.1609/aaai.v28i1.8995",
    )

    learning: Learning = "sequential"  # or "orthogonal": all bits at once
    at_growth: Growth = "go on"  # or "canonical", for a sequence whose value grows
    ridge: float = DEFAULT_RIDGE  # of the covariances, as a share of the mean variance

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learning not in get_args(Learning):
            raise SettingsError(f"learning is one of {', '.join(get_args(Learning))}; got {self.learning!r}.")
        if self.at_growth not in get_args(Growth):
            raise SettingsError(f"at_growth is one of {', '.join(get_args(Growth))}; got {self.at_growth!r}.")
        check_ridge(self.ridge)

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        image, text = CentredRows.of(pairs.image), CentredRows.of(pairs.text)
        unit = unit_labels(labels_of(pairs, self.name))
        views = Whitened(image.rows, text.rows, self.ridge)
        crossed = self.n_bits * crossed_similarity(image.rows, text.rows, unit)
        if not np.abs(crossed).max() > 1e-9:
            raise DataError("The labels say nothing about these features: every pair has the same ones, or none.")
        if self.learning == "orthogonal":
            images, texts, _ = views.agreeing(crossed, self.n_bits)
            mixing = expansion(images.shape[1], self.n_bits, np.random.default_rng(self.seed))
            if images.shape[1] < self.n_bits:
                images, texts = images @ mixing, texts @ mixing
        else:
            images, texts = self._in_sequence(views, crossed, progress)
        return Hasher(image.function(images), text.function(texts))

    def _in_sequence(self, views: Whitened, crossed: Matrix, progress: Progress) -> tuple[Matrix, Matrix]:
        """Equation 4: one bit after the other, each on what those before it have left of r S."""
        found: list[tuple[Matrix, Matrix]] = []
        last = np.inf
        inner = views.whitened(crossed)
        for bit in range(self.n_bits):
            images, texts, values = views.leading(inner, 1)
            if self.at_growth == "canonical" and values[0] > last:
                break
            last = float(values[0])
            found.append((images[:, 0], texts[:, 0]))
            image_code, text_code = signs(views.image @ images), signs(views.text @ texts)
            # Taken off after whitening: the same as before it, and no solve with a whole matrix for each bit.
            inner -= np.outer(*views.whitened_rows(views.image.T @ image_code, views.text.T @ text_code))
            progress(Step("bits", bit + 1, self.n_bits))
        if left := self.n_bits - len(found):
            images, texts, _ = views.agreeing(views.image.T @ views.text, left)
            found += [(images[:, k % images.shape[1]], texts[:, k % images.shape[1]]) for k in range(-1, -left - 1, -1)]
        return np.stack([one[0] for one in found], axis=1), np.stack([one[1] for one in found], axis=1)


class Whitened:
    """Two centred views (n, d) and (n, e), with the roots of their covariances."""

    def __init__(self, image: Matrix, text: Matrix, ridge: float) -> None:
        self.image, self.text = image, text
        self._roots = tuple(_root(rows, ridge) for rows in (image, text))

    def agreeing(self, crossed: Matrix, at_most: int) -> tuple[Matrix, Matrix, Matrix]:
        """The directions w_x, w_t of equation 3 and their values, at most so many, the largest value first."""
        return self.leading(self.whitened(crossed), at_most)

    def whitened(self, crossed: Matrix) -> Matrix:
        """R_x^-1 C R_t^-T with the roots R of the covariances."""
        inner = scipy.linalg.solve_triangular(self._roots[0], crossed, lower=True, check_finite=False)
        return np.asarray(scipy.linalg.solve_triangular(self._roots[1], inner.T, lower=True, check_finite=False).T)

    def whitened_rows(self, image: Matrix, text: Matrix) -> tuple[Matrix, Matrix]:
        """R_x^-1 a and R_t^-1 b of two columns (d, 1) and (e, 1)."""
        image_root, text_root = self._roots
        left = scipy.linalg.solve_triangular(image_root, image, lower=True, check_finite=False)
        return left, scipy.linalg.solve_triangular(text_root, text, lower=True, check_finite=False)

    def leading(self, inner: Matrix, at_most: int) -> tuple[Matrix, Matrix, Matrix]:
        """The same directions from the whitened matrix."""
        image_root, text_root = self._roots
        wide = inner.shape[0] > inner.shape[1]
        gram = inner.T @ inner if wide else inner @ inner.T
        n = min(at_most, len(gram))
        squares, side = scipy.linalg.eigh(gram, subset_by_index=[len(gram) - n, len(gram) - 1], check_finite=False)
        squares, side = squares[::-1], side[:, ::-1]
        keep = max(1, int(np.count_nonzero(squares > _NEGLIGIBLE**2 * squares[0])))
        values, side = np.sqrt(np.maximum(squares[:keep], 1e-300)), side[:, :keep]
        side = side * np.where(side[np.abs(side).argmax(axis=0), np.arange(keep)] < 0, -1.0, 1.0)
        left, right = (inner @ side / values, side) if wide else (side, inner.T @ side / values)
        images = scipy.linalg.solve_triangular(image_root.T, left, lower=False, check_finite=False)
        return images, scipy.linalg.solve_triangular(text_root.T, right, lower=False, check_finite=False), values


def _root(rows: Matrix, ridge: float) -> Matrix:
    """The lower Cholesky factor of the covariance with its ridge."""
    covariance = rows.T @ rows / len(rows)
    covariance.flat[:: len(covariance) + 1] += ridge * np.trace(covariance) / len(covariance)
    return np.asarray(scipy.linalg.cholesky(covariance, lower=True, check_finite=False))
