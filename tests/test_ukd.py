"""UKD: what a teacher finds related, and the student's loss, against plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.methods.cca_sign import CCASign
from crossbit.methods.dcmh import DCMH
from crossbit.methods.ugach import UGACH
from crossbit.methods.ukd import UKD, UKDObjective
from crossbit.pairs import PairedFeatures
from crossbit.related import nearest_related
from crossbit.training import Batch
from objective_oracles import cosine, inner, likelihood

N_BITS, N = 6, 10


def pairs_of(generator: np.random.Generator, n: int = N) -> PairedFeatures:
    return PairedFeatures(generator.standard_normal((n, 5)), generator.standard_normal((n, 4)))


def taught(generator: np.random.Generator) -> tuple[PairedFeatures, Hasher, dict[str, list[list[float]]]]:
    """Pairs, a teacher, and its outputs as 2 sigmoid - 1."""
    pairs = pairs_of(generator)
    teacher = CCASign(n_bits=4).fit(pairs)
    outputs = {"image": teacher.image(pairs.image).tolist(), "text": teacher.text(pairs.text).tolist()}
    codes = {
        side: [[2 / (1 + math.exp(-value)) - 1 for value in row] for row in rows] for side, rows in outputs.items()
    }
    return pairs, teacher, codes


def nearest(rows: list[list[float]], alike: str, k: int) -> list[set[int]]:
    def far(i: int, j: int) -> float:
        return -cosine(rows[i], rows[j]) if alike == "cosine" else math.dist(rows[i], rows[j])

    return [set(sorted(range(N), key=lambda j: far(i, j))[:k]) for i in range(N)]


@pytest.mark.parametrize("alike", ["cosine", "euclidean"])
@pytest.mark.parametrize("sides", [("image", "text"), ("image",), ("text",)])
@pytest.mark.parametrize("whole_up_to", [N, N - 1])
def test_related_are_the_nearest_of_either_list(
    generator: np.random.Generator, alike: Any, sides: tuple[str, ...], whole_up_to: int
) -> None:
    pairs, teacher, codes = taught(generator)
    by: Any = "both" if len(sides) == 2 else sides[0]
    method = UKD(n_bits=N_BITS, related_share=0.3, related_by=by, alike_by=alike, whole_up_to=whole_up_to)
    objective = UKDObjective(method, method.distil(pairs, teacher))
    lists = [nearest(codes[side], alike, 3) for side in sides]
    rows = [8, 0, 3]
    expected = [[float(any(j in near[i] for near in lists)) for j in range(N)] for i in rows]
    assert objective.similarity(torch.tensor(rows)).tolist() == expected
    assert (objective.known is not None) == (whole_up_to == N)


def objective_on(generator: np.random.Generator, **settings: Any) -> tuple[UKDObjective, list[list[float]]]:
    pairs, teacher, _ = taught(generator)
    method = UKD(n_bits=N_BITS, **settings)
    objective = UKDObjective(method, method.distil(pairs, teacher)).double()
    return objective, objective.similarity(torch.arange(N)).tolist()


@pytest.mark.parametrize("turn", ["image", "text"])
@pytest.mark.parametrize("loss", ["likelihood", "squared"])
@pytest.mark.parametrize("quantise_to", ["shared", "own"])
def test_the_loss_is_its_equation_on_buffers(
    generator: np.random.Generator, turn: str, loss: Any, quantise_to: Any
) -> None:
    objective, alike = objective_on(generator, loss=loss, quantise_to=quantise_to, gamma=0.7)
    objective.start_epoch(0)
    rows = [6, 1, 4]
    before = {"image": objective.image_outputs.clone(), "text": objective.text_outputs.clone()}
    other = before["text" if turn == "image" else "image"]
    own = torch.tanh(torch.tensor(generator.standard_normal((3, N_BITS))))
    nothing = own.new_empty(0, N_BITS)
    codes = (own, nothing) if turn == "image" else (nothing, own)
    terms = objective(Batch(torch.tensor(rows), own, own, *codes, *codes, 0, turn))
    if loss == "likelihood":
        expected = likelihood([alike[row] for row in rows], own, other)
    else:
        expected = 0.0
        for place, row in enumerate(rows):
            for j in range(N):
                theta = inner(own[place], other[j]) / 2
                expected += (alike[row][j] * theta - math.log(1 + math.exp(theta))) ** 2 / 2 / (3 * N)
    to_signs = 0.0
    for place, row in enumerate(rows):
        for k in range(N_BITS):
            shared = 1.0 if before["image"][row][k] + before["text"][row][k] >= 0 else -1.0
            sign = shared if quantise_to == "shared" else (1.0 if own[place][k] >= 0 else -1.0)
            to_signs += (sign - float(own[place][k])) ** 2
    assert {name: float(term) for name, term in terms.items()} == pytest.approx(
        {f"{loss}_{turn}": expected, "quantization": 0.7 * to_signs / (3 * N)}
    )
    after = objective.image_outputs if turn == "image" else objective.text_outputs
    assert torch.equal(after[rows], own)
    untouched = objective.text_outputs if turn == "image" else objective.image_outputs
    assert torch.equal(untouched, other)


def test_a_batch_finds_what_the_whole_finds(generator: np.random.Generator) -> None:
    outputs = torch.tensor(generator.standard_normal((2, 300, 8)), dtype=torch.float32)
    related = nearest_related(outputs, 40, by_cosine=True)
    whole = related.rows(torch.arange(300))
    assert whole.diagonal().all()
    assert 40 <= int(whole.sum(dim=1).min()) <= int(whole.sum(dim=1).max()) <= 80
    for rows in ([7], [299, 0, 12]):
        assert torch.equal(related.rows(torch.tensor(rows)), whole[rows])


def test_the_teacher_is_ugach_with_triplets_within_and_gets_the_seed(generator: np.random.Generator) -> None:
    assert UKD().teacher == UGACH(n_bits=128, within=0.1)
    teacher = UGACH(n_bits=8, epochs=2, pretraining=1, hidden=4)
    fitted = UKD(n_bits=4, teacher=teacher, seed=5).fit_teacher(pairs_of(generator))
    assert fitted.settings["seed"] == 5
    with pytest.raises(SettingsError, match="dcmh needs labels"):
        UKD(teacher=DCMH())


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"loss is one of .* got 'hinge'"):
        UKD(loss="hinge")  # type: ignore[arg-type]  # what is to be refused
