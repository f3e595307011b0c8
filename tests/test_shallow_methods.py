"""CCA against a plain eigenproblem, ITQ against what it must never do worse, and the baselines on real data."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg

from crossbit.codes import Codes
from crossbit.correlation import canonical_directions, expansion, weighted_cca
from crossbit.errors import DataError, SettingsError
from crossbit.hasher import Hasher
from crossbit.methods.cca_itq import CCAITQ, itq_rotation
from crossbit.methods.cca_sign import CCASign
from crossbit.methods.random_projection import RandomProjection
from crossbit.pairs import PairedFeatures
from crossbit.progress import Step, silent
from crossbit.testing import planted_pairs


def correlated(generator: np.random.Generator, n: int = 300, d_image: int = 7, d_text: int = 5) -> PairedFeatures:
    shared = generator.standard_normal((n, 3))
    image = shared @ generator.standard_normal((3, d_image)) + generator.standard_normal((n, d_image)) + 4.0
    text = shared @ generator.standard_normal((3, d_text)) + generator.standard_normal((n, d_text)) - 2.0
    return PairedFeatures(image, text)


def covariances(pairs: PairedFeatures, ridge: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image, text = (rows.astype(np.float64) - rows.astype(np.float64).mean(axis=0) for rows in (pairs.image, pairs.text))
    n = len(pairs)
    image_covariance, text_covariance = image.T @ image / n, text.T @ text / n
    image_covariance += ridge * np.trace(image_covariance) / image.shape[1] * np.eye(image.shape[1])
    text_covariance += ridge * np.trace(text_covariance) / text.shape[1] * np.eye(text.shape[1])
    return image_covariance, text_covariance, image.T @ text / n


@pytest.mark.parametrize("ridge", [1e-9, 0.1, 2.0])
def test_directions_solve_the_eigenproblem_of_cca(generator: np.random.Generator, ridge: float) -> None:
    """Cxy Cyy^-1 Cyx a = r^2 Cxx a, and W' C W = I in each modality, with the ridge in both covariances."""
    pairs = correlated(generator)
    found = canonical_directions(pairs, ridge=ridge)
    image_covariance, text_covariance, shared = covariances(pairs, ridge)
    values = scipy.linalg.eigh(shared @ np.linalg.solve(text_covariance, shared.T), image_covariance, eigvals_only=True)
    np.testing.assert_allclose(found.correlations**2, values[::-1][:5], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.image.T @ image_covariance @ found.image, np.eye(5), atol=1e-6)
    np.testing.assert_allclose(found.text.T @ text_covariance @ found.text, np.eye(5), atol=1e-6)
    np.testing.assert_allclose(found.image.T @ shared @ found.text, np.diag(found.correlations), atol=1e-6)


def test_projected_training_rows_correlate_as_stated(generator: np.random.Generator) -> None:
    pairs = correlated(generator)
    found = canonical_directions(pairs, ridge=1e-9)
    image = (pairs.image - found.image_mean) @ found.image
    text = (pairs.text - found.text_mean) @ found.text
    for j, expected in enumerate(found.correlations):
        assert np.corrcoef(image[:, j], text[:, j])[0, 1] == pytest.approx(expected, abs=1e-6)


def test_signs_of_directions_are_settled(generator: np.random.Generator) -> None:
    pairs = correlated(generator)
    found = canonical_directions(pairs)
    largest = np.abs(found.image).argmax(axis=0)
    assert (found.image[largest, np.arange(len(found))] > 0).all()
    shuffled = canonical_directions(pairs[generator.permutation(len(pairs))])
    np.testing.assert_allclose(shuffled.text, found.text, rtol=1e-6, atol=1e-9)


def test_fewer_pairs_than_features_repeated_and_constant_columns(generator: np.random.Generator) -> None:
    pairs = correlated(generator, n=20, d_image=60, d_text=40)
    image = np.concatenate([pairs.image, pairs.image[:, :5], np.full((20, 3), 7.0)], axis=1)
    found = canonical_directions(PairedFeatures(image, pairs.text))
    assert 1 <= len(found) <= 19
    assert np.isfinite(found.image).all()
    assert np.abs(found.image[-3:]).max() < 1e-9
    assert (found.correlations <= 1).all()


