"""SCM, SCCMH and HCSR: each against its equations as plain loops, and each step against its objective."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from crossbit.anchor_features import AnchorFeatures
from crossbit.centring import CentredRows
from crossbit.errors import DataError, SettingsError
from crossbit.label_similarity import crossed_similarity, label_similarity_times, unit_labels
from crossbit.methods.hcsr import HCSR
from crossbit.methods.sccmh import SCCMH, orthogonal_rows
from crossbit.methods.scm import SCM, Whitened
from crossbit.pairs import PairedFeatures
from crossbit.testing import planted_pairs


def few(n: int = 40) -> PairedFeatures:
    return planted_pairs(n=120, d_image=7, d_text=5).train[np.arange(n)]


def centred_views(pairs: PairedFeatures) -> tuple[np.ndarray, np.ndarray]:
    return CentredRows.of(pairs.image).rows, CentredRows.of(pairs.text).rows


def loop_similarity(labels: np.ndarray) -> np.ndarray:
    """2 cos - 1 of every two label rows, one by one; -1 where a row is empty."""
    n, found = len(labels), np.zeros((len(labels), len(labels)))
    for i, j in itertools.product(range(n), range(n)):
        both, one, other = (
            sum(int(a and b) for a, b in zip(labels[x], labels[y], strict=True)) for x, y in ((i, j), (i, i), (j, j))
        )
        found[i, j] = 2 * both / np.sqrt(one * other) - 1 if one and other else -1.0
    return found


def square_loss(wanted: np.ndarray, given: np.ndarray) -> float:
    return sum((float(a) - float(b)) ** 2 for a, b in zip(wanted.ravel(), given.ravel(), strict=True))


# The similarity of labels, and anchors


def test_the_products_with_the_similarity_are_those_of_the_whole_matrix(generator: np.random.Generator) -> None:
    labels = few().labels.copy()
    labels[3] = False
    similar, unit = loop_similarity(labels), unit_labels(labels)
    values = generator.standard_normal((len(labels), 3))
    np.testing.assert_allclose(label_similarity_times(unit, values), similar @ values, atol=1e-10)
    image, text = generator.standard_normal((40, 4)), generator.standard_normal((40, 2))
    np.testing.assert_allclose(crossed_similarity(image, text, unit), image.T @ similar @ text, atol=1e-10)


def test_anchor_features_are_those_of_the_hash_function(generator: np.random.Generator) -> None:
    features = few().image
    found = AnchorFeatures.of(features, 9, generator)
    np.testing.assert_allclose(found.rows.mean(axis=0), 0, atol=1e-12)
    assert np.square(found.rows).sum(axis=1).mean() == pytest.approx(1)
    weight = generator.standard_normal((9, 3))
    np.testing.assert_allclose(found.function(weight)(features), found.rows @ weight, atol=1e-4)


# SCM


def test_scm_orthogonal_directions_solve_the_equation() -> None:
    pairs = few()
    image, text = centred_views(pairs)
    crossed = 4 * image.T @ loop_similarity(pairs.labels) @ text
    images, texts, values = Whitened(image, text, 1e-4).agreeing(crossed, 3)
    c_xx = image.T @ image / 40 + 1e-4 * np.eye(7) / 7  # rows have squared length 1, so the mean variance is 1 / 7
    c_tt = text.T @ text / 40 + 1e-4 * np.eye(5) / 5
    for k in range(3):
        left = crossed @ np.linalg.inv(c_tt) @ crossed.T @ images[:, k]
        np.testing.assert_allclose(left, values[k] ** 2 * c_xx @ images[:, k], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(texts[:, k], np.linalg.inv(c_tt) @ crossed.T @ images[:, k] / values[k], rtol=1e-6)
    np.testing.assert_allclose(images.T @ c_xx @ images, np.eye(3), atol=1e-8)


def test_scm_in_sequence_takes_each_bit_off_the_whole_similarity() -> None:
    """The same sequence with r S itself held, bit by bit: what the paper's residual is."""
    pairs, n_bits = few(), 5
    image, text = centred_views(pairs)
    hasher = SCM(n_bits=n_bits).fit(pairs)
    codes = [codes.bits() * 2.0 - 1 for codes in (hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text))]
    views, residual = Whitened(image, text, 0.1), n_bits * loop_similarity(pairs.labels)
    for k in range(n_bits):
        images, texts, _ = views.agreeing(image.T @ residual @ text, 1)
        one = [np.where(rows @ w[:, 0] >= 0, 1.0, -1.0) for rows, w in ((image, images), (text, texts))]
        for found, expected in zip(codes, one, strict=True):
            np.testing.assert_array_equal(found[:, k], expected)
        residual = residual - np.outer(*one)
    assert square_loss(residual, np.zeros_like(residual)) == pytest.approx(
        square_loss(n_bits * loop_similarity(pairs.labels), codes[0] @ codes[1].T)
    )


