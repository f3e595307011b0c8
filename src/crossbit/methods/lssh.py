"""LSSH: sparse codes of images and latent factors of texts, brought into one space by a linear link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import scipy.linalg

from crossbit.codes import Codes
from crossbit.correlation import Matrix
from crossbit.errors import DataError, MismatchError, SettingsError
from crossbit.factorisation import ScaledRows, last_of, ridge_weight, scaled
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.method import Method, Paper
from crossbit.pairs import Features, PairedFeatures
from crossbit.progress import Progress
from crossbit.sparse_coding import bounded_rows, principal_axes, proximal_steps, soft, soft_layers, unit_rows


@dataclass(frozen=True, eq=False)
class SparseSpace:
    """What LSSH learns; rows are items, so everything stands transposed to the paper.

    dictionary: B, (q, d) for images of d principal components. sparse: S, (n, q). latent: Y, (n, c). text_basis: A,
    (c, d_text). link: R, (q, c). No row of B, A or R is longer than 1. sparsity: the weight of |S|_1.
    """

    dictionary: Matrix
    sparse: Matrix
    latent: Matrix
    text_basis: Matrix
    link: Matrix
    sparsity: float


def fused_codes(hasher: Hasher, image: Features, text: Features) -> Codes:
    """The paper's rule for items of which both modalities are known, as in a database: one code from the two.

    hasher: one that LSSH fitted (or its saved file). image: (n, d_image), text: (n, d_text), pairs. The code is the
    sign of the y that minimises  text_weight |t - y A|^2 + link_weight |y - s R|^2 : the text function's values plus
    the image function's, mixed by the text function's last layer. No Hasher can say this, since it needs both rows.

    Raises MismatchError for a hasher of another method, DataError for unequal numbers, and as the hasher on unfit rows.
    """
    if hasher.method != LSSH.name:
        raise MismatchError(f"Fused codes need a hasher of lssh; this one is of {hasher.method or 'no named method'}.")
    ratio = hasher.settings["link_weight"] / hasher.settings["text_weight"]
    by_image, by_text = hasher.image(image, "image features"), hasher.text(text, "text features")
    if len(by_image) != len(by_text):
        raise DataError(f"Fused codes need pairs; got {len(by_image)} images and {len(by_text)} texts.")
    return Codes.from_real(by_text + ratio * (by_image.astype(np.float64) @ hasher.text.layers[-1].weight))


@dataclass(frozen=True, kw_only=True)
class LSSH(Method):
    """Latent semantic sparse hashing: sparse coding of images, matrix factorisation of texts, and a link between.

    Minimised is  |X - S B|^2 + rho |S|_1 + text_weight |T - Y A|^2 + link_weight |Y - S R|^2  (divided by n) with the
    rows of B, A and R no longer than 1: S by proximal gradient steps, B, A and R row by row, Y in closed form; no step
    raises it. A text's code is sgn(t A' (A A' + link_weight / text_weight I)^-1), an image's sgn(s R). Database items
    may be coded from both modalities (the paper's rule; `fused_codes`) or from one each, as any Hasher does; the first
    knows more, and the two are not comparable. Weights, dictionary and iterations are those of a public port.

    Departures: an image's sparse code needs an optimisation of its own, which is no chain of layers. Here it is one
    step of it, soft thresholds on the products with the dictionary, and R is fitted again by ridge regression from
    those to Y; `report` tells which share of Y this explains. Images are reduced to principal components (at most
    n_bits) as in the port; rows are scaled by one number, not each to length 1. Sparse coding starts from the last
    round's and so takes 10 steps, not the port's 30. rho is a share of the mean largest product of an image with the
    first dictionary, which is drawn from the images. Training takes at most `at_most` pairs, drawn at random.
    """

    name: ClassVar[str] = "lssh"
    paper: ClassVar[Paper] = Paper(
        authors="Jile Zhou, Guiguang Ding, Yuchen Guo",
        title="Latent Semantic Sparse Hashing for Cross-Modal Similarity Search",
        venue="SIGIR",
        year=2014,
        link="https://doi.org/10.1145/2600428.2609610",
    )

    dictionary: int = 512  # atoms that images are made of
    sparsity_share: float = 0.5  # rho, as a share of the largest product of an image with an atom
    text_weight: float = 0.05  # of the text factorisation
    link_weight: float = 0.2  # of the link
    iterations: int = 20  # rounds over all variables
    sparse_steps: int = 10  # gradient steps on the sparse codes in a round; the port has 30
    ridge: float = 0.1  # of the image function, as a share of the mean variance
    at_most: int = 10_000  # pairs to train on

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("dictionary", "iterations", "sparse_steps"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be 1 or more; got {getattr(self, name)!r}.")
        for name in ("text_weight", "link_weight", "ridge"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"{name} must be more than 0; got {getattr(self, name)!r}.")
        if self.at_most < 2:
            raise SettingsError(f"at_most must be 2 or more; got {self.at_most!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        generator = np.random.default_rng(self.seed)
        if len(pairs) > self.at_most:
            pairs = pairs[np.sort(generator.choice(len(pairs), size=self.at_most, replace=False))]
        image, text = scaled(pairs.image), scaled(pairs.text)
        axes = principal_axes(image.rows, self.n_bits)
        components = image.rows @ axes
        steps = self.steps(components, text.rows, generator)
        space = last_of(steps, "sparse codes", 5, self.iterations, progress)
        image_map, explained = self._image_map(image, axes, space)
        report = {
            "objective": self.objective(components, text.rows, space),
            "trained_on": len(pairs),
            "atoms_an_image": float(np.count_nonzero(space.sparse) / len(pairs)),
            "explained_share": explained,
        }
        return Hasher(image_map, self._text_map(text, space), report=report)

    def steps(self, images: Matrix, texts: Matrix, generator: np.random.Generator) -> Iterator[SparseSpace]:
        """The variables after every single step, five to an iteration: sparse codes, B, R, A, latent factors.

        images: (n, d) principal components. texts: (n, d_text). Both centred, of mean squared length 1 or less.
        """
        dictionary = unit_rows(images[generator.integers(len(images), size=self.dictionary)])
        basis = unit_rows(generator.standard_normal((self.n_bits, texts.shape[1])))
        largest = np.abs(images @ dictionary.T).max(axis=1).mean()
        sparse, link = np.zeros((len(images), self.dictionary)), np.zeros((self.dictionary, self.n_bits))
        space = SparseSpace(dictionary, sparse, sparse @ link, basis, link, float(2 * self.sparsity_share * largest))
        space = replace(space, latent=self._latent(texts, space))
        for _ in range(self.iterations):
            yield (space := replace(space, sparse=self._sparse(images, space)))
            gram = space.sparse.T @ space.sparse
            yield (space := replace(space, dictionary=bounded_rows(space.dictionary, space.sparse.T @ images, gram)))
            yield (space := replace(space, link=bounded_rows(space.link, space.sparse.T @ space.latent, gram)))
            pull, gram = space.latent.T @ texts, space.latent.T @ space.latent
            yield (space := replace(space, text_basis=bounded_rows(space.text_basis, pull, gram)))
            yield (space := replace(space, latent=self._latent(texts, space)))

    def objective(self, images: Matrix, texts: Matrix, space: SparseSpace) -> float:
        """What the steps lower."""
        total = np.square(images - space.sparse @ space.dictionary).sum() + space.sparsity * np.abs(space.sparse).sum()
        total += self.text_weight * np.square(texts - space.latent @ space.text_basis).sum()
        total += self.link_weight * np.square(space.latent - space.sparse @ space.link).sum()
        return float(total) / len(images)

    def _sparse(self, images: Matrix, space: SparseSpace) -> Matrix:
        """Proximal gradient steps on S, whose two squared terms are one: |[X, r Y] - S [B, r R]|^2, r^2 the weight."""
        root = np.sqrt(self.link_weight)
        maps = np.concatenate([space.dictionary, root * space.link], axis=1)
        wanted = np.concatenate([images, root * space.latent], axis=1)
        return proximal_steps(space.sparse, wanted, maps, space.sparsity, self.sparse_steps)

    def _latent(self, texts: Matrix, space: SparseSpace) -> Matrix:
        """y = (t A' + r s R) (A A' + r I)^-1 with r = link_weight / text_weight."""
        wish = texts @ space.text_basis.T + self.link_weight / self.text_weight * (space.sparse @ space.link)
        return np.asarray(wish @ self._inverse(space))

    def _inverse(self, space: SparseSpace) -> Matrix:
        gram = space.text_basis @ space.text_basis.T
        return np.asarray(scipy.linalg.inv(gram + self.link_weight / self.text_weight * np.eye(self.n_bits)))

    def _text_map(self, text: ScaledRows, space: SparseSpace) -> HashFunction:
        """t A', then (A A' + r I)^-1 as a layer of its own, where `fused_codes` finds it."""
        outer = Layer(self._inverse(space).astype(np.float32), np.zeros(self.n_bits, dtype=np.float32))
        return HashFunction((text.map(space.text_basis.T).layers[0], outer))

    def _image_map(self, image: ScaledRows, axes: Matrix, space: SparseSpace) -> tuple[HashFunction, float]:
        """Soft thresholds of the products with the dictionary, the link fitted to them; and the share it explains."""
        products, threshold = axes @ space.dictionary.T, space.sparsity / 2
        found = soft(image.rows @ products, threshold)
        mean = found.mean(axis=0)
        latent = space.latent - space.latent.mean(axis=0)
        link = ridge_weight(found - mean, latent, self.ridge) if (found != mean).any() else np.zeros_like(space.link)
        lost = np.square(latent - (found - mean) @ link).sum()
        layers = soft_layers(image.map(products).layers[0], threshold, link, -(mean @ link))
        return HashFunction(layers), float(1 - lost / max(np.square(latent).sum(), 1e-12))
