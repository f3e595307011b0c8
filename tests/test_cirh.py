"""CIRH and the graph convolution: graph, mixing and losses against plain loops over the equations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import SettingsError
from crossbit.methods.cirh import CIRH, CIRHObjective
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch
from objective_oracles import cosine, cosines, mean_square, table

N_BITS = 6
ROWS = [8, 2, 5, 0, 7]


def pairs_of(generator: np.random.Generator, n: int = 11) -> PairedFeatures:
    return PairedFeatures(generator.standard_normal((n, 7)), np.abs(generator.standard_normal((n, 4))))


def objective_of(pairs: PairedFeatures, **settings: Any) -> CIRHObjective:
    method = CIRH(n_bits=N_BITS, joint_hidden=5, neighbour_share=0.5, weight_image=0.3, weight_first=0.7, **settings)
    return CIRHObjective(method, pairs).double().requires_grad_(False)


def paper_graph(pairs: PairedFeatures, n_kept: int) -> list[list[float]]:
    """S1 = .3 cos(I) + .7 cos(T), its smallest zeroed by row; S2 = sym(2 / (1 + e^-S1) - 1) + I; .7 S1 + .3 S2."""
    n, image, text = len(pairs), pairs.image.tolist(), pairs.text.tolist()
    fused = table(n, n, lambda i, j: 0.3 * cosine(image[i], image[j]) + 0.7 * cosine(text[i], text[j]))
    first = [[0.0 if v in sorted(row)[: n - n_kept] else v for v in row] for row in fused]
    squashed = table(n, n, lambda i, j: 2 / (1 + math.exp(-first[i][j])) - 1)
    second = table(n, n, lambda i, j: (squashed[i][j] + squashed[j][i]) / 2 + (1.0 if i == j else 0.0))
    return table(n, n, lambda i, j: 0.7 * first[i][j] + 0.3 * second[i][j])


def chosen(graph: list[list[float]], rows: list[int]) -> list[list[float]]:
    return [[graph[i][j] for j in rows] for i in rows]


def test_the_graph_is_its_equations(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    graph = objective_of(pairs).graph(torch.tensor(ROWS))
    np.testing.assert_allclose(graph, chosen(paper_graph(pairs, n_kept=6), ROWS), atol=1e-5)


def test_inputs_are_mixed_with_the_third_and_fourth_strongest(generator: np.random.Generator) -> None:
    graph, rows = torch.tensor(generator.random((5, 5))) + torch.eye(5), torch.tensor(generator.random((5, 3)))
    mixed = objective_of(pairs_of(generator)).mix(rows, graph)
    for i in range(5):
        strongest = sorted(range(5), key=lambda j: -float(graph[i][j]))
        for k in range(3):
            own, third, fourth = (float(rows[j][k]) for j in (i, strongest[2], strongest[3]))
            assert float(mixed[i][k]) == pytest.approx(0.7 * own + 0.2 * third + 0.1 * fourth)


def batch_of(generator: np.random.Generator, pairs: PairedFeatures) -> Batch:
    image, text = (torch.tensor(side[ROWS].astype(np.float64)) for side in (pairs.image, pairs.text))
    reals = [torch.tensor(generator.standard_normal((len(ROWS), N_BITS))) for _ in range(2)]
    return Batch(torch.tensor(ROWS), image, text, *reals, *(torch.tanh(real) for real in reals), epoch=0)


@pytest.mark.parametrize("similarity_rows", ["pair", "place"])
def test_cirh_is_its_losses(generator: np.random.Generator, similarity_rows: Any) -> None:
    pairs = pairs_of(generator)
    objective = objective_of(pairs, similarity_rows=similarity_rows)
    batch, whole = batch_of(generator, pairs), paper_graph(pairs, n_kept=6)
    objective.start_epoch(0)
    terms = {name: float(term) for name, term in objective(batch).items()}
    graph = objective.graph(batch.rows)
    image, text = (torch.nn.functional.normalize(side) for side in (batch.image, batch.text))
    made = objective.joint(objective.mix(image, graph), objective.mix(text, graph), graph)
    signs = made["code"].sign()
    h_image, h_text = batch.image_code, batch.text_code
    target = chosen(whole, ROWS)
    taught = target if similarity_rows == "pair" else chosen(whole, [0, 1, 2, 3, 4])
    kept = [cosines(*two) for two in ((h_image, h_text), (h_image, h_image), (h_text, h_text))]
    assert terms == pytest.approx(
        {
            "rebuild": 10 * (mean_square(image, made["rebuilt_image"]) + mean_square(text, made["rebuilt_text"])),
            "correlate": sum(mean_square(target, cosines(made[n], made[n])) for n in ("image", "text", "code")),
            "binary": mean_square(made["code"], signs),
            "codes": mean_square(h_image, signs) + mean_square(h_text, signs) + mean_square(h_image, h_text),
            "keep": 0.01 * sum(mean_square(taught, given) for given in kept),
        },
        rel=1e-4,
    )


def test_as_released_the_rows_follow_the_place_in_the_order(generator: np.random.Generator) -> None:
    objective = objective_of(pairs_of(generator), similarity_rows="place")
    objective.start_epoch(0)
    assert objective.taught_rows(torch.tensor([7, 3])).tolist() == [0, 1]
    assert objective.taught_rows(torch.tensor([1, 0])).tolist() == [2, 3]
    objective.start_epoch(1)
    assert objective.taught_rows(torch.tensor([9])).tolist() == [0]


def test_the_hash_functions_teach_the_joint_network_nothing(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    objective = objective_of(pairs).requires_grad_(True)
    terms = objective(batch_of(generator, pairs))
    assert not terms["codes"].requires_grad
    assert not terms["keep"].requires_grad


def test_cirh_has_the_published_settings() -> None:
    method = CIRH()
    assert (method.rebuild, method.correlate, method.keep) == (10, 1, 0.01)
    assert (method.weight_image, method.weight_first, method.neighbour_share * 5000) == (0.6, 0.6, 5000 - 3000)
    assert (method.learning_rate_joint, method.learning_rate) == (1e-3, 1e-4)
    assert (method.epochs, method.batch_size, method.dropout, method.joint_hidden) == (60, 512, 0.3, 512)
    with pytest.raises(SettingsError, match="similarity_rows"):
        CIRH(similarity_rows="id")  # type: ignore[arg-type]  # the mistake that must be refused