def test_the_number_of_directions_is_the_rank(generator: np.random.Generator) -> None:
    """Rows that sum to 1, as topic shares do, have one direction less than columns."""
    pairs = correlated(generator, d_image=12, d_text=10)
    shares = np.exp(pairs.text.astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    assert len(canonical_directions(PairedFeatures(pairs.image, shares))) == 9
    assert len(canonical_directions(pairs, at_most=4)) == 4


def test_a_large_mean_does_not_blur_the_outputs(generator: np.random.Generator) -> None:
    """Stored weights are float32; the bias must make up for their rounding, or outputs shift by mean * rounding."""
    pairs = correlated(generator)
    far = PairedFeatures(pairs.image + 4096, pairs.text + 4096)
    found = canonical_directions(far, at_most=3)
    for function, mean in zip(weighted_cca(far, n_directions=3), (found.image_mean, found.text_mean), strict=True):
        layer = function.layers[0]
        expected = -(mean @ layer.weight.astype(np.float64))
        np.testing.assert_array_equal(layer.bias, expected.astype(np.float32))


def test_nothing_in_common_is_an_error() -> None:
    image = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    text = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    with pytest.raises(DataError, match="nothing in common"):
        canonical_directions(PairedFeatures(image, text))


def test_a_modality_that_does_not_vary_is_an_error(generator: np.random.Generator) -> None:
    pairs = correlated(generator)
    with pytest.raises(DataError, match="All text features are the same"):
        canonical_directions(PairedFeatures(pairs.image, np.ones((len(pairs), 2))))


@pytest.mark.parametrize("ridge", [0.0, -1.0, np.nan, np.inf])
def test_the_ridge_is_more_than_zero(generator: np.random.Generator, ridge: float) -> None:
    with pytest.raises(SettingsError, match="ridge"):
        canonical_directions(correlated(generator), ridge=ridge)
    for method in (CCASign, CCAITQ):
        with pytest.raises(SettingsError, match="ridge"):
            method(ridge=ridge)


@pytest.mark.parametrize("wrong", [{"power": -1.0}, {"power": np.nan}, {"iterations": -1}])
def test_itq_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        CCAITQ(**wrong)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9)])
def test_an_expansion_is_a_tight_frame(generator: np.random.Generator, shape: tuple[int, int]) -> None:
    frame = expansion(*shape, generator)
    assert frame.shape == shape
    np.testing.assert_allclose(frame @ frame.T, np.eye(shape[0]), atol=1e-12)


def loss(values: np.ndarray, rotation: np.ndarray) -> float:
    turned = values @ rotation
    return float(np.square(np.where(turned >= 0, 1.0, -1.0) - turned).sum())


@pytest.mark.parametrize("n_bits", [6, 10])
def test_each_round_of_itq_lowers_the_quantization_loss(generator: np.random.Generator, n_bits: int) -> None:
    values = generator.standard_normal((200, 6)) * np.linspace(2, 0.2, 6)
    start = expansion(6, n_bits, generator)
    losses = [loss(values, itq_rotation(values, start, rounds, silent)) for rounds in range(12)]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(losses))
    assert losses[-1] < losses[0] - 1
    rotation = itq_rotation(values, start, 12, silent)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(6), atol=1e-10)


def test_itq_tells_each_round() -> None:
    steps: list[Step] = []
    CCAITQ(n_bits=8, iterations=5).fit(planted_pairs(n=60).train, progress=steps.append)
    assert [step.done for step in steps] == [1, 2, 3, 4, 5]


def test_without_rounds_itq_is_a_random_rotation_of_the_weighted_space() -> None:
    world = planted_pairs(n=120)
    hasher = CCAITQ(n_bits=8, iterations=0, power=2.0, seed=5).fit(world.train)
    image, _ = weighted_cca(world.train, n_directions=8, power=2.0)
    expected = image(world.pairs.image) @ expansion(8, 8, np.random.default_rng(5))
    np.testing.assert_allclose(hasher.image(world.pairs.image), expected, rtol=1e-4, atol=1e-5)


def test_cca_sign_thresholds_the_directions_one_by_one() -> None:
    world = planted_pairs(n=120)
    hasher = CCASign(n_bits=6).fit(world.train)
    found = canonical_directions(world.train, at_most=6)
    expected = (world.pairs.text.astype(np.float64) - found.text_mean) @ found.text
    np.testing.assert_array_equal(hasher.encode_texts(world.pairs.text).bits(), expected >= 0)


