"""What a teacher leaves to its student: a similarity of the training pairs, in one of four forms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from crossbit.diffusion import diffuse, diffuse_columns, log_scaled, neighbour_graph
from crossbit.distribution import fit_distribution
from crossbit.hasher import Hasher
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, silent
from crossbit.similarity import Fused, centred_cosine, modal_fusion, off_diagonal


@dataclass(frozen=True, eq=False)
class Target:
    """A distilled similarity of n pairs.

    values: (n, m) in [-1, 1], or {0, 1} where it stands for "alike". columns: (m,) the pairs its columns stand for;
    all n in order, unless there are too many. weights: (n, m) or None; 0 takes an undecided entry out of the loss.
    """

    values: Tensor
    columns: Tensor
    weights: Tensor | None = None

    @property
    def whole(self) -> bool:
        """Whether every pair has its column, so that a batch can be compared with itself."""
        return len(self.columns) == len(self.values)


def teacher_similarity(
    teacher: Hasher, pairs: PairedFeatures, weights: tuple[float, float, float], slope: float
) -> Fused:
    """The modal fusion of the teacher's relaxed codes tanh(slope * output); weights: image, text, across."""
    image, text = (
        torch.tanh(slope * torch.tensor(output)) for output in (teacher.image(pairs.image), teacher.text(pairs.text))
    )
    return modal_fusion(image, text, *weights)


def raw_similarity(pairs: PairedFeatures, image_weight: float) -> Fused:
    """The two modalities' centred cosines, each with mean 0 and deviation 1, fused; itself standardised again."""
    image = centred_cosine(torch.tensor(pairs.image)).standardised()
    text = centred_cosine(torch.tensor(pairs.text)).standardised()
    return image.plus(text, 1 - image_weight).standardised()


def image_weight_of(pairs: PairedFeatures, *, at_most: int = 2000, neighbours: int = 20, seed: int = 0) -> float:
    """How far to trust images rather than texts, in [0, 1], found without labels.

    A modality with structure at all scales agrees with itself: cosines tell of far pairs what a walk over its own
    nearest neighbours tells. Noise does not: its neighbours lead anywhere. The weight of a modality is the share of
    variance (squared rank correlation) that the walk explains in its cosines, over the sum of both; measured on up
    to `at_most` random pairs.
    """
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:at_most]
    trust = [agreement(torch.tensor(features[chosen]), neighbours) for features in (pairs.image, pairs.text)]
    return float(trust[0] / sum(trust)) if sum(trust) > 0 else 0.5


def agreement(features: Tensor, neighbours: int) -> float:
    """Squared rank correlation between the cosines of features (n, d) and the walk over their neighbour graph."""
    similarity = centred_cosine(features).standardised()
    graph = neighbour_graph(similarity.rows, len(similarity), neighbours)
    walked, direct = off_diagonal(diffuse(graph, 0.99)), off_diagonal(similarity.rows(slice(None)))
    step = max(1, len(walked) // 200_000)
    if len(walked) < 3 or float(walked.std()) == 0 or float(direct.std()) == 0:
        return 0.0
    return max(float(spearmanr(walked[::step], direct[::step]).statistic), 0.0) ** 2


@dataclass(frozen=True)
class Walk:
    """How a similarity is diffused; the fields are KDCMH's settings of the same names."""

    neighbours: int
    edge_power: float
    walk: float
    whole_up_to: int
    n_landmarks: int
    seed: int


def diffused(fused: Fused, how: Walk, progress: Progress = silent) -> Target:
    """The fused similarity made global by diffusion, on a logarithmic scale; beyond `whole_up_to` for landmarks."""
    n = len(fused)
    graph = neighbour_graph(fused.rows, n, how.neighbours, how.edge_power)
    if n <= how.whole_up_to:
        return Target(log_scaled(diffuse(graph, how.walk)), torch.arange(n))
    columns = np.sort(np.random.default_rng(how.seed).choice(n, min(how.n_landmarks, n), replace=False))
    kernel = diffuse_columns(graph, columns, how.walk, seed=how.seed, progress=progress)
    return Target(log_scaled(kernel), torch.from_numpy(columns))


def real_valued(fused: Fused) -> Target:
    """D3: the teacher's fused similarity as it is, in [-1, 1]."""
    return Target(fused.rows(slice(None)).clamp(-1, 1), torch.arange(len(fused)))


def decided(fused: Fused, spread_left: float, spread_right: float) -> Target:
    """D2: 1 above the distribution's upper threshold, 0 below its lower one, undecided (weight 0) between."""
    values = fused.rows(slice(None))
    low, high = fit_distribution(off_diagonal(values).numpy()).thresholds(spread_left, spread_right)
    alike = (values > high).fill_diagonal_(True)
    return Target(alike.float(), torch.arange(len(values)), (alike | (values < low)).float())


def nearest(teacher: Hasher, pairs: PairedFeatures, fused: Fused, spread_right: float) -> Target:
    """D1: 1 for the K nearest by the teacher's image outputs and the K nearest by its text outputs, else 0.

    K is not chosen with labels: it is the mean number of pairs a row has above D2's upper threshold.
    """
    values = fused.rows(slice(None))
    _, high = fit_distribution(off_diagonal(values).numpy()).thresholds(0.0, spread_right)
    k = int((values > high).sum(dim=1).float().mean().clamp(1, len(values)))
    target = torch.zeros_like(values)
    for outputs in (teacher.image(pairs.image), teacher.text(pairs.text)):
        near = centred_cosine(torch.tensor(outputs)).rows(slice(None)).topk(k, dim=1).indices
        target.scatter_(1, near, 1.0)
    return Target(target.fill_diagonal_(1.0), torch.arange(len(values)))
