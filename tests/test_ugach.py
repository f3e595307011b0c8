"""UGACH: the game's two losses against plain loops, the correlation graph, and who learns when."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import SettingsError
from crossbit.methods.ugach import UGACH, UGACHObjective
from crossbit.neighbours import nearest_rows
from crossbit.pairs import PairedFeatures
from crossbit.tanh_net import TanhNet
from crossbit.training import Batch

N_BITS, N, B = 6, 12, 3


def pairs_of(generator: np.random.Generator) -> PairedFeatures:
    return PairedFeatures(generator.standard_normal((N, 5)), generator.standard_normal((N, 4)))


def world(generator: np.random.Generator, **settings: Any) -> tuple[UGACHObjective, Any, Any]:
    """The objective with its discriminator, and the networks' inputs, all in float64."""
    pairs = pairs_of(generator)
    method = UGACH(n_bits=N_BITS, hidden=7, neighbours=2, candidate_share=0.5, pretraining=1, **settings)
    torch.manual_seed(4)
    image, text = (net.double() for net in method.networks(pairs))
    objective = UGACHObjective(method, pairs).double()
    method.optimiser(image, text, objective)
    return objective, (image, text), (torch.tensor(pairs.image).double(), torch.tensor(pairs.text).double())


def batch_of(objective: UGACHObjective, nets: Any, features: Any, turn: str) -> Batch:
    rows = torch.tensor([7, 0, 4])
    image, text = objective.inputs(rows, *features)
    reals = nets[0](image), nets[1](text)
    return Batch(rows, image, text, *reals, *map(torch.tanh, reals), 0, turn)


def apart(first: Any, second: Any) -> float:
    """|sigmoid(a) - sigmoid(b)|^2."""
    total = 0.0
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        total += (1 / (1 + math.exp(-a)) - 1 / (1 + math.exp(-b))) ** 2
    return total


def hinges(items: Any, others: Any, margin: float) -> list[list[float]]:
    """[margin + |q - p|^2 - |q - n|^2]+ : rows are items, positives, then two negatives of each item."""
    return [
        [
            max(0.0, margin + apart(items[i], others[B + i]) - apart(items[i], others[2 * B + 2 * i + k]))
            for k in range(2)
        ]
        for i in range(B)
    ]


def mean(table: list[list[float]]) -> float:
    return sum(map(sum, table)) / (len(table) * len(table[0]))


@pytest.mark.parametrize("within", [0.0, 0.1])
def test_the_discriminator_minimises_the_triplets(generator: np.random.Generator, within: float) -> None:
    objective, nets, features = world(generator, within=within, margin_share=0.005)
    batch = batch_of(objective, nets, features, "discriminator")
    image, text, margin = batch.image_real, batch.text_real, 0.005 * N_BITS
    expected = {"between": mean(hinges(image, text, margin)) + mean(hinges(text, image, margin))}
    if within:
        expected["within"] = within * (mean(hinges(image, image, margin)) + mean(hinges(text, text, margin)))
    assert {name: float(term.detach()) for name, term in objective(batch).items()} == pytest.approx(expected)
    values = hinges(image, text, margin)
    assert min(map(min, values)) == 0 < max(map(max, values)), "the example must reach both sides of the hinge"


def test_the_generator_is_rewarded_for_what_confuses(generator: np.random.Generator) -> None:
    """- mean of sigmoid(hinge) log p(n | q), with p the softmax of -|q - n|^2 over the candidates."""
    objective, nets, features = world(generator)
    objective.start_epoch(1)
    batch = batch_of(objective, nets, features, "generator")
    expected = 0.0
    sides = ((batch.image, batch.image_real, batch.text_real, 0), (batch.text, batch.text_real, batch.image_real, 1))
    for own, real, other_real, side in sides:
        candidates, picked = objective.offered[side]
        asked, offered = objective.generator[side](own), objective.generator[1 - side](candidates)
        rewards = hinges(real, other_real, N_BITS / 8)
        for i in range(B):
            weights = [math.exp(-apart(asked[i], candidate)) for candidate in offered]
            for k in range(2):
                chance = weights[int(picked[i, k])] / sum(weights)
                expected -= math.log(chance) / (1 + math.exp(-rewards[i][k])) / (B * 2)
    assert float(objective(batch)["generator"].detach()) == pytest.approx(expected)


