"""AGCH: its affinity and loss against plain loops over the equations, and the paper's worked example."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import SettingsError
from crossbit.methods.agch import AGCH, AGCHObjective
from crossbit.training import Batch
from objective_oracles import cosine, cosines, mean_square, table

N_BITS = 6


def objective_of(**settings: Any) -> AGCHObjective:
    return AGCHObjective(AGCH(n_bits=N_BITS, graph_hidden=(5, 4), **settings), 7, 3).double().requires_grad_(False)


def batch_of(generator: np.random.Generator, b: int = 4, *, learns: bool = False) -> Batch:
    image, text, *reals = (torch.tensor(generator.standard_normal((b, d))) for d in (7, 3, N_BITS, N_BITS))
    codes = [torch.tanh(real).requires_grad_(learns) for real in reals]
    return Batch(torch.arange(b), image, text, *reals, *codes, epoch=0)


def paper_affinity(image: Any, text: Any, largest: float) -> list[list[float]]:
    """C D with Z = [2 z_v, .3 z_t] of unit rows: C the inner products over `largest`, D = exp(-|Z_i - Z_j| / 4)."""

    def unit(row: Any) -> list[float]:
        length = math.sqrt(sum(float(v) ** 2 for v in row))
        return [float(v) / length for v in row]

    joined = [[2 * v for v in unit(i)] + [0.3 * v for v in unit(t)] for i, t in zip(image, text, strict=True)]

    def entry(i: int, j: int) -> float:
        inner = sum(a * b for a, b in zip(joined[i], joined[j], strict=True))
        return inner / largest * math.exp(-math.dist(joined[i], joined[j]) / 4)

    return table(len(joined), len(joined), entry)


@pytest.mark.parametrize(("affinity", "largest"), [("unit", 4.09), ("published", 1.0)])
def test_agch_is_its_equations(generator: np.random.Generator, affinity: Any, largest: float) -> None:
    batch, objective = (
        batch_of(generator),
        objective_of(affinity=affinity, graph=0.2, within=0.7, between=0.6, fused=5.0),
    )
    expected = paper_affinity(batch.image, batch.text, largest)
    np.testing.assert_allclose(objective.aggregated(batch.image, batch.text), expected, atol=1e-6)
    target = table(4, 4, lambda i, j: 2 * expected[i][j] - 1)
    rows = [torch.nn.functional.normalize(side) for side in (batch.image, batch.text)]
    fused = torch.tanh(objective.fusion(torch.cat(rows, dim=1)))
    edges = [[max(v, 0.0) for v in row] for row in expected]
    degrees = [sum(row) for row in edges]
    adjacency = torch.tensor(
        table(4, 4, lambda i, j: edges[i][j] / math.sqrt(degrees[i] * degrees[j])), dtype=torch.float64
    )
    image, text = batch.image_code, batch.text_code
    walked = [objective.graphs[side](adjacency, own) for side, own in zip(("image", "text"), rows, strict=True)]

    def apart(first: Any, second: Any) -> float:
        """The squared distance of unit vectors is 2 - 2 cos; summed over pairs, over the 16 entries of a table."""
        return sum(2 - 2 * cosine(a, b) for a, b in zip(first, second, strict=True)) / 16

    def rebuilt(first: Any, second: Any) -> float:
        return mean_square(target, cosines(first, second))

    assert {name: float(term) for name, term in objective(batch).items()} == pytest.approx(
        {
            "within": 0.7 * (rebuilt(image, image) + rebuilt(text, text) + rebuilt(fused, fused)),
            "graph": 0.2 * sum(rebuilt(w, w) + apart(w, c) for w, c in zip(walked, (image, text), strict=True)),
            "between": 0.6 * (rebuilt(image, fused) + rebuilt(text, fused)),
            "fused": 5.0 * (apart(image, fused) + apart(text, fused)),
        },
        rel=1e-5,
    )


def test_the_distance_is_the_one_of_the_worked_example() -> None:
    """rho = 4 gives .92 for a pair whose Euclidean distance is .316."""
    angle = 2 * math.asin(0.316 / 2 / 2)  # of image rows of length 2, texts equal
    image = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    text = torch.ones(2, 1, dtype=torch.float64)
    inner = (4 * math.cos(angle) + 0.09) / 4.09
    objective = AGCHObjective(AGCH(n_bits=N_BITS, graph_hidden=(2, 2)), 2, 1)
    assert float(objective.aggregated(image, text)[0, 1]) / inner == pytest.approx(0.924, abs=5e-4)


def test_every_part_of_agch_learns(generator: np.random.Generator) -> None:
    objective, batch = objective_of().requires_grad_(True), batch_of(generator, learns=True)
    torch.stack(list(objective(batch).values())).sum().backward()
    assert all(parameter.grad is not None for parameter in objective.parameters())
    assert batch.image_code.grad is not None
    assert batch.text_code.grad is not None


def test_agch_has_the_published_settings() -> None:
    method = AGCH()
    assert (method.gamma_image, method.gamma_text, method.rho) == (2, 0.3, 4)
    assert (method.within, method.between, method.graph, method.fused) == (1, 1, 0.01, 10)
    assert (method.learning_rate_text, method.learning_rate_graph, method.learning_rate_fusion) == (0.01, 0.001, 0.01)
    assert (method.graph_hidden, method.epochs, method.batch_size) == ((4096, 2048), 40, 32)
    for wrong in ({"affinity": "raw"}, {"rho": 0.0}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            AGCH(**wrong)  # type: ignore[arg-type]  # the mistakes that must be refused
