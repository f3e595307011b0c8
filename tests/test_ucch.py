"""UCCH: its objective against plain loops over the paper's equations, and the memory bank."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import SettingsError
from crossbit.memory_bank import MemoryBank
from crossbit.methods.ucch import UCCH, UCCHObjective
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch
from objective_oracles import inner

N_BITS, N = 6, 9


def batch_of(generator: np.random.Generator, epoch: int, rows: tuple[int, ...] = (4, 0, 7, 2)) -> Batch:
    real = [torch.tensor(generator.standard_normal((len(rows), N_BITS))) for _ in range(2)]
    features = torch.zeros(len(rows), 3, dtype=torch.float64)
    codes = [torch.tanh(one) for one in real]
    return Batch(torch.tensor(rows), features, features, real[0], real[1], codes[0], codes[1], epoch)


def unit(row: Any) -> list[float]:
    length = math.sqrt(inner(row, row))
    return [float(value) / length for value in row]


def key(row: Any) -> list[float]:
    return [(1.0 if value >= 0 else -1.0) / math.sqrt(len(row)) for value in row]


def log_softmax_of_first(scores: list[float]) -> float:
    return scores[0] - math.log(sum(math.exp(score) for score in scores))


def ranking_by_loops(first: list[list[float]], second: list[list[float]], margin: float, shift: float) -> float:
    total = 0.0
    for i, one in enumerate(first):
        own, summed = inner(one, second[i]), 0.0
        for other in second:
            product = inner(one, other)
            summed += math.exp(product if own - product <= margin else product - shift)
        total += margin + math.log(summed) - own
    return total / len(first)


@pytest.mark.parametrize("settings", [{}, {"margin": 0.5, "shift": 0.3, "temperature": 0.4, "contrast_share": 0.2}])
def test_the_objective_is_its_equations(generator: np.random.Generator, settings: dict[str, float]) -> None:
    method = UCCH(n_bits=N_BITS, n_keys=5, **settings)
    objective = UCCHObjective(method, N).double()
    before = objective.bank.directions.clone()
    batch = batch_of(generator, epoch=3)
    torch.manual_seed(0)
    drawn = torch.randint(N, (5,)).tolist()
    torch.manual_seed(0)
    terms = objective(batch)
    image, text = [unit(row) for row in batch.image_code], [unit(row) for row in batch.text_code]
    contrast = 0.0
    for codes in (image, text):
        for place, row in enumerate(batch.rows.tolist()):
            keys = [key(before[row]), *(key(before[other]) for other in drawn)]
            scores = [inner(codes[place], one) / method.temperature for one in keys]
            contrast -= log_softmax_of_first(scores) / len(image)
    ranking = ranking_by_loops(image, text, method.margin, method.shift)
    ranking += ranking_by_loops(text, image, method.margin, method.shift)
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {"contrast": method.contrast_share * contrast, "ranking": (1 - method.contrast_share) * ranking}
    )
    for place, row in enumerate(batch.rows.tolist()):
        mixed = [
            method.bank_momentum * float(old) + (1 - method.bank_momentum) * (a + b) / 2
            for old, a, b in zip(before[row], image[place], text[place], strict=True)
        ]
        assert objective.bank.directions[row].tolist() == pytest.approx(unit(mixed))


def test_some_pairs_are_a_margin_away_and_some_are_not(generator: np.random.Generator) -> None:
    """Else the test above would not tell the two branches apart."""
    batch = batch_of(generator, epoch=3)
    image, text = [unit(row) for row in batch.image_code], [unit(row) for row in batch.text_code]
    apart = [inner(a, text[i]) - inner(a, b) > 0.2 for i, a in enumerate(image) for b in text]
    assert any(apart)
    assert not all(apart)


def test_the_first_epoch_fills_the_bank_and_compares_within_the_batch(generator: np.random.Generator) -> None:
    objective = UCCHObjective(UCCH(n_bits=N_BITS), N).double()
    before = objective.bank.directions.clone()
    batch = batch_of(generator, epoch=0)
    terms = objective(batch)
    image, text = [unit(row) for row in batch.image_code], [unit(row) for row in batch.text_code]
    means = [[(a + b) / 2 for a, b in zip(*both, strict=True)] for both in zip(image, text, strict=True)]
    keys = [key(mean) for mean in means]
    contrast = 0.0
    for codes in (image, text):
        for place, code in enumerate(codes):
            others = [keys[place], *keys[:place], *keys[place + 1 :]]
            contrast -= log_softmax_of_first([inner(code, one) / 0.9 for one in others]) / len(codes)
    assert float(terms["contrast"]) == pytest.approx(0.7 * contrast)
    for place, row in enumerate(batch.rows.tolist()):
        assert objective.bank.directions[row].tolist() == pytest.approx(unit(means[place]))
    others = [row for row in range(N) if row not in batch.rows.tolist()]
    assert torch.equal(objective.bank.directions[others], before[others])


def test_the_bank_counts_zero_as_plus_one_and_passes_no_gradient() -> None:
    bank = MemoryBank(2, 4)
    bank.refresh(torch.tensor([0]), torch.tensor([[0.0, -3.0, 4.0, 0.0]]), 0.0)
    assert bank.directions[0].tolist() == pytest.approx([0, -0.6, 0.8, 0])
    assert bank.keys(torch.tensor([0])).tolist() == [[0.5, -0.5, 0.5, 0.5]]
    assert not list(bank.parameters())
    assert "directions" in bank.state_dict(), "a checkpoint must hold it"


def test_long_gradients_are_cut(generator: np.random.Generator) -> None:
    pairs = PairedFeatures(generator.standard_normal((8, 5)), generator.standard_normal((8, 3)))
    method = UCCH(n_bits=4, hidden=8, largest_gradient=0.01)
    image, text = method.networks(pairs)
    adam = method.optimiser(image, text, method.objective(pairs))
    (image(torch.ones(2, 5)).sum() + text(torch.ones(2, 3)).sum()).mul(1e3).backward()
    adam.step()
    parameters = [*image.parameters(), *text.parameters()]
    length = math.sqrt(sum(float(p.grad.square().sum()) for p in parameters if p.grad is not None))
    assert length == pytest.approx(0.01, rel=1e-3)


def test_it_has_the_published_settings() -> None:
    method = UCCH()
    assert (method.bank_momentum, method.temperature, method.n_keys, method.margin) == (0.4, 0.9, 4096, 0.2)
    assert (method.learning_rate, method.epochs, method.batch_size, method.hidden) == (1e-4, 20, 256, 8192)


@pytest.mark.parametrize("wrong", [{"n_keys": 0}, {"temperature": 0.0}, {"bank_momentum": 1.0}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        UCCH(**wrong)
