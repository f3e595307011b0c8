"""DHSL, a reconstruction: its objective and its networks against plain loops over what its docstring says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import LabelError, SettingsError
from crossbit.methods.dhsl import DHSL, DHSLObjective, with_themselves
from crossbit.pairs import PairedFeatures
from crossbit.relation_net import RelationNet
from crossbit.selecting_net import SelectingNet
from crossbit.training import Batch
from objective_oracles import cosines, inner, mean_square

N_BITS, N = 6, 9
QUICK: dict[str, Any] = {"hidden": 16, "narrow": 8, "selected_units": 5, "relation_units": 4}


def pairs_of(generator: np.random.Generator) -> PairedFeatures:
    """Nine pairs with three labels; pair 1 has two, pair 3 all, pair 8 none."""
    labels = np.eye(3, dtype=bool)[np.arange(N) % 3]
    labels[1, 0], labels[3], labels[8] = True, True, False
    return PairedFeatures(generator.standard_normal((N, 8)), generator.standard_normal((N, 4)), labels)


def batch_of(generator: np.random.Generator, rows: list[int]) -> Batch:
    image, text = (torch.tensor(generator.standard_normal((len(rows), 3))) for _ in range(2))
    real = [torch.tensor(generator.standard_normal((len(rows), N_BITS))) for _ in range(2)]
    return Batch(torch.tensor(rows), image, text, real[0], real[1], torch.tanh(real[0]), torch.tanh(real[1]), 0)


def numbers(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


def shared_labels(labels: Any) -> list[list[int]]:
    found = [[sum(int(a and b) for a, b in zip(one, other, strict=True)) for other in labels] for one in labels]
    for i, row in enumerate(found):
        row[i] = max(row[i], 1)
    return found


def gains_of(shared: list[list[int]]) -> list[list[float]]:
    found = []
    for row in shared:
        best = sorted((2**count - 1 for count in row), reverse=True)
        ideal = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(best))
        found.append([(2**count - 1) / ideal for count in row])
    return found


def triplets(found: Any, gains: list[list[float]], margin: float) -> float:
    total, count = 0.0, 0
    n = len(gains)
    for i in range(n):
        for j in range(n):
            for k in range(n):
                weight = gains[i][j] - gains[i][k]
                if weight > 0:
                    total += weight * max((1 - found[i][j]) - (1 - found[i][k]) + margin, 0)
                    count += 1
    return total / count


def related(net: RelationNet, first: Any, second: Any) -> list[list[float]]:
    """The MLP on the concatenation, one couple at a time."""
    lines = torch.cat([net.first.weight, net.second.weight, net.product], dim=1).tolist()
    found = []
    for a in first:
        row = []
        for b in second:
            joined = [*a, *b, *(x * y for x, y in zip(a, b, strict=True))]
            hidden = [
                max(inner(line, joined) + bias, 0) for line, bias in zip(lines, net.first.bias.tolist(), strict=True)
            ]
            value = inner(net.last.weight.tolist()[0], hidden) + net.last.bias.item()
            row.append(1 / (1 + math.exp(-value)))
        found.append(row)
    return found


def test_dhsl_is_its_terms(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    m = DHSL(n_bits=N_BITS, within=0.6, similarity=0.7, triplets=3.0, margin=0.3, quantization=0.2, **QUICK)
    with torch.random.fork_rng():
        objective = DHSLObjective(m, torch.tensor(pairs.labels).double()).double()
    batch = batch_of(generator, [6, 1, 8, 3, 2])
    assert pairs.labels is not None
    shared = shared_labels(pairs.labels[batch.rows.numpy()].tolist())
    gains, alike = gains_of(shared), [[float(count > 0) for count in row] for row in shared]
    image, text = batch.image_code.tolist(), batch.text_code.tolist()
    couples = {"across": (1.0, image, text), "image": (0.6, image, image), "text": (0.6, text, text)}
    expected = {"relation": 0.0, "similarity": 0.0, "triplets": 0.0}
    for kind, (weight, first, second) in couples.items():
        net = objective.relations[kind]
        assert isinstance(net, RelationNet)
        learned, found = related(net, first, second), cosines(first, second)
        expected["relation"] += weight * mean_square(alike, learned)
        expected["similarity"] += 0.7 * weight * mean_square(learned, [[(1 + c) / 2 for c in row] for row in found])
        expected["triplets"] += 3.0 * weight * triplets(found, gains, 0.3)
        if kind == "across":
            expected["triplets"] += 3.0 * triplets(cosines(second, first), gains, 0.3)
    signs = [
        [1.0 if a + b >= 0 else -1.0 for a, b in zip(*rows, strict=True)] for rows in zip(image, text, strict=True)
    ]
    expected["quantization"] = 0.2 * (mean_square(signs, image) + mean_square(signs, text))
    assert min(expected.values()) > 0
    assert numbers(objective(batch)) == pytest.approx(expected)


def test_the_learned_similarity_is_held_fixed_where_codes_follow_it(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    with torch.random.fork_rng():
        objective = DHSLObjective(DHSL(n_bits=N_BITS, **QUICK), torch.tensor(pairs.labels).double()).double()
    batch = batch_of(generator, [6, 1, 8, 3])
    batch.image_code.requires_grad_()
    objective(batch)["similarity"].backward()
    assert batch.image_code.grad is not None
    assert all(parameter.grad is None for parameter in objective.parameters())
    objective(batch)["relation"].backward()
    assert all(parameter.grad is not None for parameter in objective.parameters())


def test_a_pair_without_labels_is_like_itself_alone() -> None:
    labels = with_themselves(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]))
    assert (labels @ labels.T).tolist() == [
        *([1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]),
    ]


def test_a_batch_with_nothing_to_tell_apart_has_no_triplets(generator: np.random.Generator) -> None:
    with torch.random.fork_rng():
        objective = DHSLObjective(DHSL(n_bits=N_BITS, **QUICK), torch.ones(N, 2).double()).double()
    terms = numbers(objective(batch_of(generator, [6, 1, 8])))
    assert terms["triplets"] == 0
    assert all(terms[name] > 0 for name in ("relation", "similarity", "quantization"))


def test_plain_layers_are_the_network(generator: np.random.Generator) -> None:
    features = pairs_of(generator).image
    with torch.random.fork_rng():
        net = DHSL(n_bits=N_BITS, **QUICK).network(features)
        for _ in range(3):
            net.train()(torch.tensor(features))  # moves the running means
    expected = net.eval()(torch.tensor(features)).detach().numpy()
    found = net.hash_function()
    assert [layer.weight.shape for layer in found.layers] == [(8, 21), (21, 13), (13, N_BITS)]
    np.testing.assert_allclose(found(features), expected, rtol=1e-4, atol=1e-5)


def test_selected_units_see_the_features_of_the_largest_gates_alone(generator: np.random.Generator) -> None:
    """A quarter of eight features is two; the others' gates learn as if they were let through."""
    with torch.random.fork_rng():
        net = DHSL(n_bits=N_BITS, **QUICK).network(pairs_of(generator).image)
    assert isinstance(net, SelectingNet)
    with torch.no_grad():
        net.gates.copy_(torch.tensor([0.0, 3.0, -1.0, 0.5, 2.0, 1.0, -2.0, 0.0]))
    gate = net.gate()
    expected = [0.0] * 8
    expected[1], expected[4] = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-2))
    assert gate.tolist() == pytest.approx(expected)
    gate.sum().backward()
    assert net.gates.grad is not None
    assert (net.gates.grad > 0).all()
    selected = net.hash_function().layers[0].weight[:, -5:]
    assert sorted(np.flatnonzero(np.abs(selected).sum(axis=1))) == [1, 4]


@pytest.mark.parametrize(
    ("wrong", "value"),
    [("narrow", 0), ("selected_units", 0), ("relation_units", 0), ("selected_share", 0.0), ("selected_share", 1.1)],
)
def test_wrong_settings_are_refused(wrong: str, value: float) -> None:
    settings: dict[str, Any] = {wrong: value}
    with pytest.raises(SettingsError, match=wrong):
        DHSL(**settings)


def test_missing_labels_are_an_error(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator).without_labels()
    with pytest.raises(LabelError, match="labels"):
        DHSL(n_bits=N_BITS).fit(pairs)
    with pytest.raises(LabelError, match="labels"):
        DHSL(n_bits=N_BITS).objective(pairs)
