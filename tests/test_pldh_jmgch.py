"""PLDH and JMGCH, both reconstructions: their objectives against plain loops over what their docstrings say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import SettingsError
from crossbit.methods.jmgch import JMGCH, JMGCHObjective
from crossbit.methods.pldh import PLDH, PLDHObjective
from crossbit.pairs import PairedFeatures
from crossbit.pseudo_labels import clusters_of, usual_number
from crossbit.training import Batch
from objective_oracles import cosine, cosines, djsrh_similarity, inner, jdsh_similarity, mean_square, scaled

N_BITS, N = 6, 9


def pairs_of(generator: np.random.Generator) -> PairedFeatures:
    return PairedFeatures(generator.standard_normal((N, 7)), generator.standard_normal((N, 4)))


def batch_of(generator: np.random.Generator, pairs: PairedFeatures, turn: str = "both") -> Batch:
    rows = torch.tensor([6, 1, 8, 3, 0])
    image, text = torch.tensor(pairs.image).double()[rows], torch.tensor(pairs.text).double()[rows]
    real = [torch.tensor(generator.standard_normal((len(rows), N_BITS))) for _ in range(2)]
    return Batch(rows, image, text, real[0], real[1], torch.tanh(real[0]), torch.tanh(real[1]), 0, turn)


def numbers(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


def mean_cosine(first: Any, second: Any) -> float:
    return sum(cosine(a, b) for a, b in zip(first, second, strict=True)) / len(first)


def pldh_target(objective: PLDHObjective, batch: Batch) -> list[list[float]]:
    """mu clip(S~ + w in one cluster, S~ - w in two), S~ as in DJSRH."""
    m, labels = objective.method, objective.labels[batch.rows].tolist()
    joint = djsrh_similarity(batch.image, batch.text, m.weight_image, m.eta)
    assert len(set(labels)) > 1, "the example needs pairs of different clusters"
    assert len(set(labels)) < len(labels), "and some of the same"
    return [
        [
            m.mu * min(1, max(-1, value + (m.cluster_pull if labels[i] == labels[j] else -m.cluster_pull)))
            for j, value in enumerate(row)
        ]
        for i, row in enumerate(joint)
    ]


def test_pldh_real_sweep_is_its_terms(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    batch, objective = batch_of(generator, pairs, "real"), PLDHObjective(PLDH(n_bits=N_BITS, clusters=3), pairs)
    image, text, target = batch.image_code, batch.text_code, pldh_target(objective, batch)
    between, of_images, of_texts = cosines(image, text), cosines(image, image), cosines(text, text)
    assert numbers(objective(batch)) == pytest.approx(
        {
            "between": mean_square(target, between),
            "within": 0.5 * (mean_square(target, of_images) + mean_square(target, of_texts)),
            "consistency": mean_square(between, of_images)
            + mean_square(between, of_texts)
            + mean_square(of_images, of_texts),
            "pair": -0.5 * mean_cosine(image, text),
        }
    )


def test_pldh_binary_sweep_meets_the_signs_of_the_other_modality(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    batch, objective = batch_of(generator, pairs, "binary"), PLDHObjective(PLDH(n_bits=N_BITS, clusters=3), pairs)
    image, text, target = batch.image_code, batch.text_code, pldh_target(objective, batch)
    signs = [[[1.0 if value >= 0 else -1.0 for value in row] for row in codes.tolist()] for codes in (image, text)]
    expected = mean_square(target, cosines(image, signs[1])) + mean_square(target, cosines(signs[0], text))
    assert numbers(objective(batch)) == pytest.approx({"binary": expected})
    assert PLDH().turns() == ("real", "binary")


def test_clusters_are_found_in_both_modalities_and_by_the_seed(generator: np.random.Generator) -> None:
    """Four groups, of which images tell two and texts the other two."""
    group = np.arange(80) % 4
    image = np.where(group[:, None] % 2, 3.0, -3.0) + 0.1 * generator.standard_normal((80, 5))
    text = np.where(group[:, None] // 2, 2.0, -2.0) + 0.1 * generator.standard_normal((80, 3))
    pairs = PairedFeatures(image, text)
    found = clusters_of(pairs, 4, 0.5, seed=3)
    assert len({(a, b) for a, b in zip(group.tolist(), found.tolist(), strict=True)}) == 4
    assert np.array_equal(found, clusters_of(pairs, 4, 0.5, seed=3))
    assert len(set(clusters_of(pairs[np.arange(3)], 8, 0.5, seed=0).tolist())) <= 3


def test_the_usual_number_of_clusters() -> None:
    assert [usual_number(n) for n in (2, 200, 5000)] == [2, 10, 50]


def jmgch_pair_codes(objective: JMGCHObjective, batch: Batch, joint: list[list[float]]) -> list[list[float]]:
    """tanh(A' relu(A' (X W1 + b1)) ...): A' = D^-1/2 max(S, 0) D^-1/2, the affine maps inside the sums."""
    b = len(joint)
    edges = [[max(value, 0.0) for value in row] for row in joint]
    degree = [sum(row) for row in edges]

    def convolve(rows: list[list[float]], layer: Any) -> list[list[float]]:
        weight, bias = layer.weight.tolist(), layer.bias.tolist()
        mapped = [[inner(unit, row) + c for unit, c in zip(weight, bias, strict=True)] for row in rows]
        return [
            [
                sum(edges[i][j] / math.sqrt(degree[i] * degree[j]) * mapped[j][k] for j in range(b))
                for k in range(len(bias))
            ]
            for i in range(b)
        ]

    sides = [net(rows).tolist() for net, rows in zip(objective.standardise, (batch.image, batch.text), strict=True)]
    joined = [[*image, *text] for image, text in zip(*sides, strict=True)]
    hidden = [[max(value, 0.0) for value in row] for row in convolve(joined, objective.first)]
    return [[math.tanh(value) for value in row] for row in convolve(hidden, objective.second)]


