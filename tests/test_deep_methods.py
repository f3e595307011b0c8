"""DJSRH, JDSH and DCMH: each objective against plain loops over its paper's equations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.distribution import Distribution
from crossbit.errors import LabelError, SettingsError
from crossbit.methods.dcmh import DCMH, DCMHObjective
from crossbit.methods.djsrh import DJSRH, DJSRHObjective
from crossbit.methods.jdsh import JDSH, JDSHObjective
from crossbit.pairs import PairedFeatures
from crossbit.training import Batch
from objective_oracles import (
    cosine,
    cosines,
    djsrh_similarity,
    inner,
    jdsh_similarity,
    jdsh_weighted,
    likelihood,
    mean_square,
    scaled,
)

N_BITS = 6


def doubles(generator: np.random.Generator, *shape: int) -> Any:
    return torch.tensor(generator.standard_normal(shape))


def batch_of(generator: np.random.Generator, b: int = 5, turn: str = "both") -> Batch:
    """A batch in float64, with features of both signs, one of them a row of zeros."""
    image, text = doubles(generator, b, 7), doubles(generator, b, 4).abs()
    text[2] = 0
    image_real, text_real = doubles(generator, b, N_BITS), doubles(generator, b, N_BITS)
    return Batch(
        torch.arange(b), image, text, image_real, text_real, torch.tanh(image_real), torch.tanh(text_real), 0, turn
    )


def numbers(terms: dict[str, Any]) -> dict[str, float]:
    return {name: float(term) for name, term in terms.items()}


@pytest.mark.parametrize("settings", [{}, {"beta": 0.3, "eta": 0.7, "mu": 1.1, "lambda_image": 0.3}])
def test_djsrh_is_its_equations(generator: np.random.Generator, settings: dict[str, float]) -> None:
    batch, method = batch_of(generator), DJSRH(n_bits=N_BITS, **settings)
    objective = DJSRHObjective(method)
    expected = djsrh_similarity(batch.image, batch.text, method.beta, method.eta)
    np.testing.assert_allclose(objective.similarity(batch.image, batch.text), expected, atol=1e-9)
    target = scaled(expected, method.mu)
    image, text = batch.image_code, batch.text_code
    assert numbers(objective(batch)) == pytest.approx(
        {
            "between": mean_square(target, cosines(image, text)),
            "within_image": method.lambda_image * mean_square(target, cosines(image, image)),
            "within_text": method.lambda_text * mean_square(target, cosines(text, text)),
        }
    )


def test_djsrh_has_the_published_settings() -> None:
    method = DJSRH()
    assert (method.beta, method.eta, method.mu) == (0.9, 0.4, 1.5)
    assert (method.lambda_image, method.lambda_text, method.batch_size, method.epochs) == (0.1, 0.1, 32, 80)
    assert (method.learning_rate_image, method.learning_rate_text) == (0.001, 0.01)
    assert (method.momentum, method.weight_decay) == (0.9, 5e-4)
    assert [method.alpha(epoch) for epoch in (0, 3, 15)] == [1, 2, 4]


# A distribution in whose reach some pairs of the batch lie: left of it, in it, right of it and below 0, above 0.
REACH = Distribution(mode=-0.15, left=0.05, right=0.02, low=-0.7, high=0.8)


def jdsh_on(batch: Batch, **settings: Any) -> JDSHObjective:
    pairs = PairedFeatures(batch.image.numpy(), batch.text.numpy())
    objective = JDSHObjective(JDSH(n_bits=N_BITS, batch_size=3, **settings), pairs)
    objective.distribution = REACH
    return objective


def test_jdsh_joins_the_similarities_as_published(generator: np.random.Generator) -> None:
    batch = batch_of(generator)
    objective = jdsh_on(batch, weight_image=0.4, weight_text=0.25, weight_cross=0.35)
    expected = jdsh_similarity(batch.image, batch.text, 0.4, 0.25, 0.35)
    np.testing.assert_allclose(objective.joint(batch.image, batch.text), expected, atol=1e-9)


@pytest.mark.parametrize("mode", ["published", "centred", "clamped", "off"])
def test_jdsh_weighs_what_is_decided(generator: np.random.Generator, mode: Any) -> None:
    batch = batch_of(generator, b=9)
    objective = jdsh_on(batch, dsdw=mode)
    joint = objective.joint(batch.image, batch.text)
    left, right = -0.15 - 2 * 0.05, -0.15 + 4 * 0.02
    assert (joint < left).any(), "the example reaches no pair that is surely unlike"
    assert ((joint > right) & (joint < 0)).any(), "the example reaches no pair on which the modes differ"
    expected = {
        "published": lambda: jdsh_weighted(joint, left, right, REACH.low, REACH.high, 0.1, 0.2),
        "centred": lambda: jdsh_weighted(joint, left, right, REACH.low, REACH.high, 0.1, 0.2, origin=REACH.mode),
        "clamped": lambda: jdsh_weighted(joint, left, 0.0, REACH.low, REACH.high, 0.1, 0.2),
        "off": lambda: joint,
    }[mode]()
    np.testing.assert_allclose(objective.weigh(joint), expected, atol=1e-9)


def test_centred_weights_never_make_alike_pairs_less_alike(generator: np.random.Generator) -> None:
    """What the departure from the published rule is for; the published rule does the opposite on this batch."""
    batch = batch_of(generator, b=9)
    joint = jdsh_on(batch).joint(batch.image, batch.text)
    alike = joint > REACH.thresholds(2, 4)[1]
    assert (jdsh_on(batch, dsdw="centred").weigh(joint) > joint)[alike].all()
    assert (jdsh_on(batch, dsdw="published").weigh(joint) < joint)[alike].any()


@pytest.mark.parametrize("mode", ["published", "centred"])
def test_jdsh_is_its_loss(generator: np.random.Generator, mode: Any) -> None:
    batch = batch_of(generator)
    objective = jdsh_on(batch, dsdw=mode)
    left, right = REACH.thresholds(2, 4)
    origin = REACH.mode if mode == "centred" else 0.0
    joint = jdsh_similarity(batch.image, batch.text, 0.5, 0.1, 0.4)
    target = scaled(jdsh_weighted(joint, left, right, REACH.low, REACH.high, 0.1, 0.2, origin), 1.4)
    image, text = batch.image_code, batch.text_code
    assert numbers(objective(batch)) == pytest.approx(
        {
            "between": mean_square(target, cosines(image, text)) + mean_square(target, cosines(text, image)),
            "within_image": 0.1 * mean_square(target, cosines(image, image)),
            "within_text": 0.1 * mean_square(target, cosines(text, text)),
            "pair": -sum(cosine(a, b) for a, b in zip(image, text, strict=True)) / len(image),
        }
    )


def test_jdsh_measures_its_distribution_on_the_pairs_at_hand(generator: np.random.Generator) -> None:
    """With batches as large as the pairs there is only one batch, whose values can be listed."""
    pairs = PairedFeatures(generator.standard_normal((12, 7)), generator.standard_normal((12, 4)))
    objective = JDSHObjective(JDSH(n_bits=N_BITS, batch_size=32), pairs)
    joint = np.array(jdsh_similarity(pairs.image.tolist(), pairs.text.tolist(), 0.5, 0.1, 0.4))
    off = joint[~np.eye(12, dtype=bool)]
    low, high = np.percentile(off, [0.1, 99.9])
    assert objective.distribution.low == pytest.approx(low, abs=0.02)  # S_h is symmetric, but not its rounding
    assert objective.distribution.high == pytest.approx(high, abs=0.02)
    assert off.min() < objective.distribution.mode < off.max() < 0.99, "the diagonal must not be among the values"


def test_jdsh_caps_the_slope_and_refuses_unknown_weighting() -> None:
    assert [JDSH().alpha(epoch) for epoch in (0, 8, 99, 299)] == [1, 3, 10, 10]
    with pytest.raises(SettingsError, match=r"dsdw .* got 'none'"):
        JDSH(dsdw="none")  # type: ignore[arg-type]  # what is to be refused


def dcmh_on(generator: np.random.Generator, n: int = 8, **settings: Any) -> tuple[DCMHObjective, Any]:
    """The objective in float64, on labels of which some are shared, and the labels' similarity by loops."""
    labels = torch.tensor(generator.random((n, 3)) < 0.4, dtype=torch.float64)
    objective = DCMHObjective(DCMH(n_bits=N_BITS, **settings), labels).double()
    alike = [[1.0 if inner(labels[i], labels[j]) > 0 else 0.0 for j in range(n)] for i in range(n)]
    assert 0 < sum(map(sum, alike)) < n * n
    return objective, alike


