"""Prefixes of codes: the first bits alone, and the hasher that gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossbit.codes import Codes
from crossbit.errors import SettingsError, WidthError
from crossbit.hasher import Hasher
from crossbit.methods.cca_itq import CCAITQ
from crossbit.testing import PlantedWorld, planted_pairs


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return planted_pairs(seed=4, n=240)


@pytest.mark.parametrize("n_bits", [1, 7, 8, 9, 16, 20])
def test_a_prefix_is_the_first_bits(generator: np.random.Generator, n_bits: int) -> None:
    bits = generator.random((13, 20)) < 0.5
    codes = Codes.from_bits(bits)
    assert codes.prefix(n_bits) == Codes.from_bits(bits[:, :n_bits])
    assert codes == Codes.from_bits(bits), "the whole codes stay as they are"


@pytest.mark.parametrize(("n_bits", "error"), [(0, SettingsError), (-3, SettingsError), (21, WidthError)])
def test_prefixes_that_there_are_not(generator: np.random.Generator, n_bits: int, error: type[Exception]) -> None:
    codes = Codes.from_bits(generator.random((2, 20)) < 0.5)
    with pytest.raises(error, match=f"{n_bits}"):
        codes.prefix(n_bits)


def test_a_hashers_prefix_gives_prefixes_and_is_a_hasher_of_its_own(world: PlantedWorld, tmp_path: Path) -> None:
    hasher = CCAITQ(n_bits=20).fit(world.train)
    short = hasher.prefix(9)
    assert short.n_bits == 9
    assert short.encode_images(world.pairs.image) == hasher.encode_images(world.pairs.image).prefix(9)
    assert short.encode_texts(world.pairs.text) == hasher.encode_texts(world.pairs.text).prefix(9)
    assert short.fingerprint() != hasher.fingerprint() == short.report["prefix_of"]
    short.save(tmp_path / "short.safetensors")
    assert Hasher.load(tmp_path / "short.safetensors").fingerprint() == short.fingerprint()
    with pytest.raises(WidthError, match="A prefix of 21 bits cannot be taken from 20-bit codes"):
        hasher.prefix(21)