def test_scm_lowers_its_objective_below_that_of_random_codes(generator: np.random.Generator) -> None:
    pairs = few()
    wanted = 8 * loop_similarity(pairs.labels)
    for settings in ({}, {"learning": "orthogonal"}, {"at_growth": "canonical"}):
        hasher = SCM(n_bits=8, **settings).fit(pairs)
        image, text = (c.bits() * 2.0 - 1 for c in (hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text)))
        chance = np.where(generator.random((2, 40, 8)) < 0.5, 1.0, -1.0)
        assert square_loss(wanted, image @ text.T) < 0.8 * square_loss(wanted, chance[0] @ chance[1].T)


def test_scm_refuses_labels_that_say_nothing_and_unknown_settings() -> None:
    pairs = few()
    with pytest.raises(DataError, match="say nothing"):
        SCM(n_bits=4).fit(PairedFeatures(pairs.image, pairs.text, np.ones((40, 1), dtype=bool)))
    with pytest.raises(SettingsError, match="orthogonal"):
        SCM(learning="both")  # type: ignore[arg-type]  # the test's point
    with pytest.raises(SettingsError, match="go on"):
        SCM(at_growth="stop")  # type: ignore[arg-type]  # the test's point


# SCCMH


def test_sccmh_objective_is_its_equation_and_no_step_raises_it(generator: np.random.Generator) -> None:
    pairs, method = few(), SCCMH(n_bits=6, class_weight=30.0, view_weight=20.0, code_weight=10.0, iterations=5)
    views, labels = centred_views(pairs), pairs.labels.astype(float)
    spaces = list(method.steps(views, labels, generator))
    values = [method.objective(views, labels, space) for space in spaces]
    assert len(spaces) == 21
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(values))
    assert values[-1] < 0.8 * values[0]
    space = spaces[7]
    expected = square_loss(6 * loop_similarity(pairs.labels), space.hidden @ space.codes.T)
    expected += 30 * (square_loss(labels, space.hidden @ space.classes) + 0.01 * float((space.classes**2).sum()))
    for rows, found in zip(views, (space.image_map, space.text_map), strict=True):
        penalty = 0.1 * 40 / rows.shape[1]
        expected += 20 * (square_loss(rows @ found, space.hidden) + penalty * float((found**2).sum()))
    expected += 10 * square_loss(space.codes, space.hidden)
    assert values[7] == pytest.approx(expected / 40**2)


@pytest.mark.parametrize(("n", "rank"), [(30, 6), (30, 2), (5, 6)])
def test_hidden_values_are_orthogonal_and_the_best_such(n: int, rank: int, generator: np.random.Generator) -> None:
    pull = generator.standard_normal((n, rank)) @ generator.standard_normal((rank, 6))
    found = orthogonal_rows(pull, generator)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    if n > 6:
        np.testing.assert_allclose(found.T @ found, n * np.eye(6), atol=1e-8)
    best = np.sqrt(n) * np.linalg.svd(pull - pull.mean(axis=0), compute_uv=False).sum()
    assert (found * pull).sum() == pytest.approx(best)


# HCSR


def test_hcsr_objective_is_its_equation_and_no_step_raises_it(generator: np.random.Generator) -> None:
    pairs, method = few(), HCSR(n_bits=4, iterations=5)
    views, labels = centred_views(pairs), pairs.labels.astype(float)
    spaces = list(method.steps(views, labels, generator))
    values = [method.objective(views, labels, space) for space in spaces]
    assert len(spaces) == 31
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(values))
    assert values[-1] < 0.9 * values[0]
    space = spaces[10]
    expected = square_loss(labels, space.hidden @ space.classes)
    expected += square_loss(space.codes, space.hidden @ space.rotation)
    expected += 0.01 * float((space.hidden**2).sum() + (space.classes**2).sum())
    for rows, basis, projection in zip(views, space.bases, space.projections, strict=True):
        expected += 0.5 * square_loss(rows, space.hidden @ basis.T) + 0.01 * float((basis**2).sum())
        penalty = 0.01 + 0.1 * 40 / rows.shape[1]
        expected += square_loss(space.hidden, rows @ projection) + penalty * float((projection**2).sum())
    assert values[10] == pytest.approx(expected / 40)
    np.testing.assert_allclose(space.rotation.T @ space.rotation, np.eye(4), atol=1e-9)


def test_hcsr_starts_from_what_views_and_labels_share_and_not_from_noise() -> None:
    """The start explains the labels: a ridge map from it reaches far more of them than one from noise would."""
    pairs = few()
    labels = pairs.labels - pairs.labels.mean(axis=0)
    start = next(HCSR(n_bits=8).steps(centred_views(pairs), pairs.labels.astype(float), np.random.default_rng(0)))
    assert start.hidden.std() == pytest.approx(1)
    noise = np.random.default_rng(1).standard_normal((40, 8))
    left = [np.linalg.lstsq(hidden, labels)[1].sum() for hidden in (start.hidden, noise)]
    assert left[0] < 0.5 * left[1]


@pytest.mark.parametrize("settings", [{"iterations": 0}, {"code_weight": 0.0}])
def test_weights_and_rounds_are_checked(settings: dict[str, float]) -> None:
    for kind in (HCSR, SCCMH):
        with pytest.raises(SettingsError, match=r"iterations|code_weight"):
            kind(**settings)