def test_longer_cca_sign_codes_begin_with_the_shorter_ones() -> None:
    world = planted_pairs(n=120)
    short, long = CCASign(n_bits=4).fit(world.train), CCASign(n_bits=12).fit(world.train)
    images = world.pairs.image
    np.testing.assert_array_equal(long.encode_images(images).bits()[:, :4], short.encode_images(images).bits())


@pytest.mark.parametrize("method", [CCASign(n_bits=64), CCAITQ(n_bits=64)])
def test_more_bits_than_directions_say_so_in_the_report(method: CCASign | CCAITQ) -> None:
    hasher = method.fit(planted_pairs(n=120).train)
    assert hasher.report["directions"] == 16
    assert hasher.n_bits == 64


def test_random_projection_keeps_angles_within_and_says_nothing_across(generator: np.random.Generator) -> None:
    rows = generator.standard_normal((400, 20))
    hasher = RandomProjection(n_bits=512).fit(PairedFeatures(rows, rows))
    centred = rows - rows.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    angles = np.arccos(np.clip(unit[:50] @ unit[50:100].T, -1, 1)) / np.pi
    images, texts = hasher.encode_images(rows).signs(), hasher.encode_texts(rows).signs()
    within = (1 - images[:50] @ images[50:100].T / 512) / 2
    across = (1 - (images * texts).sum(axis=1) / 512) / 2
    assert np.abs(within - angles).max() < 0.12
    assert across.mean() == pytest.approx(0.5, abs=0.05)
    other = dataclasses.replace(RandomProjection(n_bits=512), seed=1).fit(PairedFeatures(rows, rows))
    assert other.encode_images(rows) != hasher.encode_images(rows)


# Real data: the reference numbers of the data sets' own notes, mAP over the whole ranking, 64 bits.

REFERENCES = {
    "fashion6k": {"random": (0.20, 0.30), "sign": 0.42, "itq": 0.66, "unhashed": 0.69},
    "openclipart5k": {"random": (0.12, 0.22), "sign": 0.24, "itq": 0.35, "unhashed": 0.37},
}


def ranking_score(scores: np.ndarray, relevant: np.ndarray) -> float:
    """mAP over the whole ranking; ties fall in the order of a fixed shuffle, which is their average over many items."""
    shuffle = np.random.default_rng(0).permutation(scores.shape[1])
    order = np.argsort(-scores[:, shuffle], axis=1, kind="stable")
    found = np.take_along_axis(relevant[:, shuffle], order, axis=1)
    precision = np.cumsum(found, axis=1) / np.arange(1, found.shape[1] + 1)
    hits = found.sum(axis=1)
    return float(((precision * found).sum(axis=1)[hits > 0] / hits[hits > 0]).mean())


def unit_rows(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


@pytest.mark.parametrize("name", list(REFERENCES))
def test_the_baselines_reach_their_reference_numbers(shared_data: Path, name: str) -> None:
    with np.load(shared_data / f"{name}.npz", allow_pickle=False) as data:
        query, database, train = data["query"][::4], data["database"], data["train"]
        pairs = PairedFeatures(data["image"], data["text"])
        labels = data["labels"].astype(np.float32)
    relevant = labels[query] @ labels[database].T > 0

    def scores(image: np.ndarray, text: np.ndarray) -> tuple[float, float]:
        return (
            ranking_score(image[query] @ text[database].T, relevant),
            ranking_score(text[query] @ image[database].T, relevant),
        )

    def of_codes(hasher: Hasher) -> tuple[float, float]:
        codes: tuple[Codes, Codes] = hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text)
        return scores(codes[0].signs(), codes[1].signs())

    expected = REFERENCES[name]
    low, high = expected["random"]
    for score in of_codes(RandomProjection().fit(pairs[train])):
        assert low < score < high
    assert min(of_codes(CCASign().fit(pairs[train]))) > expected["sign"] - 0.01
    assert min(of_codes(CCAITQ().fit(pairs[train]))) > expected["itq"]
    image, text = weighted_cca(pairs[train])
    assert min(scores(unit_rows(image(pairs.image)), unit_rows(text(pairs.text)))) > expected["unhashed"]
