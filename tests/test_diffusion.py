"""The walk on the neighbour graph: against the plain inverse, by blocks, by landmarks, and on awkward graphs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from crossbit import diffusion
from crossbit.diffusion import diffuse, diffuse_columns, log_scaled, neighbour_graph, solve
from crossbit.errors import SettingsError
from crossbit.progress import Step
from crossbit.similarity import Fused, centred_cosine


def clustered(generator: np.random.Generator, n: int, d: int = 6) -> Fused:
    centres = 2 * generator.standard_normal((4, d))
    return centred_cosine(torch.tensor(centres[np.arange(n) % 4] + generator.standard_normal((n, d)))).standardised()


def plain_graph(similarity: np.ndarray, k: int, power: float) -> np.ndarray:
    """W by loops: edges to the k nearest others, taken both ways, divided by the roots of both degrees."""
    n = len(similarity)
    edges = np.zeros((n, n))
    for i in range(n):
        others = sorted((j for j in range(n) if j != i), key=lambda j: -similarity[i, j])
        for j in others[:k]:
            weight = max(similarity[i, j], 0.0) ** power
            edges[i, j] = max(edges[i, j], weight)
            edges[j, i] = max(edges[j, i], weight)
    degrees = edges.sum(axis=1)
    for i in range(n):
        for j in range(n):
            if edges[i, j]:
                edges[i, j] /= math.sqrt(degrees[i] * degrees[j])
    return edges


def plain_kernel(graph: np.ndarray, walk: float) -> np.ndarray:
    kernel = np.linalg.inv(np.eye(len(graph)) - walk * graph)
    return kernel / np.sqrt(np.outer(np.diag(kernel), np.diag(kernel)))


@pytest.mark.parametrize("power", [1.0, 5.0])
@pytest.mark.parametrize("block", [1, 7, 40, 1024])
def test_the_graph_is_the_plain_one_whatever_the_blocks(
    generator: np.random.Generator, monkeypatch: pytest.MonkeyPatch, block: int, power: float
) -> None:
    monkeypatch.setattr(diffusion, "_BLOCK", block)
    fused = clustered(generator, 40)
    graph = neighbour_graph(fused.rows, 40, 5, power).toarray()
    expected = plain_graph(fused.rows(slice(None)).numpy(), 5, power)
    np.testing.assert_allclose(graph, expected, atol=1e-6)
    np.testing.assert_allclose(graph, graph.T, rtol=1e-6)
    assert not np.diag(graph).any(), "no pair is its own neighbour"
    assert ((graph > 0).sum(axis=1) >= 5).all()
    assert (graph > 0).sum() <= 2 * 5 * 40


def test_the_similarity_is_left_as_it_was(generator: np.random.Generator) -> None:
    whole = clustered(generator, 20).rows(slice(None))
    before = whole.clone()
    neighbour_graph(lambda rows: whole[rows], 20, 4)
    assert torch.equal(whole, before)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_as_many_neighbours_as_there_are_pairs(generator: np.random.Generator, n: int) -> None:
    similarity = torch.tensor(generator.uniform(0.1, 1, (n, n)))
    similarity = (similarity + similarity.T) / 2
    graph = neighbour_graph(lambda rows: similarity[rows], n, 50)
    np.testing.assert_allclose(graph.toarray(), plain_graph(similarity.numpy(), n - 1, 1.0), atol=1e-6)


def test_a_pair_without_edges_keeps_to_itself(generator: np.random.Generator) -> None:
    """Nothing is similar to pair 3, so the walk stays there, and nothing becomes NaN."""
    similarity = torch.tensor(generator.uniform(0.1, 1, (8, 8)))
    similarity = (similarity + similarity.T) / 2
    similarity[3, :] = similarity[:, 3] = -1
    graph = neighbour_graph(lambda rows: similarity[rows], 8, 3)
    kernel = diffuse(graph, 0.99)
    assert torch.isfinite(kernel).all()
    np.testing.assert_allclose(kernel[3], np.eye(8)[3], atol=1e-6)
    assert torch.isfinite(diffuse_columns(graph, np.arange(8), 0.99)).all()


def test_a_graph_in_two_pieces(generator: np.random.Generator) -> None:
    """From one piece nothing leads to the other, and the target says so everywhere."""
    similarity = torch.full((12, 12), -1.0)
    similarity[:6, :6] = similarity[6:, 6:] = torch.tensor(generator.uniform(0.2, 1, (6, 6))).float()
    similarity = (similarity + similarity.T) / 2
    kernel = diffuse(neighbour_graph(lambda rows: similarity[rows], 12, 4), 0.9)
    assert not kernel[:6, 6:].any()
    assert (kernel[:6, :6] > 0).all()
    target = log_scaled(kernel)
    assert torch.isfinite(target).all()
    assert target[:6, 6:].max() <= 0 < target[:6, :6].min()


@pytest.mark.parametrize("walk", [0.5, 0.99])
def test_diffuse_is_the_plain_inverse(generator: np.random.Generator, walk: float) -> None:
    fused = clustered(generator, 60)
    graph = neighbour_graph(fused.rows, 60, 8, 2.0)
    np.testing.assert_allclose(diffuse(graph, walk), plain_kernel(graph.toarray(), walk), atol=2e-4)


def test_a_longer_walk_leads_further(generator: np.random.Generator) -> None:
    graph = neighbour_graph(clustered(generator, 60).rows, 60, 5)
    far = np.asarray(graph.toarray() == 0) & ~np.eye(60, dtype=bool)
    assert diffuse(graph, 0.99).numpy()[far].mean() > 2 * diffuse(graph, 0.5).numpy()[far].mean()


def test_solve_is_the_plain_solution(generator: np.random.Generator) -> None:
    graph = neighbour_graph(clustered(generator, 80).rows, 80, 6)
    right = generator.standard_normal((80, 5)).astype(np.float32)
    right[:, 4] = 0  # a column that is solved at once must not disturb the others
    expected = np.linalg.solve(np.eye(80) - 0.99 * graph.toarray().astype(np.float64), right)
    np.testing.assert_allclose(solve(graph, right, 0.99), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("walk", [0.5, 0.99, 0.9999])
def test_a_long_walk_gets_the_rounds_it_needs(generator: np.random.Generator, walk: float) -> None:
    """A chain, along which conjugate gradients need the most rounds."""
    n = 600
    chain = csr_array(np.diag(np.full(n - 1, 0.5), 1) + np.diag(np.full(n - 1, 0.5), -1), dtype=np.float32)
    right = generator.standard_normal((n, 2)).astype(np.float32)
    expected = np.linalg.solve(np.eye(n) - walk * chain.toarray().astype(np.float64), right)
    np.testing.assert_allclose(solve(chain, right, walk), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_what_does_not_settle_is_refused_not_passed_on(generator: np.random.Generator) -> None:
    graph = neighbour_graph(clustered(generator, 80).rows, 80, 6)
    right = generator.standard_normal((80, 5)).astype(np.float32)
    right[:, 2:] = 0
    with pytest.raises(
        SettingsError, match=r"did not settle in 3 rounds for 2 of 5 columns at walk = 0.99.*whole_up_to"
    ):
        solve(graph, right, 0.99, at_most=3)


def test_columns_agree_with_the_whole(generator: np.random.Generator) -> None:
    """Among the columns' own rows the cosine is exact; elsewhere the diagonal is estimated, to some tenths or so."""
    n, columns = 200, np.array([3, 50, 51, 120, 199])
    graph = neighbour_graph(clustered(generator, n).rows, n, 10)
    exact = plain_kernel(graph.toarray().astype(np.float64), 0.99)
    steps: list[Step] = []
    found = diffuse_columns(graph, columns, 0.99, progress=steps.append).numpy()
    assert found.shape == (n, 5)
    np.testing.assert_allclose(found[columns], exact[np.ix_(columns, columns)], rtol=1e-3, atol=1e-5)
    off = np.abs(np.log(found / exact[:, columns]))
    assert off.max() < 0.8, "more than a factor of about 2, where K spans orders of magnitude"
    assert off.mean() < 0.2
    assert np.log(exact).std() > 5 * off.mean()
    assert [(step.done, step.total) for step in steps] == [(5, 5)]


