"""The shape of a similarity's distribution: found again on samples of a known one, and the published thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from crossbit.distribution import Distribution, fit_distribution
from crossbit.errors import DataError


def sample(generator: np.random.Generator, mode: float, left: float, right: float, n: int = 200_000) -> np.ndarray:
    """Half a Gaussian left of the mode, half a Laplace right of it, in the shares that make the density continuous."""
    # Densities at the mode: 2 / (left sqrt(2 pi)) and 1 / right, so the left side holds this share.
    weight_left = left * np.sqrt(np.pi / 2) / (left * np.sqrt(np.pi / 2) + right)
    on_left = generator.random(n) < weight_left
    below = -np.abs(generator.standard_normal(n)) * left
    return mode + np.where(on_left, below, generator.exponential(right, n))


@pytest.mark.parametrize(("mode", "left", "right"), [(-0.495, 0.06, 0.088), (0.105, 0.1, 0.05), (-0.625, 0.05, 0.3)])
def test_the_three_constants_are_found_again(
    generator: np.random.Generator, mode: float, left: float, right: float
) -> None:
    found = fit_distribution(sample(generator, mode, left, right))
    assert found.mode == pytest.approx(mode, abs=0.021)
    # A mode that is off by a bin moves both spreads by up to as much.
    assert found.left == pytest.approx(left, rel=0.05, abs=0.015)
    assert found.right == pytest.approx(right, rel=0.05, abs=0.015)


def test_low_and_high_are_the_outer_percentiles_not_the_extremes(generator: np.random.Generator) -> None:
    values = np.append(generator.uniform(0, 1, 10_000), [-50.0, 50.0])
    found = fit_distribution(values)
    assert found.low == pytest.approx(0.001, abs=1e-3)
    assert found.high == pytest.approx(0.999, abs=1e-3)


def test_by_hand() -> None:
    """Bin [0.30, 0.31) holds three values; the rest lie 0.1 and 0.2 below and 0.3 and 0.1 above its middle."""
    mode = 0.305
    values = [mode, mode, mode, mode - 0.1, mode - 0.2, mode + 0.3, mode + 0.1]
    found = fit_distribution(np.array(values).reshape(7, 1))
    assert found.mode == pytest.approx(mode)
    assert found.left == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2))
    assert found.right == pytest.approx((0.3 + 0.1) / 5)


def test_bins_stand_still_whatever_the_extremes(generator: np.random.Generator) -> None:
    values = generator.normal(0.2, 0.1, 5000)
    assert fit_distribution(values).mode == fit_distribution(np.append(values, [-7.003, 3.1417])).mode


def test_values_that_are_all_the_same() -> None:
    found = fit_distribution(np.full(10, 0.5))
    assert found.mode == pytest.approx(0.505)
    assert found.right == 0.0
    assert np.isfinite([found.left, found.low, found.high]).all()


@pytest.mark.parametrize(
    ("mode", "left", "right", "expected"),
    [(-0.49, 0.019, 0.088, (-0.528, -0.138)), (-0.62, 0.0128, 0.086, (-0.6456, -0.276))],
    ids=["mirflickr", "nuswide"],
)
def test_the_published_constants_give_the_published_thresholds(
    mode: float, left: float, right: float, expected: tuple[float, float]
) -> None:
    """ALPHA = 2 and BETA = 4, as in the released code of JDSH."""
    assert Distribution(mode, left, right, -1.0, 1.0).thresholds(2, 4) == pytest.approx(expected)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_values(n: int) -> None:
    with pytest.raises(DataError, match=f"at least 2 similarities; got {n}"):
        fit_distribution(np.zeros(n))