@pytest.mark.parametrize("turn", ["text", "image"])
def test_dcmh_is_its_equation_on_buffers(generator: np.random.Generator, turn: str) -> None:
    """J / (m n) for the network in turn: likelihood against all buffered outputs, gamma ||B - F||^2, eta ||F'1||^2."""
    objective, alike = dcmh_on(generator, gamma=0.7, eta=0.3)
    objective.start_epoch(0)
    rows, n = [6, 1, 4], 8
    image_before, text_before = objective.image_outputs.clone(), objective.text_outputs.clone()
    own = doubles(generator, 3, N_BITS)
    nothing = own.new_empty(0, N_BITS)
    reals = (own, nothing) if turn == "image" else (nothing, own)
    terms = objective(Batch(torch.tensor(rows), own, own, *reals, *reals, 0, turn))
    other = text_before if turn == "image" else image_before
    signs = [[1.0 if image_before[i][k] + text_before[i][k] >= 0 else -1.0 for k in range(N_BITS)] for i in range(n)]
    to_signs, balance = 0.0, 0.0
    for place, row in enumerate(rows):
        for k in range(N_BITS):
            to_signs += (signs[row][k] - float(own[place][k])) ** 2
    for k in range(N_BITS):
        balance += sum(float(own[place][k]) for place in range(3)) ** 2
    assert numbers(terms) == pytest.approx(
        {
            f"likelihood_{turn}": likelihood([alike[row] for row in rows], own, other),
            "quantization": 0.7 * to_signs / (3 * n),
            "balance": 0.3 * balance / (3 * n),
        }
    )


