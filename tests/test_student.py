"""The student's loss against plain loops: cosine and likelihood, in the batch and on buffers, with all its terms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.distillation import Target
from crossbit.student import StudentLoss, StudentObjective, contrastive
from crossbit.training import Batch
from objective_oracles import Matrix, cosine, inner

N, N_BITS = 9, 5
PLAIN: dict[str, Any] = {
    "n_bits": N_BITS,
    "loss": "cosine",
    "compare": "batch",
    "mu": 1.0,
    "within": 0.0,
    "emphasis": 0.0,
}
PLAIN |= {"contrast": 0.0, "temperature": 0.2, "quantization": 0.0, "balance": 0.0, "prefixes": ()}
PLAIN |= {"prefix_weight": 1.0}


def target_of(generator: np.random.Generator, columns: list[int] | None = None, weighted: bool = False) -> Target:
    """Values of both signs, not symmetric, so that a transposed reading shows."""
    columns = list(range(N)) if columns is None else columns
    values = torch.tensor(generator.uniform(-1, 1, (N, len(columns))))
    weights = torch.tensor(generator.integers(0, 2, values.shape), dtype=torch.float64) if weighted else None
    return Target(values, torch.tensor(columns), weights)


def batch_of(generator: np.random.Generator, rows: list[int]) -> Batch:
    image, text = (torch.tensor(np.tanh(generator.standard_normal((len(rows), N_BITS)))) for _ in range(2))
    return Batch(torch.tensor(rows), image, text, image, text, image, text, 0)


def objective_of(target: Target, **settings: Any) -> StudentObjective:
    return StudentObjective(StudentLoss(**{**PLAIN, **settings}), target).double()


def difference(
    loss: str, mu: float, target: Matrix, weights: Matrix | None, first: Matrix, second: Matrix, emphasis: float = 0.0
) -> float:
    """Mean over entries (or weighted mean) of (cos - mu S)^2, or of log(1 + e^Theta) - max(S, 0) Theta.

    emphasis: near pairs weigh 1 + emphasis * max(S, 0)^2 times as much.
    """
    total, weight_sum = 0.0, 0.0
    for i in range(len(first)):
        for j in range(len(second)):
            s, weight = float(target[i][j]), 1.0 if weights is None else float(weights[i][j])
            if loss == "cosine":
                error = (cosine(first[i], second[j]) - mu * s) ** 2
            else:
                theta = inner(first[i], second[j]) / 2
                error = math.log(1 + math.exp(theta)) - max(s, 0.0) * theta
            weight *= 1 + emphasis * max(s, 0.0) ** 2
            total += weight * error
            weight_sum += weight
    return total / max(weight_sum, 1.0)


def parts(matrix: torch.Tensor, rows: list[int], columns: list[int] | None = None) -> list[list[float]]:
    columns = list(range(matrix.shape[1])) if columns is None else columns
    return [[float(matrix[i, j]) for j in columns] for i in rows]


@pytest.mark.parametrize("emphasis", [0.0, 4.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["cosine", "likelihood"])
def test_compared_with_the_batch(generator: np.random.Generator, loss: str, weighted: bool, emphasis: float) -> None:
    target, rows = target_of(generator, weighted=weighted), [7, 2, 5, 0]
    batch = batch_of(generator, rows)
    terms = objective_of(target, loss=loss, mu=1.3, within=0.6, emphasis=emphasis)(batch)
    values = parts(target.values, rows, rows)
    weights = None if target.weights is None else parts(target.weights, rows, rows)
    image, text = batch.image_code, batch.text_code

    def mean(first: Matrix, second: Matrix) -> float:
        return difference(loss, 1.3, values, weights, first, second, emphasis)

    assert set(terms) == {"between", "within"}
    assert float(terms["between"]) == pytest.approx(mean(image, text))
    within = mean(image, image) + mean(text, text)
    assert float(terms["within"]) == pytest.approx(0.6 * within)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["cosine", "likelihood"])
@pytest.mark.parametrize("columns", [None, [1, 2, 6, 7]])
def test_compared_with_buffers(
    generator: np.random.Generator, loss: str, weighted: bool, columns: list[int] | None
) -> None:
    """Two steps: the second one meets the codes that the first one left, and its own where a pair comes again."""
    target = target_of(generator, columns, weighted)
    # Columns for some pairs only can not be compared in the batch, so "batch" means buffers too.
    objective = objective_of(target, loss=loss, mu=0.8, within=0.5, compare="buffer" if columns is None else "batch")
    numbers = list(range(N)) if columns is None else columns
    last: dict[str, list[list[float]]] = {side: [[0.0] * N_BITS for _ in numbers] for side in ("image", "text")}
    for rows in ([7, 2, 5, 0], [2, 8, 6]):
        batch = batch_of(generator, rows)
        terms = objective(batch)
        for side, codes in (("image", batch.image_code), ("text", batch.text_code)):
            for place, row in enumerate(rows):
                if row in numbers:
                    last[side][numbers.index(row)] = codes[place].tolist()
        values = parts(target.values, rows)
        weights = None if target.weights is None else parts(target.weights, rows)

        def mean(first: Any, second: Any, values: Any = values, weights: Any = weights) -> float:
            return difference(loss, 0.8, values, weights, first, second)

        between = mean(batch.image_code, last["text"]) + mean(batch.text_code, last["image"])
        within = mean(batch.image_code, last["image"]) + mean(batch.text_code, last["text"])
        assert float(terms["between"]) == pytest.approx(between / 2)
        assert float(terms["within"]) == pytest.approx(0.5 * within)
    np.testing.assert_allclose(objective.image_buffer, last["image"])
    np.testing.assert_allclose(objective.text_buffer, last["text"])


def test_buffers_hold_no_gradient_and_are_kept_in_the_checkpoint(generator: np.random.Generator) -> None:
    objective = objective_of(target_of(generator), compare="buffer")
    code = torch.tensor(generator.standard_normal((2, N_BITS))).requires_grad_()
    terms = objective(Batch(torch.tensor([0, 1]), code, code, code, code, code, code, 0))
    assert not objective.image_buffer.requires_grad
    terms["between"].backward()
    assert code.grad is not None
    assert set(objective.state_dict()) == {"image_buffer", "text_buffer"}, "the target is made anew, not kept"


def test_an_undecided_entry_counts_nothing(generator: np.random.Generator) -> None:
    """Whatever the target says where its weight is 0, the loss stays; where it is 1, it does not."""
    target, batch = target_of(generator, weighted=True), batch_of(generator, list(range(N)))
    assert target.weights is not None
    before = float(objective_of(target)(batch)["between"])
    for weight, stays in ((0.0, True), (1.0, False)):
        values = torch.where(target.weights == weight, -target.values, target.values)
        after = float(objective_of(Target(values, target.columns, target.weights))(batch)["between"])
        assert (after == pytest.approx(before)) is stays


def test_a_batch_without_any_decided_entry_has_loss_0(generator: np.random.Generator) -> None:
    whole = target_of(generator)
    nothing = Target(whole.values, whole.columns, torch.zeros_like(whole.values))
    assert float(objective_of(nothing)(batch_of(generator, [1, 3]))["between"]) == 0.0


def test_contrast_is_the_cross_entropy_of_each_pair_in_both_directions(generator: np.random.Generator) -> None:
    batch = batch_of(generator, [3, 1, 4, 0])
    image, text = batch.image_code, batch.text_code
    total = 0.0
    for first, second in ((image, text), (text, image)):
        for i in range(4):
            chances = [math.exp(cosine(first[i], second[j]) / 0.3) for j in range(4)]
            total -= math.log(chances[i] / sum(chances)) / 4 / 2
    assert float(contrastive(image, text, 0.3)) == pytest.approx(total)
    terms = objective_of(target_of(generator), contrast=0.4, temperature=0.3)(batch)
    assert float(terms["contrast"]) == pytest.approx(0.4 * total)


def test_quantization_is_the_distance_to_the_shared_signs(generator: np.random.Generator) -> None:
    """B = sgn(F + G), one for both modalities, so a modality pays where its sign differs from the sum's."""
    batch = batch_of(generator, [3, 1, 4])
    total = 0.0
    for i in range(3):
        for k in range(N_BITS):
            image, text = float(batch.image_code[i, k]), float(batch.text_code[i, k])
            sign = 1.0 if image + text >= 0 else -1.0
            total += ((sign - image) ** 2 + (sign - text) ** 2) / (3 * N_BITS)
    terms = objective_of(target_of(generator), quantization=0.5)(batch)
    assert float(terms["quantization"]) == pytest.approx(0.5 * total)


