"""CKDH, a reconstruction: teacher and student against plain loops over what its docstring says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.aligned_teacher import GraphAttention, canonical_space
from crossbit.errors import DataError, LabelError, MismatchError, SettingsError
from crossbit.methods.ckdh import CKDH, CKDHObjective
from crossbit.pairs import PairedFeatures
from crossbit.testing import planted_pairs
from crossbit.training import Batch
from objective_oracles import cosine, cosines, inner, likelihood, mean_square

N_BITS, N = 6, 9
QUICK: dict[str, Any] = {"hidden": 16, "epochs": 2, "teacher_epochs": 2, "neighbours": 4, "directions": 5}


def batch_of(generator: np.random.Generator, rows: list[int]) -> Batch:
    image, text = (torch.tensor(generator.standard_normal((len(rows), 3))) for _ in range(2))
    real = [torch.tensor(generator.standard_normal((len(rows), N_BITS))) for _ in range(2)]
    return Batch(torch.tensor(rows), image, text, real[0], real[1], torch.tanh(real[0]), torch.tanh(real[1]), 0)


def numbers(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


def expected_terms(alike: Any, target: Any, batch: Batch, m: CKDH) -> dict[str, float]:
    image, text = batch.image_code.tolist(), batch.text_code.tolist()
    signs = [
        [1.0 if a + b >= 0 else -1.0 for a, b in zip(*both, strict=True)] for both in zip(image, text, strict=True)
    ]
    within = mean_square(target, cosines(image, image)) + mean_square(target, cosines(text, text))
    return {
        "likelihood": likelihood(alike, image, text),
        "intra": m.intra * within,
        "inter": m.inter * mean_square(target, cosines(image, text)),
        "quantization": m.quantization * (mean_square(signs, image) + mean_square(signs, text)),
    }


def test_the_student_is_its_terms(generator: np.random.Generator) -> None:
    m = CKDH(n_bits=N_BITS, intra=0.7, inter=1.3, quantization=0.2)
    image, text = (torch.tensor(np.tanh(generator.standard_normal((N, N_BITS)))) for _ in range(2))
    batch = batch_of(generator, [6, 1, 8, 3])
    v, t = image[batch.rows].tolist(), text[batch.rows].tolist()
    taught = []
    for i in range(4):
        row = []
        for j in range(4):
            likely = 2 / (1 + math.exp(-inner(v[i], t[j]) / 2)) - 1
            within = (cosine(v[i], v[j]) + cosine(t[i], t[j])) / 2
            row.append((likely + within + (cosine(v[i], t[j]) + cosine(t[i], v[j])) / 2) / 3)
        taught.append(row)
    alike = [[(1 + value) / 2 for value in row] for row in taught]
    assert numbers(CKDHObjective(m, image, text)(batch)) == pytest.approx(expected_terms(alike, taught, batch, m))


def test_the_teacher_is_its_terms(generator: np.random.Generator) -> None:
    """Labels count as their cosine stretched to [-1, 1]; a pair without labels is like itself alone."""
    m = CKDH(n_bits=N_BITS, intra=0.7, inter=1.3, quantization=0.2, **QUICK)
    labels = generator.random((N, 3)) > 0.6
    labels[8] = False
    space = PairedFeatures(generator.standard_normal((N, 3)), generator.standard_normal((N, 3)), labels)
    batch = batch_of(generator, [6, 1, 8, 3])
    with torch.random.fork_rng():
        found = numbers(m.teacher().objective(space)(batch))
    chosen = labels[batch.rows.numpy()].astype(float).tolist()
    alike = [[float(i == j or inner(a, b) > 0) for j, b in enumerate(chosen)] for i, a in enumerate(chosen)]
    target = [[1.0 if i == j else 2 * cosine(a, b) - 1 for j, b in enumerate(chosen)] for i, a in enumerate(chosen)]
    assert 0 < sum(map(sum, alike)) < 16
    assert found == pytest.approx(expected_terms(alike, target, batch, m), rel=1e-6)


def test_attention_is_its_formula(generator: np.random.Generator) -> None:
    d, units, heads, k = 3, 4, 2, 5
    with torch.random.fork_rng():
        net = GraphAttention(d, units, heads).double()
    rows, around = (torch.tensor(generator.standard_normal(shape)) for shape in ((2, d), (2, k, d)))
    weight, back, bias = net.weight.weight.tolist(), net.back.weight.tolist(), net.back.bias.tolist()
    own, other = net.own.tolist(), net.other.tolist()
    for i in range(2):
        taken: list[float] = []
        for head in range(heads):
            lines = weight[2 * head : 2 * head + 2]
            mine = [inner(line, rows[i].tolist()) for line in lines]
            theirs = [[inner(line, around[i, j].tolist()) for line in lines] for j in range(k)]
            scores = [inner(own[head], mine) + inner(other[head], one) for one in theirs]
            raised = [math.exp(score if score > 0 else 0.2 * score) for score in scores]
            for unit in range(2):
                total = sum(a * one[unit] for a, one in zip(raised, theirs, strict=True)) / sum(raised)
                taken.append(total if total > 0 else math.exp(total) - 1)
        expected = [rows[i].tolist()[x] + inner(back[x], taken) + bias[x] for x in range(d)]
        assert net(rows, around)[i].tolist() == pytest.approx(expected)


def test_the_graph_is_the_texts_own_and_nearest(generator: np.random.Generator) -> None:
    space = PairedFeatures(generator.standard_normal((N, 3)), generator.standard_normal((N, 3)), np.ones((N, 1), bool))
    with torch.random.fork_rng():
        around = CKDH(n_bits=N_BITS, **QUICK).teacher().objective(space).around.tolist()
    for i, found in enumerate(around):
        others = sorted((j for j in range(N) if j != i), key=lambda j: -cosine(space.text[i], space.text[j]))
        assert found == [i, *others[:4]]


def test_labels_reach_the_student_through_the_teacher_alone() -> None:
    """Other labels after the teacher has learned change nothing: the student's loss holds none."""
    train = planted_pairs(n=60).train
    objective = CKDH(n_bits=N_BITS, **QUICK).objective(train)
    assert isinstance(objective, CKDHObjective)
    assert set(dict(objective.named_buffers())) == {"image_taught", "text_taught"}
    assert list(objective.parameters()) == []


