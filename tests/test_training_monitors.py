"""What a fit notes of its codes without labels: against counting by hand, and what collapse looks like."""

from __future__ import annotations

import numpy as np
import pytest

from crossbit.evaluation.training_monitors import training_monitors
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.methods.cca_itq import CCAITQ
from crossbit.pairs import PairedFeatures
from crossbit.testing import planted_pairs
from objective_oracles import cosine


def linear(weight: np.ndarray, bias: np.ndarray) -> HashFunction:
    return HashFunction((Layer(weight.astype(np.float32), bias.astype(np.float32)),))


@pytest.fixture
def pairs(generator: np.random.Generator) -> PairedFeatures:
    return PairedFeatures(generator.standard_normal((9, 5)), generator.standard_normal((9, 4)))


def test_figures_are_counted_right(generator: np.random.Generator, pairs: PairedFeatures) -> None:
    weights = generator.standard_normal((5, 8)), generator.standard_normal((4, 8))
    hasher = Hasher(linear(weights[0], np.zeros(8)), linear(weights[1], np.zeros(8)))
    found = training_monitors(hasher, pairs)
    outputs = hasher.image(pairs.image).astype(float), hasher.text(pairs.text).astype(float)
    assert found["code_size"] == pytest.approx(np.mean([abs(np.tanh(v)) for v in outputs]), abs=1e-5)
    signs = [np.where(values >= 0, 1.0, -1.0) for values in outputs]
    couples = [(i, j) for i in range(9) for j in range(9) if i != j]
    cosines = [cosine(signs[0][i], signs[1][j]) for i, j in couples]
    assert found["cosine_spread"] == pytest.approx(np.std(cosines), abs=1e-5)
    centred = [side - side.mean(axis=0) for side in (pairs.image.astype(float), pairs.text.astype(float))]
    raw = [sum(cosine(side[i], side[j]) for side in centred) / 2 for i, j in couples]
    assert found["feature_agreement"] == pytest.approx(np.corrcoef(cosines, raw)[0, 1], abs=1e-4)
    assert set(found) > {"balanced_bits", "unique_image", "unique_text", "paired_distance", "pair_rank"}


def test_collapse_is_seen(pairs: PairedFeatures) -> None:
    always = [linear(np.zeros((d, 8)), np.full(8, 1e-3)) for d in (5, 4)]
    found = training_monitors(Hasher(always[0], always[1]), pairs)
    assert (found["cosine_spread"], found["feature_agreement"], found["balanced_bits"]) == (0, 0, 0)
    assert found["unique_image"] == pytest.approx(1 / 9)
    assert found["code_size"] == pytest.approx(1e-3, abs=1e-6)


def test_a_good_fit_notes_codes_that_keep_the_order_of_the_features() -> None:
    hasher = CCAITQ(n_bits=32).fit(planted_pairs(n=400).train)
    monitors = hasher.report["monitors"]
    assert monitors["feature_agreement"] > 0.3
    assert monitors["cosine_spread"] > 0.1
    assert monitors["pair_rank"] < 0.3


def test_only_so_many_pairs_are_looked_at(pairs: PairedFeatures) -> None:
    hasher = CCAITQ(n_bits=8).fit(pairs)
    few = pairs[np.array([0, 4, 8])]
    assert training_monitors(hasher, pairs, at_most=3) == training_monitors(hasher, few)
