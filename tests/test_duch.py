"""DUCH: its loss against plain loops, its views of an item, and the game against the discriminator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.adversary import ModalityDiscriminator
from crossbit.errors import SettingsError
from crossbit.methods.duch import DUCH, DUCHObjective
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch
from objective_oracles import cosine

N_BITS, N, B = 6, 9, 4


def pairs_of(generator: np.random.Generator, n: int = N) -> PairedFeatures:
    return PairedFeatures(generator.standard_normal((n, 5)) + 2, generator.standard_normal((n, 4)))


def batch_of(generator: np.random.Generator) -> Batch:
    rows = torch.tensor([5, 0, 8, 2])
    real = [torch.tensor(generator.standard_normal((2 * B, N_BITS))) for _ in range(2)]
    features = torch.zeros(2 * B, 3, dtype=torch.float64)
    return Batch(rows, features, features, real[0], real[1], torch.tanh(real[0]), torch.tanh(real[1]), 0)


def nt_xent(first: Any, second: Any, temperature: float) -> float:
    """Over all 2b codes, - log of the partner's share of exp(cos / t) among all others."""
    codes = [*first.tolist(), *second.tolist()]
    total = 0.0
    for i, code in enumerate(codes):
        weights = {j: math.exp(cosine(code, codes[j]) / temperature) for j in range(2 * B) if j != i}
        total -= math.log(weights[(i + B) % (2 * B)] / sum(weights.values()))
    return total


@pytest.mark.parametrize("balance_over", ["batch", "samples"])
def test_the_loss_is_its_terms(generator: np.random.Generator, balance_over: Any) -> None:
    method = DUCH(n_bits=N_BITS, temperature=0.7, balance_over=balance_over)
    objective = DUCHObjective(method, pairs_of(generator)).double()
    objective.start_epoch(0)
    batch, signs = batch_of(generator), objective.codes.clone()
    assert set(signs.flatten().tolist()) == {-1, 1}
    image, other_image = batch.image_code[:B], batch.image_code[B:]
    text, other_text = batch.text_code[:B], batch.text_code[B:]
    to_signs, balance = 0.0, 0.0
    for codes in (image, other_image, text, other_text):
        for place, row in enumerate(batch.rows.tolist()):
            to_signs += sum((float(codes[place][k]) - float(signs[row][k])) ** 2 for k in range(N_BITS))
        if balance_over == "batch":
            balance += sum(sum(float(codes[i][k]) for i in range(B)) ** 2 for k in range(N_BITS))
        else:
            balance += sum(sum(float(codes[i][k]) for k in range(N_BITS)) ** 2 for i in range(B))
    terms = {name: float(term.detach()) for name, term in objective(batch).items()}
    assert terms.pop("discriminator") > 0
    assert terms.pop("fooling") > 0
    assert terms == pytest.approx(
        {
            "between": nt_xent(image, text, 0.7),
            "image_views": nt_xent(image, other_image, 0.7),
            "text_views": nt_xent(text, other_text, 0.7),
            "quantization": 0.001 * to_signs,
            "balance": 0.01 * balance / B,
        }
    )


def test_the_binary_codes_are_of_the_last_epoch(generator: np.random.Generator) -> None:
    objective = DUCHObjective(DUCH(n_bits=N_BITS), pairs_of(generator)).double()
    objective.start_epoch(0)
    before, batch = objective.codes.clone(), batch_of(generator)
    objective(batch)
    assert torch.equal(objective.codes, before)
    objective.start_epoch(1)
    for place, row in enumerate(batch.rows.tolist()):
        four = [
            batch.image_code[place],
            batch.image_code[place + B],
            batch.text_code[place],
            batch.text_code[place + B],
        ]
        assert objective.codes[row].tolist() == [
            1 if sum(float(c[k]) for c in four) >= 0 else -1 for k in range(N_BITS)
        ]
    others = [row for row in range(N) if row not in batch.rows.tolist()]
    assert torch.equal(objective.codes[others], before[others])


@pytest.mark.parametrize("text_views", ["paper", "released"])
def test_views_are_noise_and_features_left_out(generator: np.random.Generator, text_views: Any) -> None:
    pairs = pairs_of(generator, 400)
    objective = DUCHObjective(DUCH(n_bits=N_BITS, text_views=text_views), pairs)
    torch.manual_seed(0)
    image, text = objective.inputs(torch.arange(400), torch.tensor(pairs.image), torch.tensor(pairs.text))
    assert torch.equal(image[:400], torch.tensor(pairs.image))
    assert torch.equal(text[:400], torch.tensor(pairs.text))
    assert torch.equal(text[:400], text[400:]) == (text_views == "released")
    mean, deviation = image[:400].mean(dim=0), image[:400].std(dim=0)
    left_out = torch.isclose(image[400:], mean)
    assert float(left_out.float().mean()) == pytest.approx(0.2, abs=0.03)
    noise = ((image[400:] - image[:400]) / deviation)[~left_out]
    assert float(noise.std()) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("fooling", "learns"), [("paper", "image_code"), ("released", "text_code")])
def test_who_learns_to_fool_the_discriminator(generator: np.random.Generator, fooling: Any, learns: str) -> None:
    objective = DUCHObjective(DUCH(n_bits=N_BITS, fooling=fooling), pairs_of(generator)).double()
    objective.start_epoch(0)
    batch = batch_of(generator)
    for codes in (batch.image_code, batch.text_code):
        codes.requires_grad_()
    objective(batch)["fooling"].backward()
    for name in ("image_code", "text_code"):
        assert (getattr(batch, name).grad is not None) == (name == learns)
    assert all(parameter.grad is None for parameter in objective.discriminator.parameters())


def test_the_discriminator_learns_from_codes_that_do_not_move(generator: np.random.Generator) -> None:
    discriminator = ModalityDiscriminator(N_BITS).double()
    text, image = (torch.tensor(generator.standard_normal((B, N_BITS)), requires_grad=True) for _ in "ti")
    loss = discriminator.own_loss(text, image, penalty=0.0)
    expected = 0.0
    for codes, wanted in ((text, 1), (image, 0)):
        for value in discriminator(codes.detach()).flatten().tolist():
            chance = 1 / (1 + math.exp(-value))
            expected -= math.log(chance if wanted else 1 - chance) / B
    assert float(loss.detach()) == pytest.approx(expected)
    loss.backward()
    assert text.grad is None
    assert image.grad is None
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


def test_the_penalty_is_for_slopes_other_than_one(generator: np.random.Generator) -> None:
    discriminator = ModalityDiscriminator(2).double()
    slope = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    discriminator.layers = torch.nn.Sequential(torch.nn.Linear(2, 1).double())
    discriminator.layers[0].weight.data = slope
    text, image = (torch.tensor(generator.standard_normal((B, 2))) for _ in "ti")
    assert float(discriminator.steepness(text, image).detach()) == pytest.approx((5 - 1) ** 2)


def test_rates_fall_by_a_fifth_every_50_epochs() -> None:
    method = DUCH()
    assert [round(method.rate_factor(epoch / 100), 3) for epoch in (0, 49, 50, 99)] == [1, 1, 0.8, 0.8]


@pytest.mark.parametrize("wrong", [{"text_views": "none"}, {"batch_size": 1}, {"temperature": 0.0}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        DUCH(**wrong)
