"""CVH, IMH, PDH and CMFH: each against its equations as plain loops, and each step against its objective."""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from crossbit.centring import CentredRows
from crossbit.correlation import canonical_directions
from crossbit.errors import DataError, SettingsError
from crossbit.experiment import read_results
from crossbit.methods import cmfh, imh, load_method, pdh
from crossbit.methods.cmfh import CMFH
from crossbit.methods.cvh import CVH, agreeing_directions
from crossbit.methods.imh import IMH
from crossbit.methods.pdh import PDH
from crossbit.pairs import PairedFeatures
from crossbit.testing import planted_pairs

NAMES = ("cvh", "imh", "pdh", "cmfh")
RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


def two_views(generator: np.random.Generator, n: int = 40, d_image: int = 6, d_text: int = 4) -> PairedFeatures:
    shared = generator.standard_normal((n, 3))
    image = shared @ generator.standard_normal((3, d_image)) + generator.standard_normal((n, d_image)) + 4.0
    text = shared @ generator.standard_normal((3, d_text)) + generator.standard_normal((n, d_text)) - 2.0
    return PairedFeatures(image, text)


def centred_views(pairs: PairedFeatures) -> tuple[CentredRows, CentredRows]:
    return CentredRows.of(pairs.image), CentredRows.of(pairs.text)


# What they share: rows about their mean, of length 1 on average.


