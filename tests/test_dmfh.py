"""DMFH: its fusion against plain loops, the plain layers it becomes, and its loss."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any, Literal

import numpy as np
import pytest
import torch

from crossbit.errors import SettingsError
from crossbit.fused_net import FusedNet
from crossbit.methods.dmfh import DMFH, weighed_likelihood
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch
from objective_oracles import inner

N, N_BITS = 6, 3


def pairs_of(generator: np.random.Generator) -> PairedFeatures:
    labels = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 1], [1, 0]], dtype=bool)
    return PairedFeatures(generator.standard_normal((N, 5)) + 1, generator.standard_normal((N, 4)), labels)


def affine(layer: Any, row: list[float]) -> list[float]:
    return [inner(w, row) + float(b) for w, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)]


def relu(row: list[float]) -> list[float]:
    return [max(0.0, value) for value in row]


@pytest.mark.parametrize("widths", [(7,), (6, 4), (3, 8, 5)])
def test_the_outputs_fuse_a_branch_of_every_layer(generator: np.random.Generator, widths: tuple[int, ...]) -> None:
    features = pairs_of(generator).image
    torch.manual_seed(0)
    net = FusedNet(features, N_BITS, widths, scale=4)
    found = net(torch.tensor(features)).detach().numpy()
    for row, own in zip(features.tolist(), found, strict=True):
        shift, scale = net.standardise.shift.tolist(), net.standardise.scale.tolist()
        x = [(value - s) * c for value, s, c in zip(row, shift, scale, strict=True)]
        told: list[float] = []
        for layer, branch in zip(net.trunk, net.branches, strict=True):
            x = relu(affine(layer, x))
            told += relu(affine(branch, x))
        np.testing.assert_allclose(own, affine(net.head, relu(affine(net.fusion, told))), atol=1e-5)
    np.testing.assert_allclose(net.hash_function()(features), found, atol=1e-5)


def test_every_branch_reaches_the_outputs(generator: np.random.Generator) -> None:
    features = pairs_of(generator).image
    torch.manual_seed(0)
    net = FusedNet(features, N_BITS, (16, 16, 16), scale=16)
    net(torch.tensor(features)).square().sum().backward()
    assert all(branch.weight.grad.abs().sum() > 0 for branch in net.branches)


@pytest.mark.parametrize("turn", ["image", "text"])
@pytest.mark.parametrize("couples", ["halves", "alike"])
def test_the_loss_is_its_terms_on_the_outputs_of_all(
    generator: np.random.Generator, turn: str, couples: Literal["halves", "alike"]
) -> None:
    pairs, method = pairs_of(generator), DMFH(n_bits=N_BITS, gamma=2.0, eta=3.0, couples=couples)
    objective: Any = method.objective(pairs).double()
    objective.start_epoch(0)
    outputs = {"image": objective.image_outputs.tolist(), "text": objective.text_outputs.tolist()}
    rows, real = [4, 1], torch.tensor(generator.standard_normal((2, N_BITS)))
    nothing = torch.zeros(0, N_BITS)
    sides = (real, nothing) if turn == "image" else (nothing, real)
    terms = objective(Batch(torch.tensor(rows), nothing, nothing, *sides, *map(torch.tanh, sides), 0, turn))
    assert pairs.labels is not None
    each: dict[bool, list[float]] = {True: [], False: []}  # by whether a couple is related
    to_signs, columns = 0.0, [0.0] * N_BITS
    for i, own in zip(rows, real.tolist(), strict=True):
        for j, other in enumerate(outputs["text" if turn == "image" else "image"]):
            theta = inner(own, other) / 2
            related = bool((pairs.labels[i] & pairs.labels[j]).any())
            each[related].append(math.log(1 + math.exp(theta)) - theta * related)
        for k in range(N_BITS):
            sign = 1 if outputs["image"][i][k] + outputs["text"][i][k] >= 0 else -1
            to_signs += (sign - own[k]) ** 2
            columns[k] += own[k]
    halves = (fmean(each[True]) + fmean(each[False])) / 2
    expected = {
        f"likelihood_{turn}": halves if couples == "halves" else fmean(each[True] + each[False]),
        "quantization": 2 * to_signs / (2 * N),
        "balance": 3 * sum(value**2 for value in columns) / (2 * N),
    }
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(expected)


def test_a_kind_of_couple_that_a_batch_lacks_counts_nothing(generator: np.random.Generator) -> None:
    own, others = (
        torch.tensor(generator.standard_normal((2, N_BITS))),
        torch.tensor(generator.standard_normal((3, N_BITS))),
    )
    theta = own @ others.T / 2
    found = weighed_likelihood(torch.zeros(2, 3), own, others)
    assert float(found) == pytest.approx(float(torch.log(1 + torch.exp(theta)).mean()) / 2)


@pytest.mark.parametrize("wrong", [{"image_widths": ()}, {"text_widths": (8, 0)}, {"scale": 0}, {"couples": "all"}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        DMFH(**wrong)
