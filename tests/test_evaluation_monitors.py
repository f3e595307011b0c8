"""The agreement of a student with its teacher, measured without labels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from crossbit.errors import DataError
from crossbit.evaluation import teacher_agreement
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.methods.cca_itq import CCAITQ
from crossbit.methods.random_projection import RandomProjection
from crossbit.testing import planted_pairs

WORLD = planted_pairs(seed=3, n=300)


def test_a_hasher_agrees_with_itself_and_chance_does_not() -> None:
    taught = CCAITQ(n_bits=64).fit(WORLD.train)
    chance = RandomProjection(n_bits=64).fit(WORLD.train)
    assert teacher_agreement(taught, taught, WORLD.train) > 0.8
    assert abs(teacher_agreement(chance, taught, WORLD.train)) < 0.2


def test_it_is_the_rank_correlation_of_all_ordered_couples() -> None:
    # Four items on a line; the student turns the teacher's order around, and the two have other code lengths.
    teacher = Hasher(*[HashFunction((Layer(np.eye(2, 2), np.zeros(2)),))] * 2)
    turned = np.array([[1, 0, 1], [0, 1, 1]], np.float32)
    student = Hasher(HashFunction((Layer(turned, np.zeros(3)),)), HashFunction((Layer(-turned, np.zeros(3)),)))
    rng = np.random.default_rng(0)
    pairs = type(WORLD.pairs)(rows := rng.normal(size=(50, 2)), rows)
    same = Hasher(student.image, student.image)
    assert teacher_agreement(student, teacher, pairs) == pytest.approx(
        -teacher_agreement(same, teacher, pairs), abs=0.05
    )
    assert teacher_agreement(same, teacher, pairs) > 0.5


def test_it_is_the_rank_correlation_with_ties_at_their_mean() -> None:
    taught = CCAITQ(n_bits=8).fit(WORLD.train)
    pairs = WORLD.train[:40]
    teacher = CCAITQ(n_bits=16, seed=1).fit(WORLD.train)
    codes = taught.encode_images(pairs.image).signs() @ taught.encode_texts(pairs.text).signs().T
    outputs = [np.tanh(teacher.image(pairs.image)), np.tanh(teacher.text(pairs.text))]
    image, text = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in outputs)
    couples = [(i, j) for i in range(40) for j in range(40) if i != j]
    expected = spearmanr([codes[c] for c in couples], [(image @ text.T)[c] for c in couples]).statistic
    assert teacher_agreement(taught, teacher, pairs) == pytest.approx(expected, abs=1e-4)


def test_constant_codes_agree_with_nothing() -> None:
    dead = HashFunction((Layer(np.zeros((WORLD.train.image.shape[1], 8)), np.ones(8)),))
    text = HashFunction((Layer(np.zeros((WORLD.train.text.shape[1], 8)), np.ones(8)),))
    teacher = CCAITQ(n_bits=16).fit(WORLD.train)
    assert teacher_agreement(Hasher(dead, text), teacher, WORLD.train) == 0.0


def test_too_few_pairs() -> None:
    taught = CCAITQ(n_bits=8).fit(WORLD.train)
    with pytest.raises(DataError, match="at least 3 pairs; got 2"):
        teacher_agreement(taught, taught, WORLD.train[:2])
