"""The methods on top of CLIP, on ready features: their objectives against plain loops, their schedule and switches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import LabelError, SettingsError
from crossbit.methods.dchmt import DCHMT, DCHMTObjective
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch

N_BITS, N = 6, 9


def pairs_of(generator: np.random.Generator) -> PairedFeatures:
    """Nine pairs with three labels; some have two, one has none."""
    labels = np.zeros((N, 3), dtype=bool)
    labels[np.arange(N), np.arange(N) % 3] = True
    labels[1, 0], labels[8] = True, False
    return PairedFeatures(generator.standard_normal((N, 7)), generator.standard_normal((N, 4)), labels)


def batch_of(generator: np.random.Generator, pairs: PairedFeatures) -> Batch:
    rows = torch.tensor([6, 1, 8, 3, 0])
    image, text = torch.tensor(pairs.image).double()[rows], torch.tensor(pairs.text).double()[rows]
    real = [torch.tensor(generator.standard_normal((len(rows), N_BITS))) for _ in range(2)]
    return Batch(rows, image, text, real[0], real[1], torch.tanh(real[0]), torch.tanh(real[1]), 0)


def numbers(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


def alike(pairs: PairedFeatures, rows: torch.Tensor) -> list[list[int]]:
    """1 where two pairs share a label, or are one pair."""
    assert pairs.labels is not None
    chosen = pairs.labels[rows.numpy()]
    return [[int(i == j or (a & b).any()) for j, b in enumerate(chosen)] for i, a in enumerate(chosen)]


def couples(real: torch.Tensor) -> list[list[float]]:
    """The 2 x n_bits chances of each row: a softmax over (output, 0) for each bit."""
    found = []
    for row in real.tolist():
        won = [math.exp(value) / (math.exp(value) + 1) for value in row]
        found.append([chance for p in won for chance in (p, 1 - p)])
    return found


def pull_and_push(same: list[list[int]], first: Any, second: Any, margin: float) -> float:
    total = 0.0
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            distance = math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))
            total += distance**2 if same[i][j] else (margin - min(distance, margin)) ** 2
    return total / (len(first) * len(second))


@pytest.mark.parametrize("theta", [0.5, 0.05])
def test_dchmt_is_its_terms(generator: np.random.Generator, theta: float) -> None:
    pairs = pairs_of(generator)
    method = DCHMT(n_bits=N_BITS, theta_share=theta, balance_of_chances=0.3)
    objective, batch = method.objective(pairs), batch_of(generator, pairs)
    same, margin = alike(pairs, batch.rows), math.sqrt(2 * N_BITS * theta)
    image, text = couples(batch.image_real), couples(batch.text_real)
    vague = sum(1 - sum((2 * p - 1) ** 2 for row in v for p in row) / (len(v) * 2 * N_BITS) for v in (image, text))
    assert numbers(objective(batch)) == pytest.approx(
        {
            "between": pull_and_push(same, image, text, margin),
            "image": pull_and_push(same, image, image, margin),
            "text": pull_and_push(same, text, text, margin),
            "vague": 0.3 * vague,
        },
        abs=1e-6,
    )


def test_dchmt_reaches_nothing_where_codes_are_clear_and_right() -> None:
    """Codes of two classes that differ in theirs share of the bits, and codes of one class that are the same."""
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    objective = DCHMTObjective(DCHMT(n_bits=4), labels)
    real = 60.0 * torch.tensor([[1.0, 1, 1, 1], [1, 1, 1, 1], [1, 1, -1, -1]])
    batch = Batch(torch.arange(3), real, real, real, real, real.sign(), real.sign(), 0)
    assert sum(numbers(objective(batch)).values()) == pytest.approx(0, abs=1e-4)
    assert "vague" not in objective(batch)


def test_equal_codes_of_unlike_pairs_leave_the_gradient_finite() -> None:
    real = torch.zeros(2, N_BITS, requires_grad=True)
    objective = DCHMTObjective(DCHMT(n_bits=N_BITS), torch.eye(2))
    terms = objective(Batch(torch.arange(2), real, real, real, real, real, real, 0))
    torch.stack(list(terms.values())).sum().backward()
    assert real.grad is not None
    assert torch.isfinite(real.grad).all()


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    method = DCHMT(warm_up_share=0.1)
    assert method.rate_factor(0.05) == pytest.approx(0.5)
    assert method.rate_factor(0.1) == pytest.approx(1.0)
    assert method.rate_factor(0.55) == pytest.approx(0.5)
    assert method.rate_factor(1.0) == pytest.approx(1e-3)


def test_gradients_are_cut(generator: np.random.Generator) -> None:
    """With every gradient cut to next to nothing, Adam's own scaling is all that is left: compare the gradients."""
    pairs = pairs_of(generator)
    method = DCHMT(n_bits=N_BITS, hidden=5, largest_gradient=1e-3)
    with torch.random.fork_rng():
        image, text = method.networks(pairs)
    objective = method.objective(pairs)
    optimiser = method.optimiser(image, text, objective)
    out = image(torch.tensor(pairs.image)).square().sum() + text(torch.tensor(pairs.text)).square().sum()
    out.backward()
    optimiser.step()
    gradients = [p.grad for net in (image, text) for p in net.parameters() if p.grad is not None]
    assert math.sqrt(sum(float(g.square().sum()) for g in gradients)) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("kind", [DCHMT])
@pytest.mark.parametrize(
    ("wrong", "value"),
    [("batch_size", 1), ("dropout", 1.0), ("input_dropout", -0.1), ("largest_gradient", 0.0), ("hidden", 0)],
)
def test_wrong_settings_are_refused(kind: Any, wrong: str, value: float) -> None:
    with pytest.raises(SettingsError, match=wrong):
        kind(**{wrong: value})


@pytest.mark.parametrize(("kind", "wrong", "value"), [(DCHMT, "head_units", 0), (DCHMT, "theta_share", 1.5)])
def test_wrong_own_settings_are_refused(kind: Any, wrong: str, value: float) -> None:
    with pytest.raises(SettingsError, match=wrong):
        kind(**{wrong: value})


@pytest.mark.parametrize("kind", [DCHMT])
def test_missing_labels_are_an_error(generator: np.random.Generator, kind: Any) -> None:
    pairs = pairs_of(generator).without_labels()
    with pytest.raises(LabelError, match="labels"):
        kind(n_bits=N_BITS).fit(pairs)
    with pytest.raises(LabelError, match="labels"):
        kind(n_bits=N_BITS).objective(pairs)