def test_balance_is_the_square_of_each_bits_mean(generator: np.random.Generator) -> None:
    batch = batch_of(generator, [3, 1, 4])
    total = 0.0
    for codes in (batch.image_code, batch.text_code):
        for k in range(N_BITS):
            total += (sum(float(codes[i, k]) for i in range(3)) / 3) ** 2 / N_BITS
    terms = objective_of(target_of(generator), balance=2.0)(batch)
    assert float(terms["balance"]) == pytest.approx(2 * total)


@pytest.mark.parametrize("loss", ["cosine", "likelihood"])
@pytest.mark.parametrize("compare", ["batch", "buffer"])
def test_the_loss_is_stated_on_prefixes_too(generator: np.random.Generator, loss: str, compare: str) -> None:
    """The terms of the first 2 and 4 bits, as if there were no others, beside those of all 5."""
    target, rows = target_of(generator, weighted=True), [7, 2, 5, 0]
    settings: dict[str, Any] = {"loss": loss, "compare": compare, "within": 0.6, "emphasis": 3.0, "contrast": 0.4}
    batch = batch_of(generator, rows)
    whole = objective_of(target, **settings, quantization=0.3, balance=0.2)(batch)
    terms = objective_of(target, **settings, quantization=0.3, balance=0.2, prefixes=(2, 4), prefix_weight=0.7)(batch)
    assert {name: float(terms[name]) for name in whole} == {name: float(term) for name, term in whole.items()}
    assert len(terms) == len(whole) + 2 * len(("between", "within", "contrast"))
    for length in (2, 4):
        image, text = batch.image_code[:, :length], batch.text_code[:, :length]
        columns = rows if compare == "batch" else list(range(N))
        met: list[list[list[float]]] = [[[0.0] * length for _ in columns] for _ in range(2)]
        for place, row in enumerate(rows):
            for side, codes in enumerate((image, text)):
                met[side][columns.index(row)] = codes[place].tolist()
        values, weights = (
            parts(matrix, rows, columns) for matrix in (target.values, target.weights) if matrix is not None
        )

        def mean(first: Any, second: Any, values: Any = values, weights: Any = weights) -> float:
            return difference(loss, 1.0, values, weights, first, second, 3.0)

        between = mean(image, met[1]) if compare == "batch" else (mean(image, met[1]) + mean(text, met[0])) / 2
        assert float(terms[f"between_{length}"]) == pytest.approx(0.7 * between)
        assert float(terms[f"within_{length}"]) == pytest.approx(0.7 * 0.6 * (mean(image, met[0]) + mean(text, met[1])))
        own = 0.0
        for first, second in ((image, text), (text, image)):
            for i in range(4):
                chances = [math.exp(cosine(first[i], second[j]) / 0.2) for j in range(4)]
                own -= math.log(chances[i] / sum(chances)) / 4 / 2
        assert float(terms[f"contrast_{length}"]) == pytest.approx(0.7 * 0.4 * own)


def test_terms_of_weight_0_are_not_computed(generator: np.random.Generator) -> None:
    assert set(objective_of(target_of(generator))(batch_of(generator, [0, 1]))) == {"between"}