def test_jmgch_is_its_terms(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    batch = batch_of(generator, pairs)
    torch.manual_seed(0)
    objective = JMGCHObjective(JMGCH(n_bits=N_BITS, graph_hidden=5), pairs).double()
    joint = jdsh_similarity(batch.image, batch.text, 0.3, 0.3, 0.4)
    pair, target = jmgch_pair_codes(objective, batch, joint), scaled(joint, 1.2)
    image, text = batch.image_code, batch.text_code
    assert numbers(objective(batch)) == pytest.approx(
        {
            "between": mean_square(target, cosines(image, text)),
            "within": 0.5 * (mean_square(target, cosines(image, image)) + mean_square(target, cosines(text, text))),
            "graph": mean_square(target, cosines(pair, pair)),
            "follow": -0.5 * (mean_cosine(image, pair) + mean_cosine(text, pair)),
        }
    )


def test_jmgch_learns_its_convolutions_with_the_networks(generator: np.random.Generator) -> None:
    pairs = pairs_of(generator)
    method = JMGCH(n_bits=N_BITS, hidden=5, graph_hidden=5)
    image, text = method.networks(pairs)
    objective = method.objective(pairs)
    learned = {id(p) for group in method.optimiser(image, text, objective).param_groups for p in group["params"]}
    assert {id(p) for p in (*image.parameters(), *text.parameters(), *objective.parameters())} == learned
    assert len(list(objective.parameters())) == 4


@pytest.mark.parametrize(("kind", "wrong"), [(PLDH, "clusters"), (PLDH, "batch_size"), (JMGCH, "graph_hidden")])
def test_wrong_settings_are_refused(kind: Any, wrong: str) -> None:
    with pytest.raises(SettingsError, match=wrong):
        kind(**{wrong: 1 if wrong != "graph_hidden" else 0})
