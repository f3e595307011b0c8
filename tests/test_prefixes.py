"""Prefix codes: one model whose first bits are codes of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.methods.jdsh import JDSH
from crossbit.methods.kdcmh import KDCMH
from crossbit.methods.kdcmh_labels import KDCMHLabels
from crossbit.methods.random_projection import RandomProjection
from crossbit.testing import PlantedWorld, check_method, planted_pairs, planted_score
from crossbit.testing.settings import settings_from_toml, settings_to_toml

QUICK: dict[str, Any] = {"epochs": 15, "hidden": 64, "teacher": JDSH(n_bits=32, epochs=8, hidden=64)}


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return planted_pairs(seed=4, n=240)


def score(hasher: Hasher, world: PlantedWorld) -> float:
    query, database = world.pairs[world.split.query], world.pairs[world.split.database]
    images, texts = hasher.encode_images, hasher.encode_texts
    return (
        planted_score(images(query.image), texts(database.text), world.relevant())
        + planted_score(texts(query.text), images(database.image), world.relevant())
    ) / 2


def test_learned_prefixes_are_better_codes_than_first_bits_are(world: PlantedWorld) -> None:
    taught = KDCMH(n_bits=64, prefixes=(8, 16), **QUICK)
    teacher = taught.fit_teacher(world.train)
    nested = taught.fit_student(world.train, teacher)
    plain = KDCMH(n_bits=64, **QUICK).fit_student(world.train, teacher)
    for n_bits in (8, 16):
        assert score(nested.prefix(n_bits), world) > score(plain.prefix(n_bits), world) + 0.02
    assert score(nested, world) > score(plain, world) - 0.06, "what the whole code pays for them"


def test_without_prefixes_their_weight_moves_no_code(world: PlantedWorld) -> None:
    quick = {**QUICK, "epochs": 2}
    one, other = (KDCMH(n_bits=16, prefix_weight=weight, **quick).fit(world.train) for weight in (1.0, 5.0))
    np.testing.assert_array_equal(one.image(world.pairs.image), other.image(world.pairs.image))
    assert not any("_" in name for name in one.report["loss"])
    nested = KDCMH(n_bits=16, prefixes=(8,), **quick).fit(world.train)
    assert {"between_8", "within_8", "contrast_8"} < set(nested.report["loss"])


def test_any_taught_method_takes_prefixes(world: PlantedWorld) -> None:
    hasher = KDCMHLabels(n_bits=16, prefixes=(4, 8), epochs=40, hidden=64).fit(world.train)
    assert score(hasher.prefix(4), world) > score(RandomProjection(n_bits=16).fit(world.train), world) + 0.2


@pytest.mark.parametrize("wrong", [(16,), (8, 4), (4, 4), (0, 4), (2.5,), (True, 4), (-1,), ("8",)])
def test_prefixes_that_are_refused(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(SettingsError, match="prefixes are rising code lengths from 1 to below n_bits = 16"):
        KDCMH(n_bits=16, prefixes=wrong)


def test_a_prefix_weight_is_above_0() -> None:
    with pytest.raises(SettingsError, match="prefix_weight must be above 0"):
        KDCMH(prefix_weight=0.0)


def test_prefixes_come_back_from_a_file() -> None:
    method = KDCMH(prefixes=(16, 32), prefix_weight=0.5)
    assert settings_from_toml(KDCMH, settings_to_toml(method.settings())) == method
    assert method.with_settings({"prefixes": [16, 32]}) == method


def test_with_prefixes_it_passes_the_conformance_suite() -> None:
    for check in check_method(KDCMH, epochs=15, hidden=128, prefixes=(4,)):
        check()