def test_rows_are_centred_and_of_length_one_on_average(generator: np.random.Generator) -> None:
    features = two_views(generator).image
    view = CentredRows.of(features)
    np.testing.assert_allclose(view.rows.mean(axis=0), 0, atol=1e-12)
    assert np.square(view.rows).sum(axis=1).mean() == pytest.approx(1)
    weight, threshold = generator.standard_normal((6, 3)), generator.standard_normal(3)
    np.testing.assert_allclose(view.function(weight)(features), view.rows @ weight, atol=1e-5)
    np.testing.assert_allclose(view.function(weight, threshold)(features), view.rows @ weight - threshold, atol=1e-5)
    uncentred = CentredRows.of(features, centre=False)
    np.testing.assert_allclose(uncentred.rows * uncentred.length, features, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_scale_of_the_features_changes_nearly_no_bit(name: str) -> None:
    """A power of two, so that the scaled features are the same up to the last digit."""
    train = planted_pairs(n=120).train
    method = load_method(name)(n_bits=8)
    plain = method.fit(train).encode_images(train.image)
    scaled = method.fit(PairedFeatures(train.image * 1024, train.text / 256)).encode_images(train.image * 1024)
    assert (plain.bits() == scaled.bits()).mean() > 0.99


# CVH


def loop_covariance(first: np.ndarray, second: np.ndarray, ridge: float) -> np.ndarray:
    n, found = len(first), np.zeros((first.shape[1], second.shape[1]))
    for i, j in itertools.product(range(first.shape[1]), range(second.shape[1])):
        found[i, j] = sum(float(first[row, i] * second[row, j]) for row in range(n)) / n
        found[i, j] += ridge if i == j else 0.0
    return found


@pytest.mark.parametrize("text_covariance", ["inverted", "multiplied"])
def test_cvh_solves_its_equations(generator: np.random.Generator, text_covariance: str) -> None:
    image, text = (view.rows for view in centred_views(two_views(generator)))
    images, texts = agreeing_directions(image, text, 3, ridge=1e-4, text_covariance=text_covariance)
    c_xx, c_yy = loop_covariance(image, image, 1e-4), loop_covariance(text, text, 1e-4)
    c_xy = loop_covariance(image, text, 0.0)
    middle = np.linalg.inv(c_yy) if text_covariance == "inverted" else c_yy
    for k in range(3):
        left, right = c_xy @ middle @ c_xy.T @ images[:, k], c_xx @ images[:, k]
        value = float(left @ right / (right @ right))
        np.testing.assert_allclose(left, value * right, atol=1e-10)
        np.testing.assert_allclose(texts[:, k], np.linalg.inv(c_yy) @ c_xy.T @ images[:, k] / np.sqrt(value))
    np.testing.assert_allclose(images.T @ c_xx @ images, np.eye(3), atol=1e-9)
    if text_covariance == "inverted":
        np.testing.assert_allclose(texts.T @ c_yy @ texts, np.eye(3), atol=1e-9)


def test_cvh_is_cca_and_its_port_is_not(generator: np.random.Generator) -> None:
    """A faint column of the text agrees well with the image, a loud one badly: the port goes by loudness."""
    image = generator.standard_normal((300, 2))
    text = image * np.array([0.1, 10.0]) + generator.standard_normal((300, 2)) * np.array([0.01, 30.0])
    pairs = PairedFeatures(image, text)
    image, text = (view.rows for view in centred_views(pairs))
    crossed = image.T @ text / len(pairs)
    agreed = {}
    for kind in ("inverted", "multiplied"):
        images, texts = agreeing_directions(image, text, 1, ridge=1e-9, text_covariance=kind)
        texts = texts / np.sqrt(np.einsum("ik,ij,jk->k", texts, text.T @ text / len(pairs), texts))
        agreed[kind] = np.trace(images.T @ crossed @ texts)
    assert agreed["inverted"] == pytest.approx(canonical_directions(pairs, ridge=1e-9).correlations[0], rel=1e-3)
    assert agreed["multiplied"] < agreed["inverted"] - 0.3


def test_cvh_without_anything_shared_is_an_error() -> None:
    image = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    text = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    with pytest.raises(DataError, match="nothing in common"):
        CVH(n_bits=2).fit(PairedFeatures(image, text))


# IMH


def loop_neighbours(rows: np.ndarray, k: int) -> np.ndarray:
    n, joined = len(rows), np.zeros((len(rows), len(rows)))
    for i in range(n):
        others = sorted((j for j in range(n) if j != i), key=lambda j: float(np.square(rows[i] - rows[j]).sum()))
        for j in others[:k]:
            joined[i, j] = joined[j, i] = 1.0
    return joined


@pytest.mark.parametrize("k", [1, 3])
def test_imh_minimises_its_objective(generator: np.random.Generator, k: int) -> None:
    """Equation 1 over the pairs of neighbours, one by one; no other choice of F with F^T F = I and mean 0 is lower."""
    image, text = (view.rows for view in centred_views(two_views(generator)))
    changes = csr_array(0.7 * (imh.laplacian(image, k) + imh.laplacian(text, k)))
    shared = imh.shared_values((image, text), changes, 0.5, 3, generator)
    expected = 0.0
    for rows in (image, text):
        joined = loop_neighbours(rows, k)
        for i, j in itertools.combinations(range(len(rows)), 2):
            expected += 0.7 * joined[i, j] * float(np.square(shared[i] - shared[j]).sum())
        weight = np.linalg.inv(rows.T @ rows + 0.5 * np.eye(rows.shape[1])) @ rows.T @ shared
        expected += sum(float(np.square(row @ weight - code).sum()) for row, code in zip(rows, shared, strict=True))
        expected += 0.5 * sum(float(entry) ** 2 for entry in weight.ravel())
    least = imh.objective((image, text), changes, 0.5, shared)
    assert least == pytest.approx(expected)
    np.testing.assert_allclose(shared.T @ shared, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(shared.sum(axis=0), 0, atol=1e-9)
    for size in (0.01, 0.3, 10.0):
        moved = shared + size * generator.standard_normal(shared.shape)
        other = np.linalg.qr(moved - moved.mean(axis=0))[0]
        assert imh.objective((image, text), changes, 0.5, other) > least


def test_imh_on_sparse_graphs_finds_what_the_whole_matrix_has(
    generator: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, text = (view.rows for view in centred_views(two_views(generator, n=200)))
    changes = csr_array(imh.laplacian(image, 2) + imh.laplacian(text, 2))
    whole = imh.shared_values((image, text), changes, 1.0, 4, generator)
    monkeypatch.setattr(imh, "_DENSE", 10)
    sparse = imh.shared_values((image, text), changes, 1.0, 4, generator)
    np.testing.assert_allclose(np.abs(whole.T @ sparse), np.eye(4), atol=1e-4)


@pytest.mark.parametrize(("threshold", "slack"), [("median", 0.01), ("zero", 0.5)])
def test_imh_cuts_at_the_median_of_the_training_rows(threshold: str, slack: float) -> None:
    train = planted_pairs(n=240).train
    hasher = IMH(n_bits=8, threshold=threshold).fit(train)
    for codes in (hasher.encode_images(train.image), hasher.encode_texts(train.text)):
        assert np.abs(codes.bits().mean(axis=0) - 0.5).max() <= slack


# PDH


def started(generator: np.random.Generator, settings: PDH) -> tuple[pdh.View, pdh.View]:
    pairs = two_views(generator, n=60)
    views = tuple(pdh.View(view.rows, settings) for view in centred_views(pairs))
    for view in views:
        view.bits = np.where(generator.random((60, settings.n_bits)) < 0.5, -1.0, 1.0)
        view.weight = generator.standard_normal(view.weight.shape)
        view.outputs = view.rows @ view.weight
    return views[0], views[1]


def loop_objective(views: tuple[pdh.View, pdh.View], settings: PDH) -> float:
    total = 0.0
    for view, other in (views, views[::-1]):
        n, n_bits = view.bits.shape
        for k, j in itertools.product(range(n_bits), repeat=2):
            agreement = sum(float(view.bits[i, k] * view.bits[i, j]) for i in range(n)) / n
            total += settings.decorrelation * n * (agreement - (1.0 if k == j else 0.0)) ** 2
        for k in range(n_bits):
            total += sum(float(entry) ** 2 for entry in view.weight[:, k]) / 2
            for i in range(n):
                margin = float(view.rows[i] @ view.weight[:, k])
                total += settings.cost * max(0.0, 1 - float(other.bits[i, k]) * margin) ** 2
                total += settings.cost * settings.tie * max(0.0, 1 - float(view.bits[i, k]) * margin) ** 2
    return total


@pytest.mark.parametrize("decorrelation", [0.0, 0.1, 1.0])
def test_no_step_of_pdh_raises_its_objective(generator: np.random.Generator, decorrelation: float) -> None:
    settings = PDH(n_bits=5, cost=0.8, tie=0.6, decorrelation=decorrelation)
    views = started(generator, settings)
    told = [pdh.objective(views, settings)]
    assert told[0] == pytest.approx(loop_objective(views, settings))
    changed = 0
    for _ in range(6):
        for view, other in (views, views[::-1]):
            for _ in range(3):
                view.better_classifiers(other.bits, settings)
                told.append(pdh.objective(views, settings))
            better = pdh.better_bits(view.bits, other.outputs, view.outputs, settings)
            changed += int((better != view.bits).sum())
            view.bits = better
            told.append(pdh.objective(views, settings))
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(told))
    assert told[-1] < told[0]
    assert changed > 0
    assert told[-1] == pytest.approx(loop_objective(views, settings))


def test_the_classifiers_of_pdh_end_at_the_minimum(generator: np.random.Generator) -> None:
    settings = PDH(n_bits=3)
    views = started(generator, settings)
    for _ in range(300):
        views[0].better_classifiers(views[1].bits, settings)
    least, found = pdh.objective(views, settings), views[0].weight
    for _ in range(20):
        views[0].weight = found + 0.05 * generator.standard_normal(found.shape)
        views[0].outputs = views[0].rows @ views[0].weight
        assert pdh.objective(views, settings) > least


# CMFH


def test_each_block_of_cmfh_is_the_best_for_the_others(generator: np.random.Generator) -> None:
    settings = CMFH(n_bits=5, mu=3.0, gamma=0.2, image_share=0.3, ridge=0.05)
    image, text = centred_views(two_views(generator))
    views = (cmfh.View(image.rows, 0.3, settings), cmfh.View(text.rows, 0.7, settings))
    hidden = generator.standard_normal((40, 5))
    told = [cmfh.objective(views, hidden, settings)]
    for _ in range(4):
        for view in views:
            view.rebuild_from(hidden)
            told.append(cmfh.objective(views, hidden, settings))
            view.predict(hidden)
            told.append(cmfh.objective(views, hidden, settings))
        hidden = cmfh.shared_values(views, settings)
        told.append(cmfh.objective(views, hidden, settings))
        for _ in range(5):
            other = hidden + 0.01 * generator.standard_normal(hidden.shape)
            assert cmfh.objective(views, other, settings) > told[-1]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(told))


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_the_objective_of_cmfh_is_that_of_plain_loops(generator: np.random.Generator, ridge: float) -> None:
    settings = CMFH(n_bits=3, mu=2.0, gamma=0.5, image_share=0.4, ridge=ridge)
    image, text = centred_views(two_views(generator))
    views = (cmfh.View(image.rows, 0.4, settings), cmfh.View(text.rows, 0.6, settings))
    hidden = generator.standard_normal((40, 3))
    expected = 0.5 * sum(float(entry) ** 2 for entry in hidden.ravel())
    for view, weight in zip(views, (0.4, 0.6), strict=True):
        view.basis = generator.standard_normal(view.basis.shape)
        view.projection = generator.standard_normal(view.projection.shape)
        n, width = view.rows.shape
        variance = sum(float(entry) ** 2 for entry in view.rows.ravel()) / width
        for i, j in itertools.product(range(n), range(width)):
            expected += weight * float(view.rows[i, j] - hidden[i] @ view.basis[:, j]) ** 2
        for i, k in itertools.product(range(n), range(3)):
            expected += 2.0 * float(hidden[i, k] - view.rows[i] @ view.projection[:, k]) ** 2
        expected += 0.5 * sum(float(entry) ** 2 for entry in view.basis.ravel())
        expected += (0.5 + 2.0 * ridge * variance) * sum(float(entry) ** 2 for entry in view.projection.ravel())
    assert cmfh.objective(views, hidden, settings) == pytest.approx(expected)


# Settings, and what was measured.


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (CVH, {"ridge": 0.0}),
        (CVH, {"text_covariance": "other"}),
        (IMH, {"smoothness": -1.0}),
        (IMH, {"beta": 0.0}),
        (IMH, {"neighbours": 0}),
        (IMH, {"threshold": "mean"}),
        (PDH, {"cost": 0.0}),
        (PDH, {"tie": -1.0}),
        (PDH, {"decorrelation": -0.1}),
        (PDH, {"iterations": 0}),
        (PDH, {"ridge": 0.0}),
        (CMFH, {"image_share": 1.0}),
        (CMFH, {"mu": 0.0}),
        (CMFH, {"gamma": 0.0}),
        (CMFH, {"ridge": -0.1}),
        (CMFH, {"iterations": 0}),
    ],
)
def test_settings_out_of_range(kind: type[CVH | IMH | PDH | CMFH], wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        kind(**wrong)


@pytest.mark.parametrize("data", ["emoji", "fashion6k", "openclipart5k", "wiki"])
def test_measured_on_real_data_all_are_clearly_above_random_projection(data: str) -> None:
    stored = [r for r in read_results(RESULTS) if r.data == data and r.n_bits == 64]

    def score(row: str) -> float:
        return statistics.fmean(r.scores["PALL"]["mean"] for r in stored if r.row == row)

    assert min(score(name) for name in NAMES) > 1.2 * score("random-projection")
