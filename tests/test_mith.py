"""MITH: its objective against plain loops, its networks and the plain layers that they become."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crossbit.concept_net import ConceptNet, WholeConcepts, parts_of
from crossbit.errors import LabelError, SettingsError
from crossbit.methods.mith import MITH, MITHObjective
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch
from objective_oracles import Matrix, cosine, likelihood

N_BITS, WIDTH, SIGHT, N, ROWS = 5, 4, 3, 7, [6, 1, 3, 0]
LABELS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1]], dtype=bool)
WEIGHTS = {"intra": 0.7, "inter": 1.3, "quantization": 0.9, "contrast": 1.7, "concepts": 0.4, "temperature": 0.3}


def pairs_of(generator: np.random.Generator, d_image: int = 8, d_text: int = 6) -> PairedFeatures:
    rows = [generator.standard_normal((N, d)).astype(np.float32) for d in (d_image, d_text)]
    return PairedFeatures(*rows, LABELS)


def method_of(**settings: Any) -> MITH:
    return MITH(n_bits=N_BITS, hidden=WIDTH, concept_units=6, sight=SIGHT, **settings)


def objective_of(**settings: Any) -> MITHObjective:
    with torch.random.fork_rng():
        return MITHObjective(method_of(**settings), torch.tensor(LABELS).float()).double()


def batch_of(generator: np.random.Generator) -> Batch:
    shape = (len(ROWS), 2 * N_BITS + WIDTH + N_BITS * SIGHT)
    image, text = (torch.tensor(generator.standard_normal(shape)).requires_grad_() for _ in "it")
    nothing = torch.zeros(len(ROWS), 1)
    return Batch(torch.tensor(ROWS), nothing, nothing, image, text, torch.tanh(image), torch.tanh(text), 0)


def taken_apart(rows: Tensor) -> tuple[Any, Any, Any, Any]:
    """Whole and local codes, features, and sights as lists: per item, per bit."""
    whole, local, features, sights = [], [], [], []
    for row in rows.tolist():
        whole.append([math.tanh(value) for value in row[:N_BITS]])
        local.append([math.tanh(value) for value in row[N_BITS : 2 * N_BITS]])
        features.append(row[2 * N_BITS : 2 * N_BITS + WIDTH])
        rest = row[2 * N_BITS + WIDTH :]
        sights.append([rest[SIGHT * k : SIGHT * (k + 1)] for k in range(N_BITS)])
    return whole, local, features, sights


def info_nce(first: Matrix, second: Matrix, temperature: float) -> float:
    """The mean of -log softmax at the own place, over rows and over columns."""
    k, total = len(first), 0.0
    for i in range(k):
        rows = [math.exp(cosine(first[i], second[j]) / temperature) for j in range(k)]
        columns = [math.exp(cosine(first[j], second[i]) / temperature) for j in range(k)]
        total -= math.log(rows[i] / sum(rows)) + math.log(columns[i] / sum(columns))
    return total / (2 * k)


def remembered(bank: Tensor, codes: Matrix) -> list[list[float]]:
    """The bank with the batch's codes in it."""
    found = bank.tolist()
    for row, code in zip(ROWS, codes, strict=True):
        found[row] = list(code)
    return found


def square(first: Matrix, second: Matrix) -> float:
    return sum((a - b) ** 2 for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True))


def mapped(linear: torch.nn.Linear, rows: Matrix) -> list[list[float]]:
    weight, bias = linear.weight.tolist(), linear.bias.tolist()
    return [
        [sum(w * x for w, x in zip(line, row, strict=True)) + b for line, b in zip(weight, bias, strict=True)]
        for row in rows
    ]


