"""The planted world and its own score, which must agree with crossbit.evaluation although it shares no line with it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from crossbit.codes import Codes
from crossbit.errors import SettingsError
from crossbit.evaluation import PALL, mean_average_precision
from crossbit.testing import planted_pairs, planted_score


def test_the_same_seed_gives_the_same_world() -> None:
    first, again, other = planted_pairs(4), planted_pairs(4), planted_pairs(5)
    assert first.pairs.fingerprint() == again.pairs.fingerprint() != other.pairs.fingerprint()
    assert first.split.fingerprint() == again.split.fingerprint()
    np.testing.assert_array_equal(first.labels, again.labels)


def test_the_world_is_what_it_says() -> None:
    world = planted_pairs(0, 120, n_classes=5, d_image=9, d_text=7)
    assert (world.pairs.image.shape, world.pairs.text.shape, world.labels.shape) == ((120, 9), (120, 7), (120, 5))
    assert set(world.labels.sum(axis=1)) == {1, 2}
    assert (len(world.split.query), len(world.split.database), len(world.split.train)) == (20, 100, 80)
    assert set(world.split.train) <= set(world.split.database)
    world.split.check_duplicates(world.pairs)
    assert world.relevant().shape == (20, 100)


def test_the_world_can_be_learned_from_either_modality() -> None:
    """Pairs of one class lie closer together than others, in images and in texts."""
    world = planted_pairs(0)
    same = (world.labels.astype(int) @ world.labels.T.astype(int)) > 0
    np.fill_diagonal(same, False)
    for rows in (world.pairs.image, world.pairs.text):
        centred = rows - rows.mean(axis=0)
        unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        cosine = unit @ unit.T
        assert cosine[same].mean() > cosine[~same].mean() + 0.3


@pytest.mark.parametrize("wrong", [{"n": 11}, {"n_classes": 1}])
def test_a_world_too_small_to_split(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="12 pairs and 2 classes"):
        planted_pairs(**wrong)


def test_the_score_is_the_mean_over_all_orders_of_ties() -> None:
    queries = Codes.from_bits(np.array([[0, 0, 0]], dtype=bool))
    database = Codes.from_bits(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]], dtype=bool))
    relevant = np.array([[False, True, False, True, True, False]])
    scores = []
    for tied, last in itertools.product(itertools.permutations([1, 2, 3]), itertools.permutations([4, 5])):
        found = relevant[0][[0, *tied, *last]]
        precision = np.cumsum(found) / np.arange(1, 7)
        scores.append((precision * found).sum() / 3)
    assert planted_score(queries, database, relevant) == pytest.approx(np.mean(scores))


@pytest.mark.parametrize("n_bits", [3, 8, 20])
def test_the_score_agrees_with_the_evaluation(generator: np.random.Generator, n_bits: int) -> None:
    world = planted_pairs(2, 120)
    codes = Codes.from_bits(generator.random((120, n_bits)) < 0.4)
    query, database = world.split.query, world.split.database
    ours = planted_score(codes[query], codes[database], world.relevant())
    theirs = mean_average_precision(codes[query], codes[database], world.labels[query], world.labels[database], PALL)
    assert ours == pytest.approx(theirs, abs=1e-9)