def test_columns_are_solved_by_the_block(generator: np.random.Generator) -> None:
    """More than 64 columns take two blocks; each column comes out as if it were alone."""
    graph = neighbour_graph(clustered(generator, 90).rows, 90, 6)
    columns = np.arange(70)
    found = diffuse_columns(graph, columns, 0.9)
    exact = plain_kernel(graph.toarray().astype(np.float64), 0.9)
    np.testing.assert_allclose(found[:70], exact[:70, :70], atol=1e-4)


def test_columns_are_the_same_for_the_same_seed(generator: np.random.Generator) -> None:
    graph = neighbour_graph(clustered(generator, 50).rows, 50, 5)
    one, same, other = (diffuse_columns(graph, np.arange(5), 0.99, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_log_scale_has_its_median_at_0_its_top_at_1_and_keeps_the_order(generator: np.random.Generator) -> None:
    kernel = torch.tensor(np.exp(generator.uniform(-9, 0, (61, 61))))
    kernel.fill_diagonal_(1.0)
    before = kernel.clone()
    target = log_scaled(kernel)
    assert float(target.median()) == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(target.diagonal(), 1)
    assert float(target.min()) == pytest.approx(-1, abs=1e-6)
    order = kernel.flatten().argsort()
    assert (target.flatten()[order].diff() >= 0).all()
    assert torch.equal(kernel, before)
    middle = float(kernel.median())
    half = math.sqrt(middle)  # half way to 1 on a logarithmic scale
    place = (kernel - half).abs().argmin()
    assert float(target.flatten()[place]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("kernel", [torch.eye(6), torch.ones(6, 6), torch.zeros(4, 2)], ids=["eye", "ones", "zeros"])
def test_log_scale_of_kernels_without_a_spread(kernel: torch.Tensor) -> None:
    target = log_scaled(kernel)
    assert torch.isfinite(target).all()
    assert float(target.abs().max()) <= 1


def test_an_empty_graph() -> None:
    graph = csr_array(np.zeros((4, 4), np.float32))
    np.testing.assert_allclose(diffuse(graph, 0.99), np.eye(4))