def test_the_objective_is_its_terms(generator: np.random.Generator) -> None:
    objective = objective_of(**WEIGHTS, distillation=0.6, back=0.2, whole_share=0.7)
    batch = batch_of(generator)
    banks = {name: getattr(objective, name) for name in ("image_whole", "text_whole", "image_local", "text_local")}
    (g_i, t_i, x_i, z_i), (g_t, t_t, x_t, z_t) = taken_apart(batch.image_real), taken_apart(batch.text_real)
    alike = [[int((LABELS[i] & other).any()) for other in LABELS] for i in ROWS]
    intra = likelihood(alike, t_i, remembered(banks["image_local"], t_i))
    intra += likelihood(alike, t_t, remembered(banks["text_local"], t_t))
    inter = likelihood(alike, g_i, remembered(banks["text_whole"], g_t))
    inter += likelihood(alike, g_t, remembered(banks["image_whole"], g_i))
    b, quantization = len(ROWS), 0.0
    for i in range(b):
        for k in range(N_BITS):
            sign = 1 if 0.7 * (g_i[i][k] + g_t[i][k]) + 0.3 * (t_i[i][k] + t_t[i][k]) >= 0 else -1
            quantization += ((g_i[i][k] + t_i[i][k]) / 2 - sign) ** 2 + ((g_t[i][k] + t_t[i][k]) / 2 - sign) ** 2
    bits = sum(
        info_nce(mapped(objective.image_sights, z_i[i]), mapped(objective.text_sights, z_t[i]), 0.3) for i in range(b)
    )
    apart = square(g_i, t_i) + square(g_t, t_t)
    assert {name: float(term.detach()) for name, term in objective(batch).items()} == pytest.approx(
        {
            "intra": 0.7 * intra,
            "inter": 1.3 * inter,
            "quantization": 0.9 * quantization / (b * N_BITS),
            "contrast": 1.7 * info_nce(x_i, x_t, 0.3),
            "concepts": 1.7 * 0.4 * bits / b,
            "distillation": 0.6 * (1 + 0.2) * apart / b,
        }
    )


def test_the_whole_teaches_the_concepts_more_than_they_teach_it(generator: np.random.Generator) -> None:
    """The two halves of the distillation have one value and two gradients."""
    batch, back = batch_of(generator), 0.25
    (gradient,) = torch.autograd.grad(objective_of(back=back)(batch)["distillation"], batch.image_real)
    parts = parts_of(batch.image_real.detach(), N_BITS, WIDTH)
    gap = 2 * (parts.local - parts.whole) / len(ROWS)
    torch.testing.assert_close(gradient[:, N_BITS : 2 * N_BITS], gap * (1 - parts.local**2))
    torch.testing.assert_close(gradient[:, :N_BITS], -back * gap * (1 - parts.whole**2))
    assert not gradient[:, 2 * N_BITS :].any()


def test_what_a_pair_was_coded_as_is_remembered_without_a_gradient(generator: np.random.Generator) -> None:
    objective, batch = objective_of(), batch_of(generator)
    before = objective.text_local.clone()
    torch.stack(list(objective(batch).values())).sum().backward()
    left = [row for row in range(N) if row not in ROWS]
    torch.testing.assert_close(objective.text_local[left], before[left])
    torch.testing.assert_close(objective.text_local[ROWS], torch.tanh(batch.text_real[:, N_BITS : 2 * N_BITS].detach()))
    torch.testing.assert_close(objective.image_whole[ROWS], torch.tanh(batch.image_real[:, :N_BITS].detach()))
    assert not objective.text_local.requires_grad


def test_signs_pull_but_are_not_moved(generator: np.random.Generator) -> None:
    """A code that is its sign already, and one that no share of the concepts can turn."""
    objective = objective_of(quantization=1.0)
    real = torch.zeros(2, 2 * N_BITS + WIDTH + N_BITS * SIGHT, dtype=torch.float64)
    real[:, : 2 * N_BITS] = 40.0
    real[1, :N_BITS] = -40.0
    batch = Batch(torch.tensor([0, 1]), real, real, real, real, real, real, 0)
    terms = objective(batch)
    # The second pair's whole says -1, its concepts +1: their mean is 0, a distance of 1 from -1 in both modalities.
    assert float(terms["quantization"]) == pytest.approx(2 * (0 + 1) / 2)