def test_a_teacher_that_sees_other_features() -> None:
    train = planted_pairs(n=60).train
    space = canonical_space(train, 4)
    assert space.labels is None
    assert space.image.shape == space.text.shape == (len(train), 4)
    method = CKDH(n_bits=N_BITS, **QUICK)
    hasher = method.fit_under(train, space)
    assert hasher.image.width == train.image.shape[1]
    assert (hasher.method, hasher.settings) == ("ckdh", method.settings())
    assert hasher.report["taught_by"] == space.fingerprint()
    assert hasher.encode_images(train.image) == method.fit_under(train, space).encode_images(train.image)
    given = CKDH(n_bits=N_BITS, space="given", **QUICK)
    both = PairedFeatures(space.image, space.text, train.labels)
    assert given.fit(both).encode_texts(space.text) == given.fit_under(both, space).encode_texts(space.text)


def test_what_does_not_fit_is_refused() -> None:
    train = planted_pairs(n=60).train
    method = CKDH(n_bits=N_BITS, **QUICK)
    with pytest.raises(MismatchError, match="one width"):
        CKDH(n_bits=N_BITS, space="given", **QUICK).fit(PairedFeatures(train.image[:, :4], train.text, train.labels))
    with pytest.raises(MismatchError, match="same"):
        method.fit_under(train, canonical_space(train, 4)[np.arange(5)])
    with pytest.raises(LabelError, match="labels"):
        method.fit_under(train.without_labels(), canonical_space(train, 4))
    with pytest.raises(DataError, match="at least 2"):
        method.fit_under(train, PairedFeatures(np.zeros((len(train), 2)), np.ones((len(train), 2))))


@pytest.mark.parametrize(
    ("wrong", "value"),
    [("neighbours", 0), ("teacher_epochs", 0), ("attention_heads", 3), ("directions", 0), ("space", "clip")],
)
def test_wrong_settings_are_refused(wrong: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=wrong):
        CKDH(**{wrong: value})
