"""DADH: its triplets and its codes against plain loops, and who is moved by the wish to fool a discriminator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import SettingsError
from crossbit.methods.dadh import DADH, DADHObjective
from crossbit.training import Batch
from crossbit.weighted_triplets import ranking_gains, weighted_triplets
from objective_oracles import cosine

N_BITS, F, ROWS = 4, 5, [3, 0, 5, 1]
LABELS = [[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 1, 1], [0, 1, 1]]


def objective_of(**settings: Any) -> DADHObjective:
    return DADHObjective(DADH(n_bits=N_BITS, widths=(F,), **settings), torch.tensor(LABELS).float()).double()


def batch_of(generator: np.random.Generator) -> Batch:
    image, text = (torch.tensor(generator.standard_normal((len(ROWS), N_BITS + F))).requires_grad_() for _ in "it")
    nothing = torch.zeros(len(ROWS), 1)
    return Batch(torch.tensor(ROWS), nothing, nothing, image, text, torch.tanh(image), torch.tanh(text), 0)


def gains_of(labels: list[list[int]]) -> list[list[float]]:
    found = []
    for own in labels:
        gains = [2 ** sum(a * b for a, b in zip(own, other, strict=True)) - 1 for other in labels]
        best = sum(gain / math.log2(place + 2) for place, gain in enumerate(sorted(gains, reverse=True)))
        found.append([gain / best for gain in gains])
    return found


def triplets_of(first: Any, second: Any, labels: list[list[int]], margin: float) -> float:
    """Every i, j, k of which i shares more with j than with k, with the distances 1 - cos."""
    gains, total, b = gains_of(labels), 0.0, len(labels)
    for i in range(b):
        for j in range(b):
            for k in range(b):
                if gains[i][j] > gains[i][k]:
                    near, far = (1 - cosine(first[i], second[x]) for x in (j, k))
                    total += (gains[i][j] - gains[i][k]) * max(0.0, near - far + margin)
    return total / b


def test_the_triplets_are_those_of_plain_loops(generator: np.random.Generator) -> None:
    labels = [LABELS[row] for row in ROWS]
    first, second = (torch.tensor(generator.standard_normal((len(ROWS), N_BITS))) for _ in "it")
    gains = ranking_gains(torch.tensor(labels).double())
    np.testing.assert_allclose(gains.numpy(), gains_of(labels))
    expected = triplets_of(first.tolist(), second.tolist(), labels, 0.4)
    assert expected > 0
    assert float(weighted_triplets(first, second, gains, 0.4)) == pytest.approx(expected)


def test_the_loss_is_its_terms(generator: np.random.Generator) -> None:
    objective, batch = objective_of(triplets=7.0, gain=3.0, margin=0.3), batch_of(generator)
    objective.start_epoch(0)
    terms = {name: float(term.detach()) for name, term in objective(batch).items()}
    labels = [LABELS[row] for row in ROWS]
    image, text = (code[:, :N_BITS].tolist() for code in (batch.image_code, batch.text_code))
    assert terms["image_to_text"] == pytest.approx(21 * triplets_of(image, text, labels, 0.3))
    assert terms["text_to_image"] == pytest.approx(21 * triplets_of(text, image, labels, 0.3))
    to_signs = 0.0
    for place, row in enumerate(ROWS):
        for k in range(N_BITS):
            wanted = float(objective.codes[row][k])
            to_signs += (wanted - image[place][k]) ** 2 + (wanted - text[place][k]) ** 2
    assert terms["quantization"] == pytest.approx(to_signs / len(ROWS))
    assert {name for name in terms if "_" in name} == {
        *("image_to_text", "text_to_image", "fooling_features", "fooling_codes"),
        *("discriminator_features", "discriminator_codes"),
    }


@pytest.mark.parametrize("mu", [1e-5, 50.0])
def test_the_codes_are_the_signs_of_what_labels_and_outputs_ask(generator: np.random.Generator, mu: float) -> None:
    objective, batch = objective_of(mu=mu), batch_of(generator)
    objective(batch)
    before, labels = objective.codes.numpy().copy(), np.array(LABELS, dtype=float)
    classes = np.linalg.inv(labels.T @ labels + np.eye(3)) @ labels.T @ before
    outputs = objective.seen.numpy().copy()
    for place, row in enumerate(ROWS):
        both = batch.image_code[place, :N_BITS] + batch.text_code[place, :N_BITS]
        np.testing.assert_allclose(outputs[row], both.detach().numpy())
    objective.start_epoch(1)
    expected = np.where(labels @ classes + mu / 2 * outputs >= 0, 1.0, -1.0)
    np.testing.assert_array_equal(objective.codes.numpy(), expected)
    if mu > 1:
        np.testing.assert_array_equal(expected[ROWS], np.where(outputs[ROWS] >= 0, 1.0, -1.0))


@pytest.mark.parametrize("level", ["features", "codes"])
def test_images_learn_to_pass_for_texts(generator: np.random.Generator, level: str) -> None:
    objective, batch = objective_of(), batch_of(generator)
    terms = objective(batch)
    terms[f"fooling_{level}"].backward(retain_graph=True)
    gradient = batch.image_real.grad
    assert gradient is not None
    assert batch.text_real.grad is None
    own, other = gradient[:, :N_BITS].abs().sum(), gradient[:, N_BITS:].abs().sum()
    assert (own > 0, other > 0) == (level == "codes", level == "features")
    assert all(parameter.grad is None for parameter in objective.discriminators.parameters())
    kept = gradient.clone()
    terms[f"discriminator_{level}"].backward()
    assert torch.equal(gradient, kept)
    assert batch.text_real.grad is None
    assert all(parameter.grad is not None for parameter in objective.discriminators[level].parameters())


@pytest.mark.parametrize("wrong", [{"widths": ()}, {"widths": (8, 0)}, {"batch_size": 1}])
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        DADH(**wrong)