def test_a_network_is_its_formula(generator: np.random.Generator) -> None:
    """One item through both branches, by loops over concepts and places."""
    with torch.random.fork_rng():
        net = ConceptNet((), WholeConcepts(WIDTH, 6, N_BITS), WIDTH, N_BITS, SIGHT).double().train()
    vector = torch.tensor(generator.random(WIDTH))

    def step(name: str, rows: Any) -> Any:
        at = net.get_submodule(name)
        kept = [[max(value, 0.0) for value in row] for row in mapped(at.inner, rows)]  # type: ignore[arg-type]  # it is a layer
        moved = mapped(at.outer, kept)  # type: ignore[arg-type]  # it is a layer
        return [[a + b for a, b in zip(x, y, strict=True)] for x, y in zip(rows, moved, strict=True)]

    (features,) = step("whole.second", step("whole.first", [vector.tolist()]))
    seen = mapped(net.sights, [vector.tolist()])[0]
    sights = [seen[SIGHT * k : SIGHT * (k + 1)] for k in range(N_BITS)]
    mixed = step("between", [[sights[k][j] for k in range(N_BITS)] for j in range(SIGHT)])
    sights = step("within", [[mixed[j][k] for j in range(SIGHT)] for k in range(N_BITS)])
    weights, biases = net.bitwise.tolist(), net.bitwise_bias.tolist()
    local = [sum(w * z for w, z in zip(weights[k], sights[k], strict=True)) + biases[k] for k in range(N_BITS)]
    whole = [sum(w * x for w, x in zip(row, features, strict=True)) for row in net.whole.concepts.weight.tolist()]
    expected = [*whole, *local, *features, *(value for sight in sights for value in sight)]
    np.testing.assert_allclose(net(vector[None])[0].tolist(), expected)
    np.testing.assert_allclose(net.eval()(vector[None])[0].tolist(), np.add(whole, local))


@pytest.mark.parametrize("n_bits", [1, 8, 33])
def test_the_hash_function_is_the_network_as_plain_layers(generator: np.random.Generator, n_bits: int) -> None:
    pairs = pairs_of(generator)
    method = MITH(n_bits=n_bits, hidden=WIDTH, concept_units=6, sight=SIGHT)
    with torch.random.fork_rng():
        for net, rows in zip(method.networks(pairs), (pairs.image, pairs.text), strict=True):
            with torch.no_grad():
                for values in net.parameters():
                    values.add_(0.3 * torch.randn_like(values))
                net(torch.tensor(rows))  # moves the batch normalisation off its start
                expected = net.eval()(torch.tensor(rows))
            function = net.hash_function()
            np.testing.assert_allclose(function(rows), expected.numpy(), rtol=1e-4, atol=1e-5)
            assert [layer.activation for layer in function.layers] == ["relu", "relu", "relu", "linear"]


def test_the_signs_of_the_outputs_are_those_of_both_codes_together(generator: np.random.Generator) -> None:
    """The paper takes the sign of tanh g + tanh t; that is the sign of g + t."""
    whole, local = generator.standard_normal((2, 1000))
    np.testing.assert_array_equal(np.tanh(whole) + np.tanh(local) >= 0, whole + local >= 0)


def test_the_modalities_share_what_finds_concepts_and_it_learns_once(generator: np.random.Generator) -> None:
    pairs, method = pairs_of(generator), method_of()
    with torch.random.fork_rng():
        image, text = method.networks(pairs)
        objective = method.objective(pairs)
    networks, own = method.optimiser(image, text, objective).param_groups
    learning = [id(parameter) for parameter in networks["params"]]
    shared = {id(parameter) for parameter in image.whole.parameters()}
    assert image.whole is text.whole
    assert len(learning) == len(set(learning))
    assert set(learning) == {id(p) for net in (image, text) for p in net.parameters()}
    assert shared < set(learning)
    assert {id(p) for p in own["params"]} == {id(p) for p in objective.parameters()}


def test_an_item_is_coded_alone(generator: np.random.Generator) -> None:
    """Nothing of the other modality, nor of other items, reaches a code."""
    pairs = pairs_of(generator)
    hasher = method_of(epochs=2, batch_size=3).fit(pairs)
    whole = hasher.encode_images(pairs.image)
    hasher.encode_texts(generator.standard_normal(pairs.text.shape))
    for row in range(N):
        np.testing.assert_array_equal(hasher.encode_images(pairs.image[row : row + 1]).packed[0], whole.packed[row])


def test_missing_labels_are_an_error(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator).without_labels()
    with pytest.raises(LabelError, match="labels"):
        method_of().fit(pairs)
    with pytest.raises(LabelError, match="labels"):
        method_of().objective(pairs)


@pytest.mark.parametrize(
    ("wrong", "value"),
    [("concept_units", 0), ("sight", 0), ("temperature", 0.0), ("whole_share", 1.5), ("batch_size", 1)],
)
def test_wrong_settings_are_refused(wrong: str, value: float) -> None:
    with pytest.raises(SettingsError, match=wrong):
        MITH(**{wrong: value})  # type: ignore[arg-type]  # the wrong value is the point
