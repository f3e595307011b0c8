"""Similarities against plain loops, and sums of inner products that are never held whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crossbit.similarity import (
    Fused,
    centred_cosine,
    cosine,
    cross_profile,
    modal_fusion,
    off_diagonal,
    second_order,
    stretched_cosine,
)
from objective_oracles import cosine as plain_cosine
from objective_oracles import inner


def rows_of(generator: np.random.Generator, n: int, d: int) -> torch.Tensor:
    return torch.tensor(generator.standard_normal((n, d)))


def test_cosine_and_a_row_of_zeros(generator: np.random.Generator) -> None:
    first, second = rows_of(generator, 4, 3), rows_of(generator, 5, 3)
    first[2] = 0
    expected = [[plain_cosine(a, b) for b in second] for a in first]
    np.testing.assert_allclose(cosine(first, second), expected, atol=1e-12)
    assert cosine(first, second)[2].tolist() == [0.0] * 5


def test_stretched_cosine_spans_from_minus_1_to_1_on_non_negative_rows() -> None:
    found = stretched_cosine(torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]]))
    np.testing.assert_allclose(found, [[1, -1, 1], [-1, 1, -1], [1, -1, 1]], atol=1e-6)


def test_second_order_is_the_mean_over_third_pairs(generator: np.random.Generator) -> None:
    similarity = rows_of(generator, 4, 4)
    expected = [[inner(similarity[i], similarity[j]) / 4 for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(second_order(similarity), expected)


def test_cross_profile_is_symmetric_and_as_written_out(generator: np.random.Generator) -> None:
    image, text = rows_of(generator, 5, 5), rows_of(generator, 5, 5)
    expected = [
        [(plain_cosine(image[i], text[j]) + plain_cosine(image[j], text[i])) / 2 for j in range(5)] for i in range(5)
    ]
    np.testing.assert_allclose(cross_profile(image, text), expected, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_off_diagonal(n: int) -> None:
    square = torch.arange(n * n).view(n, n).double()
    assert off_diagonal(square).tolist() == [float(i * n + j) for i in range(n) for j in range(n) if i != j]


@pytest.fixture
def fused(generator: np.random.Generator) -> Fused:
    parts = tuple((w, rows_of(generator, 7, d), rows_of(generator, 7, d)) for w, d in ((0.3, 4), (-1.2, 2)))
    return Fused(parts, shift=0.5)


def whole(fused: Fused) -> np.ndarray:
    """Every entry by loops."""
    n = len(fused)
    entries = [
        [sum(w * inner(left[i], right[j]) for w, left, right in fused.parts) - fused.shift for j in range(n)]
        for i in range(n)
    ]
    return np.array(entries)


def test_fused_rows_by_slice_and_by_number(fused: Fused) -> None:
    assert len(fused) == 7
    np.testing.assert_allclose(fused.rows(slice(None)), whole(fused), atol=1e-6)
    np.testing.assert_allclose(fused.rows(torch.tensor([6, 0, 6])), whole(fused)[[6, 0, 6]], atol=1e-6)


def test_standardised_has_mean_0_and_deviation_1_off_the_diagonal(fused: Fused) -> None:
    values = whole(fused.standardised())[~np.eye(7, dtype=bool)]
    assert values.mean() == pytest.approx(0, abs=1e-6)
    assert values.std(ddof=1) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(np.corrcoef(values, whole(fused)[~np.eye(7, dtype=bool)]), 1, atol=1e-9)


def test_plus_is_the_weighted_sum(fused: Fused, generator: np.random.Generator) -> None:
    other = Fused(((2.0, rows_of(generator, 7, 3), rows_of(generator, 7, 3)),), shift=-0.25)
    np.testing.assert_allclose(whole(fused.plus(other, 0.3)), 0.7 * whole(fused) + 0.3 * whole(other), atol=1e-9)


def test_modal_fusion_by_loops(generator: np.random.Generator) -> None:
    image, text = rows_of(generator, 4, 3), rows_of(generator, 4, 3)

    def entry(i: int, j: int) -> float:
        across = (plain_cosine(image[i], text[j]) + plain_cosine(text[i], image[j])) / 2
        return 0.2 * plain_cosine(image[i], image[j]) + 0.3 * plain_cosine(text[i], text[j]) + 0.5 * across

    expected = [[entry(i, j) for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(modal_fusion(image, text, 0.2, 0.3, 0.5).rows(slice(None)), expected, atol=1e-6)


def test_centred_cosine_forgets_a_shift_of_all_rows(generator: np.random.Generator) -> None:
    rows = rows_of(generator, 6, 3)
    centred = rows - rows.mean(dim=0)
    expected = [[plain_cosine(a, b) for b in centred] for a in centred]
    np.testing.assert_allclose(centred_cosine(rows + 100).rows(slice(None)), expected, atol=1e-6)


def test_two_pairs_have_one_similarity_and_standardising_blows_up_no_rounding(generator: np.random.Generator) -> None:
    for _ in range(10):
        rows = torch.tensor(generator.standard_normal((2, 5))).float()
        found = centred_cosine(rows).plus(centred_cosine(rows + 1), 0.3).standardised().standardised()
        assert off_diagonal(found.rows(slice(None))).abs().max() < 1e-3