def test_the_negatives_are_what_the_generator_drew(generator: np.random.Generator) -> None:
    objective, nets, features = world(generator)
    objective.start_epoch(1)
    batch = batch_of(objective, nets, features, "discriminator")
    for rows, side in ((batch.text, 0), (batch.image, 1)):
        candidates, picked = objective.offered[side]
        assert torch.equal(rows[2 * B :], candidates[picked.flatten()])


def test_each_player_learns_in_its_turn_alone(generator: np.random.Generator) -> None:
    objective, nets, features = world(generator)
    objective.start_epoch(1)
    for turn, learns in (("discriminator", nets), ("generator", tuple(objective.generator))):
        for net in (*nets, *objective.generator):
            net.zero_grad(set_to_none=True)
        sum(objective(batch_of(objective, nets, features, turn)).values()).backward()
        for net in (*nets, *objective.generator):
            moved = [p.grad is not None for p in net.parameters()]
            assert all(moved) if net in learns else not any(moved), turn


def test_the_generator_starts_from_the_pretrained_discriminator(generator: np.random.Generator) -> None:
    objective, nets, _ = world(generator)
    weights = [net.layers[1].weight for net in objective.generator]
    objective.start_epoch(0)
    assert not objective.playing
    assert not torch.equal(weights[0], nets[0].layers[1].weight)
    objective.start_epoch(1)
    assert objective.playing
    assert all(torch.equal(own, net.layers[1].weight) for own, net in zip(weights, nets, strict=True))


def test_the_positives_are_itself_and_its_neighbours(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    for twice, others in ((False, 2), (True, 1)):
        method = UGACH(n_bits=N_BITS, hidden=7, neighbours=2, itself_twice=twice)
        listed = UGACHObjective(method, pairs).positives.tolist()
        for i in range(N):
            expected = [i] * (2 if twice else 1)
            for rows in (pairs.image, pairs.text):
                far = [math.dist(rows[i], rows[j]) if j != i else math.inf for j in range(N)]
                expected += sorted(range(N), key=far.__getitem__)[:others]
            assert listed[i] == expected


def test_neighbours_of_few_rows_are_all_others() -> None:
    assert nearest_rows(torch.tensor([[0.0], [1.0], [3.0]]), 5).tolist() == [[1, 2], [0, 2], [1, 0]]


@pytest.mark.parametrize("hidden", [8, 8192])  # the published width is more than a code can have bits
def test_a_tanh_network_is_its_plain_function(generator: np.random.Generator, hidden: int) -> None:
    rows = generator.standard_normal((9, 5)).astype(np.float32) * 3 + 1
    net = TanhNet(rows, 4, hidden).eval()
    np.testing.assert_allclose(net.hash_function()(rows), net(torch.tensor(rows)).detach(), atol=1e-5)


def test_the_discriminator_slows_down_in_the_game(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    method = UGACH(n_bits=N_BITS, hidden=7, weight_decay=0.0)
    image, text = method.networks(pairs)
    objective = UGACHObjective(method, pairs)
    sgd = method.optimiser(image, text, objective)
    last = image.layers[3].bias
    for playing, rate in ((False, 0.01), (True, 0.001)):
        objective.playing = playing
        for group in sgd.param_groups:
            group["lr"] = 0.01  # as training sets it before every step
        before = last.detach().clone()
        last.grad = torch.ones_like(last)
        sgd.step()
        assert (before - last).tolist() == pytest.approx([rate] * N_BITS, rel=1e-3)


@pytest.mark.parametrize("wrong", [{"neighbours": 0}, {"n_negatives": 0}, {"pretraining": -1}])
def test_wrong_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        UGACH(**wrong)
