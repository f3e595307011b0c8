"""What a teacher leaves: the four forms against plain loops, and how far to trust images, found without labels."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from crossbit.diffusion import log_scaled, neighbour_graph
from crossbit.distillation import (
    Target,
    Walk,
    decided,
    diffused,
    image_weight_of,
    nearest,
    raw_similarity,
    real_valued,
    teacher_similarity,
)
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.pairs import PairedFeatures
from crossbit.testing import planted_pairs
from objective_oracles import cosine, mean_square

N = 14
WALK = Walk(neighbours=4, edge_power=2.0, walk=0.9, whole_up_to=1000, n_landmarks=6, seed=0)


@pytest.fixture
def pairs(generator: np.random.Generator) -> PairedFeatures:
    hidden = generator.standard_normal((3, 4))[np.arange(N) % 3] * 2
    seen = (hidden + generator.standard_normal((N, 4)) for _ in range(2))
    return PairedFeatures(*(rows.astype(np.float32) for rows in seen))


@pytest.fixture
def teacher(generator: np.random.Generator) -> Hasher:
    sides = [
        HashFunction((Layer(generator.standard_normal((4, 5)), 0.1 * generator.standard_normal(5)),)) for _ in range(2)
    ]
    return Hasher(*sides)


def plain_fusion(teacher: Hasher, pairs: PairedFeatures, weights: tuple[float, ...], slope: float) -> np.ndarray:
    """w_I cos(G_I, G_I) + w_T cos(G_T, G_T) + w_X (cos(G_I, G_T) + cos(G_T, G_I)) / 2 by loops."""
    image = [[math.tanh(slope * value) for value in row] for row in teacher.image(pairs.image).tolist()]
    text = [[math.tanh(slope * value) for value in row] for row in teacher.text(pairs.text).tolist()]
    found = np.zeros((len(pairs), len(pairs)))
    for i in range(len(pairs)):
        for j in range(len(pairs)):
            across = (cosine(image[i], text[j]) + cosine(text[i], image[j])) / 2
            found[i, j] = weights[0] * cosine(image[i], image[j]) + weights[1] * cosine(text[i], text[j])
            found[i, j] += weights[2] * across
    return found


@pytest.mark.parametrize("slope", [1.0, 5.0])
def test_the_teachers_similarity_fuses_its_relaxed_codes(teacher: Hasher, pairs: PairedFeatures, slope: float) -> None:
    found = teacher_similarity(teacher, pairs, (0.4, 0.25, 0.35), slope).rows(slice(None))
    np.testing.assert_allclose(found, plain_fusion(teacher, pairs, (0.4, 0.25, 0.35), slope), atol=1e-5)


def test_real_valued_is_the_similarity_itself(teacher: Hasher, pairs: PairedFeatures) -> None:
    target = real_valued(teacher_similarity(teacher, pairs, (0.4, 0.2, 0.4), 1.0))
    np.testing.assert_allclose(target.values, plain_fusion(teacher, pairs, (0.4, 0.2, 0.4), 1.0), atol=1e-5)
    assert target.columns.tolist() == list(range(N))
    assert target.weights is None
    assert target.whole


def plain_mode(values: list[float]) -> float:
    """The middle of the fullest bin of 0.01; the lowest of several."""
    counts: dict[int, int] = {}
    for value in values:
        counts[math.floor(value / 0.01)] = counts.get(math.floor(value / 0.01), 0) + 1
    fullest = min(number for number, count in counts.items() if count == max(counts.values()))
    return (fullest + 0.5) * 0.01


def plain_thresholds(similarity: np.ndarray, left: float, right: float) -> tuple[float, float]:
    n = len(similarity)
    off = [float(similarity[i, j]) for i in range(n) for j in range(n) if i != j]
    mode = plain_mode(off)
    below, above = [value - mode for value in off if value < mode], [value - mode for value in off if value >= mode]
    spread_left = math.sqrt(sum(value**2 for value in below) / len(below)) if below else 0.0
    return mode - left * spread_left, mode + right * sum(above) / len(above)


@pytest.mark.parametrize(("left", "right"), [(0.5, 0.5), (0.1, 1.5)])
def test_decided_is_1_above_0_below_and_weighs_nothing_between(
    teacher: Hasher, pairs: PairedFeatures, left: float, right: float
) -> None:
    fused = teacher_similarity(teacher, pairs, (0.3, 0.3, 0.4), 1.0)
    similarity = fused.rows(slice(None)).numpy().astype(np.float64)
    low, high = plain_thresholds(similarity, left, right)
    target = decided(fused, left, right)
    assert target.weights is not None
    kinds = set()
    for i in range(N):
        for j in range(N):
            value = similarity[i, j]
            alike = i == j or value > high
            expected = (1.0, 1.0) if alike else (0.0, 1.0 if value < low else 0.0)
            assert (float(target.values[i, j]), float(target.weights[i, j])) == expected
            kinds.add(expected)
    assert len(kinds) == 3, "the example has no alike, no unlike or no undecided pair"


def test_nearest_takes_the_k_nearest_of_both_modalities(teacher: Hasher, pairs: PairedFeatures) -> None:
    """K is the mean number of pairs above the upper threshold, so that no label chooses it."""
    fused = teacher_similarity(teacher, pairs, (0.3, 0.3, 0.4), 1.0)
    similarity = fused.rows(slice(None)).numpy().astype(np.float64)
    _, high = plain_thresholds(similarity, 0.0, 0.5)
    k = int(sum(1 for i in range(N) for j in range(N) if similarity[i, j] > high) / N)
    assert 1 < k < N
    expected = np.eye(N)
    for outputs in (teacher.image(pairs.image), teacher.text(pairs.text)):
        centred = outputs.astype(np.float64) - outputs.astype(np.float64).mean(axis=0)
        for i in range(N):
            closest = sorted(range(N), key=lambda j: -cosine(centred[i], centred[j]))
            for j in closest[:k]:
                expected[i, j] = 1
    target = nearest(teacher, pairs, fused, 0.5)
    np.testing.assert_array_equal(target.values, expected)
    assert target.weights is None


def plain_cosines(features: np.ndarray) -> np.ndarray:
    centred = features.astype(np.float64) - features.astype(np.float64).mean(axis=0)
    return np.array([[cosine(a, b) for b in centred] for a in centred])


def plain_standard(similarity: np.ndarray) -> np.ndarray:
    off = similarity[~np.eye(len(similarity), dtype=bool)]
    return (similarity - off.mean()) / off.std(ddof=1)


def test_raw_similarity_weighs_the_standardised_modalities(pairs: PairedFeatures) -> None:
    image, text = (plain_standard(plain_cosines(rows)) for rows in (pairs.image, pairs.text))
    expected = plain_standard(0.7 * image + 0.3 * text)
    np.testing.assert_allclose(raw_similarity(pairs, 0.7).rows(slice(None)), expected, atol=1e-4)


def test_diffused_is_the_log_of_the_walks_cosine(pairs: PairedFeatures) -> None:
    fused = raw_similarity(pairs, 0.5)
    graph = neighbour_graph(fused.rows, N, WALK.neighbours, WALK.edge_power).toarray().astype(np.float64)
    kernel = np.linalg.inv(np.eye(N) - WALK.walk * graph)
    kernel /= np.sqrt(np.outer(np.diag(kernel), np.diag(kernel)))
    target = diffused(fused, WALK)
    np.testing.assert_allclose(target.values, log_scaled(torch.tensor(kernel)), atol=1e-3)
    np.testing.assert_allclose(target.values.diagonal(), 1, atol=1e-6)
    assert target.whole


def test_beyond_whole_up_to_only_landmarks_have_columns(pairs: PairedFeatures) -> None:
    fused = raw_similarity(pairs, 0.5)
    assert diffused(fused, dataclasses.replace(WALK, whole_up_to=N)).whole
    target = diffused(fused, dataclasses.replace(WALK, whole_up_to=N - 1))
    assert target.values.shape == (N, 6)
    assert not target.whole
    assert target.columns.tolist() == sorted(set(target.columns.tolist()))
    # A landmark is most like itself.
    assert target.values.argmax(dim=0).tolist() == target.columns.tolist()
    other = diffused(fused, dataclasses.replace(WALK, whole_up_to=N - 1, seed=5))
    assert other.columns.tolist() != target.columns.tolist()
    everyone = diffused(fused, dataclasses.replace(WALK, whole_up_to=N - 1, n_landmarks=100))
    assert everyone.columns.tolist() == list(range(N))


def test_landmarks_say_what_the_whole_says() -> None:
    """On a scale of orders of magnitude the estimated diagonal hardly shows."""
    pairs = planted_pairs(seed=2, n=240).train
    fused = raw_similarity(pairs, 0.5)
    how = dataclasses.replace(WALK, neighbours=20, edge_power=5.0, walk=0.99, n_landmarks=64)
    whole = diffused(fused, how)
    some = diffused(fused, dataclasses.replace(how, whole_up_to=10))
    same = whole.values[:, some.columns].numpy()
    assert np.corrcoef(same.ravel(), some.values.numpy().ravel())[0, 1] > 0.98
    assert mean_square(same.tolist(), some.values.tolist()) < 0.02


def test_a_target_with_every_column_is_whole() -> None:
    assert Target(torch.zeros(3, 3), torch.arange(3)).whole
    assert not Target(torch.zeros(3, 2), torch.arange(2)).whole


def seen(generator: np.random.Generator, noise_image: float, noise_text: float) -> PairedFeatures:
    """Six planted groups in both modalities under more or less noise; with labels that say something else."""
    centres = 2 * generator.standard_normal((6, 40))
    rows = [
        centres[np.arange(180) % 6] + noise * generator.standard_normal((180, 40))
        for noise in (noise_image, noise_text)
    ]
    return PairedFeatures(rows[0], rows[1], generator.random((180, 3)) < 0.5)


def test_trust_goes_to_the_modality_that_has_structure(generator: np.random.Generator) -> None:
    assert image_weight_of(seen(generator, 0.7, 8.0)) > 0.7
    assert image_weight_of(seen(generator, 8.0, 0.7)) < 0.3
    assert image_weight_of(seen(generator, 0.7, 0.7)) == pytest.approx(0.5, abs=0.1)


def test_trust_is_found_without_labels_and_the_same_each_time(generator: np.random.Generator) -> None:
    pairs = seen(generator, 0.7, 2.0)
    assert image_weight_of(pairs) == image_weight_of(pairs.without_labels()) == image_weight_of(pairs)


def test_trust_is_mirrored_when_the_modalities_change_places(generator: np.random.Generator) -> None:
    pairs = seen(generator, 0.7, 2.0)
    swapped = PairedFeatures(pairs.text, pairs.image)
    assert image_weight_of(swapped) == pytest.approx(1 - image_weight_of(pairs), abs=1e-6)


def test_trust_is_measured_on_some_pairs_only(generator: np.random.Generator) -> None:
    """With few pairs of them, other seeds choose others."""
    pairs = seen(generator, 1.0, 2.0)
    weights = {image_weight_of(pairs, at_most=60, seed=seed) for seed in range(3)}
    assert len(weights) == 3
    assert all(0 <= weight <= 1 for weight in weights)


@pytest.mark.parametrize("n", [2, 3])
def test_trust_on_hardly_any_pairs_is_a_weight_all_the_same(generator: np.random.Generator, n: int) -> None:
    pairs = PairedFeatures(generator.standard_normal((n, 4)), generator.standard_normal((n, 4)))
    assert 0 <= image_weight_of(pairs) <= 1