def test_dcmh_refreshes_the_buffer_of_the_network_in_turn_and_no_other(generator: np.random.Generator) -> None:
    objective, _ = dcmh_on(generator)
    image, text = objective.image_outputs.clone(), objective.text_outputs.clone()
    own = doubles(generator, 2, N_BITS).requires_grad_()
    nothing = own.new_empty(0, N_BITS)
    terms = objective(Batch(torch.tensor([5, 0]), own, own, nothing, own, nothing, own, 0, "text"))
    assert torch.equal(objective.image_outputs, image)
    assert torch.equal(objective.text_outputs[[5, 0]], own.detach())
    others = [1, 2, 3, 4, 6, 7]
    assert torch.equal(objective.text_outputs[others], text[others])
    assert not objective.text_outputs.requires_grad
    terms["likelihood_text"].backward()  # what the step read is still there
    assert own.grad is not None


def test_dcmh_refreshes_its_codes_before_each_epoch_only(generator: np.random.Generator) -> None:
    objective, _ = dcmh_on(generator)
    objective.image_outputs[0, :2] = torch.tensor([1.0, -2.0])
    objective.text_outputs[0, :2] = torch.tensor([-1.0, 1.0])
    objective.start_epoch(0)
    assert objective.codes[0, :2].tolist() == [1, -1], "zero counts as +1"
    before = objective.codes.clone()
    own = doubles(generator, 2, N_BITS) * 100
    objective(Batch(torch.tensor([5, 0]), own, own, own, own[:0], own, own[:0], 0, "image"))
    assert torch.equal(objective.codes, before)
    objective.start_epoch(1)
    assert not torch.equal(objective.codes, before)


def test_dcmh_learns_in_turns_without_tanh_and_needs_labels(generator: np.random.Generator) -> None:
    assert DCMH().turns() == ("text", "image")
    pairs = PairedFeatures(generator.standard_normal((4, 3)), generator.standard_normal((4, 3)))
    with pytest.raises(LabelError, match="dcmh is supervised"):
        DCMH().objective(pairs)


def test_dcmh_likelihood_stays_finite_for_long_codes(generator: np.random.Generator) -> None:
    """log(1 + exp(Theta)) as released overflows at Theta of 89 in float32."""
    objective = DCMHObjective(DCMH(n_bits=128), torch.ones(4, 1))
    objective.image_outputs.fill_(10.0)
    own = torch.full((2, 128), 10.0)
    terms = objective(Batch(torch.tensor([0, 1]), own, own, own[:0], own, own[:0], own, 0, "text"))
    assert all(math.isfinite(float(term)) for term in terms.values())
