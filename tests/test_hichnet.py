"""HiCHNet: its objective against plain loops, its two levels, and why its terms are means."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import LabelError, SettingsError
from crossbit.methods.hichnet import HiCHNet, HiCHNetObjective
from crossbit.pairs import Labels, PairedFeatures
from crossbit.testing import planted_pairs
from crossbit.training import Batch
from objective_oracles import inner

R, N, B = 6, 9, 5
FINE = np.eye(4, dtype=bool)[[0, 1, 2, 3, 0, 1, 2, 3, 0]]
COARSE = np.eye(2, dtype=bool)[[0, 0, 1, 1, 0, 0, 1, 1, 0]]
SEVERAL = FINE | np.eye(4, dtype=bool)[[1, 1, 1, 3, 3, 3, 0, 0, 0]]
LEVELS = [(FINE,), (COARSE, FINE), (COARSE, SEVERAL)]


def batch_of(generator: np.random.Generator, turn: str) -> Batch:
    rows, nothing = torch.tensor([6, 1, 8, 3, 0]), torch.zeros(0, R)
    real = torch.tensor(generator.standard_normal((B, R)), dtype=torch.float32)
    image, text = (real, nothing) if turn == "image" else (nothing, real)
    return Batch(rows, nothing, nothing, image, text, torch.tanh(image), torch.tanh(text), 1, turn)


def likelihood(labels: Labels, rows: list[int], own: Any, other: Any) -> float:
    """Mean over i and j of log(1 + exp(Theta)) - S Theta, S telling whether the two share a label."""
    total = 0.0
    for i, row in enumerate(rows):
        for j in range(N):
            theta = inner(own[i], other[j]) / 2
            total += math.log1p(math.exp(theta)) - theta * bool((labels[row] & labels[j]).any())
    return total / (B * N)


def entropy(labels: Labels, rows: list[int], scores: Any) -> float:
    total = 0.0
    for row, values in zip(rows, scores, strict=True):
        whole = sum(math.exp(value) for value in values)
        classes = [int(c) for c in np.flatnonzero(labels[row])]
        total -= sum(math.log(math.exp(values[c]) / whole) / len(classes) for c in classes)
    return total / B


def distance_and_balance(scale: str, codes: Any, own: Any, whole: Any) -> tuple[float, float]:
    """|B - F|^2 and |F 1|^2: means of the batch, or sums of which the second runs over the buffer of all pairs."""
    distance = sum((a - b) ** 2 for x, y in zip(codes, own, strict=True) for a, b in zip(x, y, strict=True))
    if scale == "means":
        bits = len(own[0])
        return distance / (B * bits), sum((sum(column) / B) ** 2 for column in zip(*own, strict=True)) / bits
    return distance / (B * N), sum(sum(column) ** 2 for column in zip(*whole, strict=True)) / (B * N)


@pytest.mark.parametrize(("scale", "tanh"), [("means", "once"), ("sums", "released")])
@pytest.mark.parametrize("turn", ["image", "text"])
@pytest.mark.parametrize("levels", LEVELS)
def test_objective_is_its_terms(
    levels: tuple[Labels, ...], turn: str, scale: Any, tanh: Any, generator: np.random.Generator
) -> None:
    method = HiCHNet(n_bits=R, coarse_share=1 / 3, gamma=2.0, eta=0.5, classify=3.0, text_tanh=tanh, scale=scale)
    objective = HiCHNetObjective(method, levels)
    objective.start_epoch(1)
    assert torch.equal(objective.codes, torch.sign(objective.image_outputs + objective.text_outputs))
    batch = batch_of(generator, turn)
    rows, own = batch.rows.tolist(), batch.image_code if turn == "image" else batch.text_code
    if turn == "text" and tanh == "released" and len(levels) == 2:
        own = torch.cat([batch.text_real[:, :2], torch.tanh(own[:, 2:])], dim=1)
    whole, other = objective.image_outputs.clone(), objective.text_outputs
    if turn == "text":
        whole, other = other.clone(), objective.image_outputs
    whole[batch.rows] = own
    heads = objective.image_classifiers if turn == "image" else objective.text_classifiers
    parts = [(1.0, slice(0, R))] if len(levels) == 1 else [(0.2, slice(0, 2)), (0.8, slice(2, R))]
    wanted = dict.fromkeys((f"{term}_{turn}" for term in ("likelihood", "quantization", "balance", "classes")), 0.0)
    for (weight, part), labels, head in zip(parts, levels, heads, strict=True):
        outputs, codes = own[:, part], objective.codes[batch.rows][:, part]
        distance, balance = distance_and_balance(scale, codes.tolist(), outputs.tolist(), whole[:, part].tolist())
        wanted[f"likelihood_{turn}"] += weight * likelihood(labels, rows, outputs.tolist(), other[:, part].tolist())
        wanted[f"quantization_{turn}"] += weight * 2.0 * distance
        wanted[f"balance_{turn}"] += weight * 0.5 * balance
        wanted[f"classes_{turn}"] += weight * 3.0 * entropy(labels, rows, head(outputs).tolist())
    found = {name: float(term.detach()) for name, term in objective(batch).items()}
    assert found == pytest.approx(wanted, rel=1e-4)
    assert torch.equal(getattr(objective, f"{turn}_outputs"), whole)


def in_levels() -> PairedFeatures:
    """The planted world with each class parted in two at random: the pairs, and both levels as given."""
    world = planted_pairs(n=120)
    half = np.random.default_rng(1).random(120) < 0.5
    fine = np.hstack([world.labels & half[:, None], world.labels & ~half[:, None]])
    return dataclasses.replace(world.pairs, levels=(world.labels, fine))


def test_both_levels_are_learned_from_where_there_are_two() -> None:
    pairs, method = in_levels(), HiCHNet(n_bits=8, epochs=2, hidden=16)
    two, one = method.fit(pairs), method.fit(pairs.without_levels())
    assert (two.report["label_levels"], one.report["label_levels"]) == (2, 1)
    alone = dataclasses.replace(method, hierarchy=False).fit(pairs)
    assert np.array_equal(alone.image(pairs.image), one.image(pairs.image))
    assert not np.array_equal(two.image(pairs.image), one.image(pairs.image))
    with pytest.raises(LabelError, match="hichnet"):
        method.fit(pairs.without_labels())


def test_each_level_has_a_bit_at_least() -> None:
    for share, n_bits, parts in ((0.01, 8, [1, 7]), (0.99, 8, [7, 1]), (0.5, 2, [1, 1]), (0.5, 9, [4, 5])):
        assert HiCHNetObjective(HiCHNet(n_bits=n_bits, coarse_share=share), (COARSE, FINE)).parts == parts
    assert HiCHNetObjective(HiCHNet(n_bits=1), (FINE,)).parts == [1]
    with pytest.raises(SettingsError, match="2 bits or more"):
        HiCHNetObjective(HiCHNet(n_bits=1), (COARSE, FINE))


def test_means_hold_the_two_codes_of_a_pair_together() -> None:
    """Under sums the likelihood draws the modalities to opposite signs; see the method's docstring."""
    world = planted_pairs(n=300)
    apart = {}
    for scale, eta in (("means", 1.0), ("sums", 0.0)):
        method = HiCHNet(n_bits=16, epochs=10, hidden=64, batch_size=32, eta=eta, scale=scale)
        hasher = method.fit(world.pairs)
        signs = [hasher.image(world.pairs.image) >= 0, hasher.text(world.pairs.text) >= 0]
        apart[scale] = float((signs[0] != signs[1]).mean())
    assert apart["means"] < 0.5 * apart["sums"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"text_tanh": "twice"}, "text_tanh"),
        ({"scale": "both"}, "scale"),
        ({"coarse_share": 1.0}, "coarse_share"),
        ({"gamma": -1.0}, "gamma"),
        ({"weight_fine": -0.1}, "weight_fine"),
    ],
)
def test_settings_outside_their_range_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        HiCHNet(**settings)
