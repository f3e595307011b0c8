"""SSAH: its losses against plain loops, the game against the discriminators, and the network that shows features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from crossbit.errors import SettingsError
from crossbit.methods.ssah import SSAH, SSAHObjective
from crossbit.pairs import PairedFeatures
from crossbit.tapped_net import TappedNet, taps_of
from crossbit.training import Batch
from objective_oracles import inner

N_BITS, N, B, F, C = 4, 9, 3, 5, 3
ROWS = [5, 0, 8]


def pairs_of(generator: np.random.Generator) -> PairedFeatures:
    labels = np.array(
        [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1]]
    )
    return PairedFeatures(generator.standard_normal((N, 6)), generator.standard_normal((N, 4)), labels.astype(bool))


def learned(generator: np.random.Generator, **settings: Any) -> SSAHObjective:
    method = SSAH(n_bits=N_BITS, features=F, hidden=7, label_steps=3, **settings)
    objective = SSAHObjective(method, pairs_of(generator)).double()
    objective.start_epoch(0)
    return objective


def batch_of(generator: np.random.Generator) -> Batch:
    image, text = (torch.tensor(generator.standard_normal((B, N_BITS + F + C))).requires_grad_() for _ in "it")
    nothing = torch.zeros(B, 1)
    return Batch(torch.tensor(ROWS), nothing, nothing, image, text, torch.tanh(image), torch.tanh(text), 0)


def of_pair(pairwise: str, theta: float, shared: float) -> float:
    found = math.log(1 + math.exp(theta)) - shared * theta
    return found if pairwise == "likelihood" else 0.5 * found**2


def shares(labels: np.ndarray, i: int, j: int) -> float:
    return 1.0 if any(a and b for a, b in zip(labels[i], labels[j], strict=True)) else 0.0


def sign(value: float) -> float:
    return 1.0 if value >= 0 else -1.0


def of_pairs(pairwise: str, own: Any, rows: list[int], known: Any, labels: np.ndarray) -> float:
    total = 0.0
    for place, i in enumerate(rows):
        for j in range(N):
            total += of_pair(pairwise, inner(own[place], known[j]) / 2, shares(labels, i, j))
    return total / (len(rows) * N)


@pytest.mark.parametrize("pairwise", ["likelihood", "released"])
@pytest.mark.parametrize("binary", ["shared", "released"])
def test_the_loss_is_its_terms(generator: np.random.Generator, pairwise: Any, binary: Any) -> None:
    objective, batch = learned(generator, pairwise=pairwise, binary=binary, feature_weight=2.0), batch_of(generator)
    labels, teacher = objective.labels.int().numpy(), objective.teacher
    features, codes = teacher.features[objective.place].tolist(), teacher.codes[objective.place].tolist()
    terms = {name: float(term.detach()) for name, term in objective(batch).items()}
    own = {side: getattr(batch, f"{side}_code")[:, :N_BITS].tolist() for side in ("image", "text")}
    for side, real in (("image", batch.image_real), ("text", batch.text_real)):
        tapped, scores = real[:, N_BITS : N_BITS + F].tolist(), real[:, N_BITS + F :].tolist()
        assert terms[f"features_{side}"] == pytest.approx(2 * of_pairs(pairwise, tapped, ROWS, features, labels))
        assert terms[f"codes_{side}"] == pytest.approx(of_pairs(pairwise, own[side], ROWS, codes, labels))
        to_signs, missed = 0.0, 0.0
        for place, i in enumerate(ROWS):
            for k in range(N_BITS):
                all_three = own["image"][place][k] + own["text"][place][k] + codes[i][k]
                wanted = sign(all_three if binary == "shared" else own[side][place][k])
                to_signs += (wanted - own[side][place][k]) ** 2
            for c in range(C):
                missed += (1 / (1 + math.exp(-scores[place][c])) - labels[i][c]) ** 2
        assert terms[f"quantization_{side}"] == pytest.approx(to_signs / (B * N))
        assert terms[f"labels_{side}"] == pytest.approx(missed / (B * N))


@pytest.mark.parametrize("pairwise", ["likelihood", "released"])
def test_the_label_network_counts_each_row_of_labels_as_often_as_it_occurs(
    generator: np.random.Generator, pairwise: Any
) -> None:
    objective = learned(generator, pairwise=pairwise)
    labels, teacher, everything = objective.labels.int().numpy(), objective.teacher, list(range(N))
    assert len(teacher.rows) == 5  # of nine pairs
    own = teacher.parts()
    found = {name: float(term.detach()) for name, term in teacher.losses(objective.pairwise, own).items()}
    features, codes = own.features[objective.place].tolist(), own.outputs[objective.place].tolist()
    scores = torch.sigmoid(own.scores)[objective.place].tolist()
    expected = {
        "features": of_pairs(pairwise, features, everything, features, labels),
        "codes": of_pairs(pairwise, codes, everything, codes, labels),
        "quantization": sum((sign(h) - h) ** 2 for row in codes for h in row) / N**2,
        "labels": sum((scores[i][c] - labels[i][c]) ** 2 for i in range(N) for c in range(C)) / N**2,
    }
    assert found == pytest.approx(expected)
    assert torch.equal(own.outputs, teacher.codes)


def test_the_label_network_gets_better_and_then_stands(generator: np.random.Generator) -> None:
    objective = learned(generator)
    weights = dict.fromkeys(("features", "codes", "quantization", "labels"), 1.0)
    losses = []
    for steps in (1, 300):
        torch.manual_seed(0)
        again = SSAHObjective(objective.method, pairs_of(np.random.default_rng(1)))
        losses.append(again.teacher.learn(again.pairwise, weights, steps, 0.01))
    assert losses[1] < 0.8 * losses[0]
    torch.stack(list(objective(batch_of(generator)).values())).sum().backward()
    assert all(parameter.grad is None for parameter in objective.teacher.parameters())


@pytest.mark.parametrize("fooling", ["paper", "released"])
def test_whom_the_wish_to_fool_a_discriminator_moves(generator: np.random.Generator, fooling: Any) -> None:
    objective, batch = learned(generator, fooling=fooling), batch_of(generator)
    terms = objective(batch)
    value = objective.discriminators["image"](batch.image_real[:, N_BITS : N_BITS + F]).flatten().tolist()
    taken = sum(math.log(1 + math.exp(-v)) for v in value) / B / N
    assert float(terms["fooling_image"].detach()) == pytest.approx(taken)
    terms["fooling_image"].backward()
    moved = [parameter.grad is not None for parameter in objective.discriminators["image"].parameters()]
    gradient = batch.image_real.grad
    if fooling == "released":
        assert gradient is None
        assert all(moved)
        return
    assert gradient is not None
    assert not any(moved)
    outside = torch.cat([gradient[:, :N_BITS], gradient[:, N_BITS + F :]], dim=1)
    assert gradient[:, N_BITS : N_BITS + F].abs().sum() > 0
    assert outside.abs().sum() == 0


def test_a_discriminator_learns_from_features_that_do_not_move(generator: np.random.Generator) -> None:
    objective, batch = learned(generator), batch_of(generator)
    term = objective(batch)["discriminator_text"]
    against = objective.discriminators["text"]
    known = against(objective.teacher.features[objective.place[ROWS]]).flatten().tolist()
    own = against(batch.text_real[:, N_BITS : N_BITS + F]).flatten().tolist()
    expected = sum(math.log(1 + math.exp(-v)) for v in known) + sum(math.log(1 + math.exp(v)) for v in own)
    assert float(term.detach()) == pytest.approx(expected / B)
    term.backward()
    assert batch.text_real.grad is None
    assert all(parameter.grad is not None for parameter in against.parameters())


def test_a_tapped_net_shows_its_features_while_it_learns_only(generator: np.random.Generator) -> None:
    net = TappedNet(nn.Linear(6, F), nn.ReLU(), features=F, n_bits=N_BITS, classes=C)
    rows = torch.tensor(generator.standard_normal((B, 6))).float()
    parts = taps_of(net.train()(rows), N_BITS, C)
    assert parts.features.shape == (B, F)
    assert parts.scores.shape == (B, C)
    torch.testing.assert_close(parts.outputs, net.eval()(rows))
    torch.testing.assert_close(net.layers[-1](parts.features), parts.outputs)
    np.testing.assert_allclose(net.hash_function()(rows.numpy()), parts.outputs.detach().numpy(), atol=1e-5)
    without = taps_of(TappedNet(nn.Linear(6, F), features=F, n_bits=N_BITS, classes=0)(rows), N_BITS, 0)
    assert without.features.shape == (B, F)
    assert without.scores.shape == (B, 0)


@pytest.mark.parametrize("wrong", [{"pairwise": "squared"}, {"fooling": "never"}, {"features": 0}, {"label_steps": 0}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        SSAH(**wrong)
