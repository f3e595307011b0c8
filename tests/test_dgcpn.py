"""DGCPN: its similarity and loss against plain loops over the equations, and what its table of all pairs takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from crossbit import neighbour_graphs
from crossbit.methods.dgcpn import DGCPN, DGCPNObjective
from crossbit.neighbour_graphs import FusedCosines, row_floors, whole_table_gib
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch
from objective_oracles import cosine, cosines, mean_square, table, transposed

N_BITS = 6
ROWS = [8, 2, 5, 0]


def pairs_of(generator: np.random.Generator, n: int = 9) -> PairedFeatures:
    return PairedFeatures(generator.standard_normal((n, 7)), np.abs(generator.standard_normal((n, 4))))


def coherent(pairs: PairedFeatures, a1: float, a2: float, n_kept: int, scale: float) -> list[list[float]]:
    """P0; P of its largest entries but the pair itself, rows summing to 1; 2 [(1 - a2) P0 + a2 scale P P^T] - 1."""
    n = len(pairs)
    image, text = pairs.image.tolist(), pairs.text.tolist()
    first = table(n, n, lambda i, j: a1 * cosine(text[i], text[j]) + (1 - a1) * cosine(image[i], image[j]))
    walk = []
    for i in range(n):
        smallest = sorted(first[i])[: n - n_kept]
        kept = [0.0 if j == i or v in smallest or v < 0 else v for j, v in enumerate(first[i])]
        total = sum(kept)
        walk.append([v / total if total else 0.0 for v in kept])

    def entry(i: int, j: int) -> float:
        overlap = sum(walk[i][k] * walk[j][k] for k in range(n))
        return 2 * ((1 - a2) * first[i][j] + a2 * scale * overlap) - 1

    return table(n, n, entry)


@pytest.mark.parametrize("whole_up_to", [20_000, 3])
def test_the_similarity_is_its_equations_whole_or_by_rows(generator: np.random.Generator, whole_up_to: int) -> None:
    pairs = pairs_of(generator)
    method = DGCPN(n_bits=N_BITS, weight_text=0.3, coherence=0.4, neighbour_share=0.5, whole_up_to=whole_up_to)
    objective = DGCPNObjective(method, pairs)
    assert (objective.cosines.table is None) is (whole_up_to == 3)
    expected = coherent(pairs, 0.3, 0.4, n_kept=4, scale=2.0 * 4)
    chosen = [[expected[i][j] for j in ROWS] for i in ROWS]
    np.testing.assert_allclose(objective.similarity(torch.tensor(ROWS)), chosen, atol=1e-5)


def paper_loss(image: Any, text: Any, target: Any) -> dict[str, float]:
    crossed, images, texts = cosines(image, text), cosines(image, image), cosines(text, text)
    b = len(image)

    def off(given: list[list[float]]) -> float:
        return sum((given[i][j] - float(target[i][j])) ** 2 for i in range(b) for j in range(b) if i != j) / (b * b - b)

    return {
        "pair": sum((crossed[i][i] - 1.5) ** 2 for i in range(b)) / b,
        "similarity": 0.7 * (off(texts) + off(crossed) + off(images)),
        "consistency": 0.6 * sum(mean_square(*two) for two in ((crossed, images), (crossed, texts), (images, texts)))
        + 0.6 * mean_square(crossed, transposed(crossed)),
    }


def batch_of(generator: np.random.Generator, *, learns: bool = False) -> Batch:
    reals = [torch.tensor(generator.standard_normal((4, N_BITS))) for _ in range(2)]
    codes = [torch.tanh(real).requires_grad_(learns) for real in reals]
    return Batch(torch.tensor(ROWS), *reals, *reals, *codes, epoch=0)


def test_dgcpn_is_its_loss_with_real_codes_and_with_either_side_binary(generator: np.random.Generator) -> None:
    objective = DGCPNObjective(DGCPN(n_bits=N_BITS, distance=0.7, consistency=0.6), pairs_of(generator)).double()
    batch = batch_of(generator)
    image, text, target = batch.image_code, batch.text_code, objective.similarity(batch.rows)
    expected: dict[str, float] = {}
    for way, codes in {
        "": (image, text),
        "_image_half": (image, text.sign()),
        "_text_half": (image.sign(), text),
    }.items():
        expected |= {name + way: value for name, value in paper_loss(*codes, target).items()}
    assert {name: float(term) for name, term in objective(batch).items()} == pytest.approx(expected)


def test_a_half_binary_loss_moves_the_real_side_alone(generator: np.random.Generator) -> None:
    objective = DGCPNObjective(DGCPN(n_bits=N_BITS), pairs_of(generator)).double()
    for way, moved in (("image", 0), ("text", 1)):
        batch = batch_of(generator, learns=True)
        terms = objective(batch)
        sum(term for name, term in terms.items() if name.endswith(f"_{way}_half")).backward()
        grads = [batch.image_code.grad, batch.text_code.grad]
        assert grads[moved] is not None
        assert grads[1 - moved] is None or not grads[1 - moved].any()


def test_dgcpn_has_the_published_settings() -> None:
    method = DGCPN()
    assert (method.weight_text, method.coherence, method.mu) == (0.01, 0.3, 1.5)
    assert (method.distance, method.consistency, method.dropout) == (1, 1, 0.5)
    assert (method.learning_rate, method.momentum, method.weight_decay) == (0.005, 0.9, 5e-4)
    assert (method.batch_size, method.epochs, method.patience, method.alpha(50)) == (32, 100, 10, 1)
    assert method.neighbour_share * 5000 == 2000
    assert method.coherence_scale * 2000 == 4000


def test_row_floors_leave_the_largest_entries(generator: np.random.Generator) -> None:
    rows = torch.tensor(generator.standard_normal((3, 8)))
    for n_kept in (2, 7, 8, 9):
        assert (rows > row_floors(rows, n_kept)).sum(dim=1).tolist() == [min(n_kept, 8)] * 3


def test_a_large_table_is_announced_with_its_size_and_a_way_around_it(
    generator: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert whole_table_gib(20_000) == pytest.approx(1.49, abs=0.01)
    monkeypatch.setattr(neighbour_graphs, "WARN_ABOVE", 8)
    pairs = pairs_of(generator)
    with pytest.warns(UserWarning, match=r"9 pairs .* GiB.*whole_up_to below 9"):
        FusedCosines(pairs, 0.5, whole_up_to=9)
    assert FusedCosines(pairs, 0.5, whole_up_to=8).table is None  # without a warning


def test_above_the_limit_nothing_of_n_times_n_is_ever_made(generator: np.random.Generator) -> None:
    """The defaults on 20,001 pairs: a table would take 1.5 GiB, the rows of a batch take 3 MiB."""
    pairs = PairedFeatures(generator.standard_normal((20_001, 3)), generator.standard_normal((20_001, 2)))
    objective = DGCPNObjective(DGCPN(n_bits=N_BITS), pairs)
    assert objective.cosines.table is None
    assert objective.similarity(torch.arange(32)).shape == (32, 32)
