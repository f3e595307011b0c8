"""RFDH and CMSTH: objectives against plain loops over the equations, and steps that never raise them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from crossbit.errors import SettingsError
from crossbit.factorisation import (
    SMOOTHING,
    descend_bits,
    ridge_weight,
    robust_lengths,
    robust_weights,
    scaled,
    signs,
    turned_components,
)
from crossbit.methods.cmsth import CMSTH, RobustFactors, parted, topic_steps
from crossbit.methods.rfdh import RFDH, Factors
from crossbit.progress import Step, silent
from crossbit.testing import planted_pairs


def never_rises(values: list[float]) -> bool:
    return all(after <= before + 1e-9 * abs(before) for before, after in itertools.pairwise(values))


def length(row: list[float]) -> float:
    return math.sqrt(sum(x * x for x in row) + SMOOTHING**2)


def rebuilt(code: np.ndarray, basis: np.ndarray, j: int) -> float:
    return sum(float(code[k]) * float(basis[k, j]) for k in range(len(code)))


# What they share.


def test_scaled_rows_are_centred_and_of_mean_squared_length_one(generator: np.random.Generator) -> None:
    features = 3 * generator.standard_normal((50, 4)) + 7
    side = scaled(features)
    np.testing.assert_allclose(side.rows.mean(axis=0), 0, atol=1e-12)
    assert np.square(side.rows).sum(axis=1).mean() == pytest.approx(1)
    weight = generator.standard_normal((4, 3))
    np.testing.assert_allclose(side.map(weight)(features), side.rows @ weight, atol=1e-5)


@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_a_ridge_map_is_where_the_gradient_vanishes(generator: np.random.Generator, ridge: float) -> None:
    rows, targets = generator.standard_normal((30, 5)), generator.standard_normal((30, 2))
    weight = ridge_weight(rows, targets, ridge)
    variance = np.square(rows).sum() / rows.size
    gradient = rows.T @ (rows @ weight - targets) / 30 + ridge * variance * weight
    np.testing.assert_allclose(gradient, 0, atol=1e-10)


def test_robust_weights_bound_the_lengths_from_above(generator: np.random.Generator) -> None:
    """len(r) <= w |r|^2 + rest, equal where w was taken: what makes each reweighted step safe."""
    here, there = generator.standard_normal((20, 3)), generator.standard_normal((20, 3))
    weights, lengths = robust_weights(here), robust_lengths(here)
    np.testing.assert_allclose(weights, [0.5 / length(list(row)) for row in here])
    bound = lengths + weights * (np.square(there).sum(axis=1) - np.square(here).sum(axis=1))
    assert (robust_lengths(there) <= bound + 1e-12).all()


def bits_cost(codes: np.ndarray, pull: np.ndarray, terms: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    cost = -2 * (codes * pull).sum(axis=1)
    for weight, gram in terms:
        cost = cost + weight * np.einsum("ik,kl,il->i", codes, gram, codes)
    return cost


def test_bits_end_where_no_single_flip_helps(generator: np.random.Generator) -> None:
    n, c = 25, 6
    pull = generator.standard_normal((n, c))
    bases = [generator.standard_normal((c, 4)) for _ in range(2)]
    terms = [(generator.random(n) + 0.1, basis @ basis.T) for basis in bases]
    start = signs(generator.standard_normal((n, c)))
    kept = start.copy()
    costs = [bits_cost(descend_bits(start, pull, terms, sweeps), pull, terms).sum() for sweeps in range(6)]
    assert never_rises(costs)
    np.testing.assert_array_equal(start, kept)
    found = descend_bits(start, pull, terms, sweeps=50)
    least = bits_cost(found, pull, terms)
    for k in range(c):
        flipped = found.copy()
        flipped[:, k] *= -1
        assert (bits_cost(flipped, pull, terms) >= least - 1e-9).all()


def test_a_bit_that_may_take_either_value_stays() -> None:
    codes = np.array([[1.0, -1.0], [-1.0, 1.0]])
    np.testing.assert_array_equal(descend_bits(codes, np.zeros((2, 2)), [], sweeps=2), codes)


@pytest.mark.parametrize("shape", [(30, 5), (6, 40)])
def test_turned_components_keep_all_distances_where_bits_suffice(
    generator: np.random.Generator, shape: tuple[int, int]
) -> None:
    rows = generator.standard_normal(shape)
    turned = turned_components(rows - rows.mean(axis=0), 9, generator)
    centred = rows - rows.mean(axis=0)
    np.testing.assert_allclose(turned @ turned.T, centred @ centred.T, atol=1e-9)


# RFDH.


def rfdh_by_loops(method: RFDH, image: np.ndarray, text: np.ndarray, factors: Factors) -> float:
    total = 0.0
    for t, rows in enumerate((image, text)):
        basis, n = factors.bases[t], len(rows)
        lengths = 0.0
        for i in range(n):
            lengths += length([rows[i, j] - rebuilt(factors.codes[i], basis, j) for j in range(rows.shape[1])])
        size = sum(float(x) ** 2 for x in basis.ravel())
        total += factors.trust[t] ** method.flexibility * (lengths / n + method.penalty * size)
    return total


def test_the_objective_of_rfdh_is_the_equation(generator: np.random.Generator) -> None:
    pairs = planted_pairs(n=24).train
    image, text = scaled(pairs.image), scaled(pairs.text)
    method = RFDH(n_bits=5, flexibility=2.5, penalty=0.3)
    codes = signs(generator.standard_normal((len(pairs), 5)))
    bases = (generator.standard_normal((5, 24)), generator.standard_normal((5, 16)))
    factors = Factors(codes, bases, (0.3, 0.7))
    expected = rfdh_by_loops(method, image.rows, text.rows, factors)
    assert method.objective(image, text, factors) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("flexibility", [1.2, 2.0, 6.0])
@pytest.mark.parametrize("n_bits", [6, 40])
def test_no_step_of_rfdh_raises_the_objective(flexibility: float, n_bits: int) -> None:
    pairs = planted_pairs(n=120).train
    image, text = scaled(pairs.image), scaled(pairs.text)
    method = RFDH(n_bits=n_bits, flexibility=flexibility, iterations=8)
    values = [method.objective(image, text, factors) for factors in method.steps(image, text)]
    assert len(values) == 4 * 8
    assert never_rises(values)
    assert values[-1] < 0.95 * values[0]


def test_the_weights_of_rfdh_are_the_best_ones() -> None:
    method, losses = RFDH(flexibility=3.0), (0.4, 0.9)
    found = method._trust(losses)
    assert sum(found) == pytest.approx(1)

    def cost(a: float) -> float:
        return a**3 * losses[0] + (1 - a) ** 3 * losses[1]

    assert cost(found[0]) <= min(cost(a) for a in np.linspace(0, 1, 2001)) + 1e-9


def test_an_outlier_moves_rfdh_less_than_its_square(generator: np.random.Generator) -> None:
    """A row far off weighs as its length, so its reweighted share falls the farther off it is."""
    rows = generator.standard_normal((10, 3))
    rows[0] *= 1000
    weights = robust_weights(rows)
    assert weights[0] * np.linalg.norm(rows[0]) == pytest.approx(weights[1] * np.linalg.norm(rows[1]), rel=1e-3)


# CMSTH.


def cmsth_by_loops(method: CMSTH, topics: np.ndarray, factors: RobustFactors) -> float:
    total, n = 0.0, len(topics)
    for i in range(n):
        row = [topics[i, j] - rebuilt(factors.values[i], factors.basis, j) for j in range(topics.shape[1])]
        gap = sum((float(b) - float(v)) ** 2 for b, v in zip(factors.codes[i], factors.values[i], strict=True))
        total += (length(row) + method.quantisation * gap) / n
    return total + method.penalty * sum(float(x) ** 2 for x in factors.basis.ravel())


def test_the_objective_of_cmsth_is_the_equation(generator: np.random.Generator) -> None:
    topics, values = generator.standard_normal((12, 4)), generator.standard_normal((12, 6))
    factors = RobustFactors(values, signs(values), generator.standard_normal((6, 4)))
    method = CMSTH(n_bits=6, quantisation=0.7, penalty=0.2)
    assert method.objective(topics, factors) == pytest.approx(cmsth_by_loops(method, topics, factors), rel=1e-12)


@pytest.mark.parametrize("n_bits", [5, 24])
def test_no_step_of_cmsth_raises_the_objective(n_bits: int) -> None:
    pairs = planted_pairs(n=120).train
    method = CMSTH(n_bits=n_bits, topics=10, topic_iterations=10, iterations=12)
    topics = scaled(method.joint_topics(scaled(pairs.image), scaled(pairs.text), silent)).rows
    values = [method.objective(topics, factors) for factors in method.steps(topics)]
    assert len(values) == 3 * 12
    assert never_rises(values)
    assert values[-1] < 0.95 * values[0]


def test_topics_are_never_negative_and_no_round_raises_what_they_miss(generator: np.random.Generator) -> None:
    rows = parted(scaled(planted_pairs(n=90).train.image).rows)
    missed = []
    for shares, topics in topic_steps(rows, 7, 25, generator):
        assert shares.min() > 0
        assert topics.min() > 0
        missed.append(float(np.square(rows - shares @ topics).sum()))
    assert never_rises(missed)
    assert missed[-1] < 0.6 * np.square(rows).sum()


def test_planted_topics_are_found(generator: np.random.Generator) -> None:
    """Rows made of three topics without noise are rebuilt by three, and not by two."""
    rows = generator.random((80, 3)) ** 3 @ generator.random((3, 20)) ** 3
    missed = {k: np.square(rows - s @ t).sum() for k in (2, 3) for s, t in topic_steps(rows, k, 400, generator)}
    assert missed[3] < 1e-3 * np.square(rows).sum()
    assert missed[3] < 0.05 * missed[2]


def test_parted_rows_say_the_same_without_negative_numbers(generator: np.random.Generator) -> None:
    rows = generator.standard_normal((6, 4))
    both = parted(rows)
    assert both.min() >= 0
    np.testing.assert_array_equal(both[:, :4] - both[:, 4:], rows)


def test_cmsth_tells_its_three_stages_of_topics_and_the_bits() -> None:
    told: list[Step] = []
    CMSTH(n_bits=8, topic_iterations=3, iterations=4).fit(planted_pairs(n=60).train, progress=told.append)
    assert [step.stage for step in told] == ["image topics"] * 3 + ["text topics"] * 3 + ["joint topics"] * 3 + [
        "bits"
    ] * 4


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        (RFDH, {"flexibility": 1.0}),
        (RFDH, {"penalty": 0.0}),
        (RFDH, {"ridge": 0.0}),
        (RFDH, {"iterations": 0}),
        (CMSTH, {"topics": 0}),
        (CMSTH, {"topic_iterations": 0}),
        (CMSTH, {"quantisation": 0.0}),
        (CMSTH, {"penalty": -1.0}),
        (CMSTH, {"iterations": 0}),
        (CMSTH, {"ridge": -0.1}),
    ],
)
def test_settings_out_of_range(method: type[RFDH | CMSTH], wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        method(**wrong)
