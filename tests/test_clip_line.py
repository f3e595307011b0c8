"""The methods on top of CLIP, on ready features: their objectives against plain loops, their schedule and switches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import LabelError, SettingsError
from crossbit.methods.dchmt import DCHMT, DCHMTObjective
from crossbit.methods.dsph import DSPH, DSPHObjective, proxy_margin
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch
from objective_oracles import cosine

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


def to_proxies(codes: Any, proxies: Any, labels: Any, margin: float) -> float:
    own, others = [], []
    for h, has in zip(codes.tolist(), labels.tolist(), strict=True):
        for p, one in zip(proxies.tolist(), has, strict=True):
            found = cosine(h, p)
            (own if one else others).append(1 - found if one else max(found - margin, 0))
    return sum(own) / len(own) + sum(others) / len(others)


def test_dsph_is_its_terms(generator: np.random.Generator) -> None:
    """Pairs 0, 1 and 3 of the batch have two labels; 0 shares none with the others, pair 8 has no label at all."""
    pairs = pairs_of(generator)
    labels = np.array(pairs.labels)
    rows = np.array([6, 1, 8, 3, 0])
    labels = np.hstack([labels, np.zeros((N, 2), bool)])
    labels[rows] = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 1], [0, 0, 0, 0, 1]], bool)
    pairs = PairedFeatures(pairs.image, pairs.text, labels)
    with torch.random.fork_rng():
        objective = DSPHObjective(DSPH(n_bits=N_BITS, margin=0.1, apart=0.7), torch.tensor(labels).double()).double()
    batch = batch_of(generator, pairs)
    chosen = [(i, j) for i in (0, 1, 3) for j in (0, 1, 3) if not (labels[rows[i]] & labels[rows[j]]).any()]
    assert chosen == [(0, 1), (0, 3), (1, 0), (3, 0)]
    image, text = batch.image_code, batch.text_code
    apart = sum(
        sum(max(cosine(first[i].tolist(), second[j].tolist()) - 0.1, 0) for i, j in chosen) / len(chosen)
        for first, second in ((image, image), (text, text), (image, text))
    )
    assert apart > 0
    own = torch.tensor(labels[rows])
    assert numbers(objective(batch)) == pytest.approx(
        {
            "image": to_proxies(image, objective.proxies, own, 0.1),
            "text": to_proxies(text, objective.proxies, own, 0.1),
            "apart": 0.7 * apart,
        }
    )


def test_pairs_of_one_label_are_held_by_proxies_alone(generator: np.random.Generator) -> None:
    labels = torch.eye(3, dtype=torch.float64).repeat(3, 1)
    with torch.random.fork_rng():
        objective = DSPHObjective(DSPH(n_bits=N_BITS), labels).double()
    assert float(objective(batch_of(generator, pairs_of(generator)))["apart"]) == 0


@pytest.mark.parametrize(
    ("n_bits", "margins"),
    [
        (16, [0, 0.25, 0.375, 0.5]),
        (32, [0, 0.125, 0.1875, 0.25]),
        (64, [0, 0, 0.09375, 0.125]),
        (128, [0, 0, 0, 0.0625]),
    ],
)
def test_the_margin_is_that_of_the_best_known_codes(n_bits: int, margins: list[float]) -> None:
    """For 24, 80, 255 and 291 labels, as the authors' table has it."""
    assert [proxy_margin(n_bits, labels) for labels in (24, 80, 255, 291)] == margins


def test_other_margins_are_griesmers() -> None:
    """[7, 4, 3] is the Hamming code, which meets the bound."""
    assert proxy_margin(7, 16) == pytest.approx(1 - 2 * 3 / 7)
    assert proxy_margin(8, 600) == 0.75  # more labels than words: the distance is taken as 1
    assert proxy_margin(10, 1) == proxy_margin(10, 3) == 0


def test_proxies_learn_at_their_own_rate(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    method = DSPH(n_bits=N_BITS, hidden=5)
    with torch.random.fork_rng():
        image, text = method.networks(pairs)
        objective = method.objective(pairs)
    networks, proxies = method.optimiser(image, text, objective).param_groups
    assert (networks["lr"], networks["weight_decay"]) == (1e-3, 0.2)
    assert (proxies["lr"], proxies["weight_decay"]) == (0.02, 5e-4)
    assert [tuple(p.shape) for p in proxies["params"]] == [(3, N_BITS)]


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


@pytest.mark.parametrize("kind", [DCHMT, DSPH])
@pytest.mark.parametrize(
    ("wrong", "value"),
    [("batch_size", 1), ("dropout", 1.0), ("input_dropout", -0.1), ("largest_gradient", 0.0), ("hidden", 0)],
)
def test_wrong_settings_are_refused(kind: Any, wrong: str, value: float) -> None:
    with pytest.raises(SettingsError, match=wrong):
        kind(**{wrong: value})


@pytest.mark.parametrize(
    ("kind", "wrong", "value"), [(DCHMT, "head_units", 0), (DCHMT, "theta_share", 1.5), (DSPH, "margin", 2)]
)
def test_wrong_own_settings_are_refused(kind: Any, wrong: str, value: float) -> None:
    with pytest.raises(SettingsError, match=wrong):
        kind(**{wrong: value})


@pytest.mark.parametrize("kind", [DCHMT, DSPH])
def test_missing_labels_are_an_error(generator: np.random.Generator, kind: Any) -> None:
    pairs = pairs_of(generator).without_labels()
    with pytest.raises(LabelError, match="labels"):
        kind(n_bits=N_BITS).fit(pairs)
    with pytest.raises(LabelError, match="labels"):
        kind(n_bits=N_BITS).objective(pairs)
