"""Calibrated confidence: against a plain transcription, on worlds whose probabilities are known, and as files."""

from __future__ import annotations

import dataclasses
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbit.calibration import Calibration, calibrate, falling_ratios
from crossbit.codes import Codes
from crossbit.errors import DataError, FileFormatError, SettingsError, WidthError
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.pairs import PairedFeatures

N_BITS = 32


def noisy_world(n: int, seed: int, flip: float = 0.2) -> PairedFeatures:
    """Pairs whose codes under `signs_hasher` are random bits, a share of which differs between image and text."""
    rng = np.random.default_rng(seed)
    image = np.where(rng.random((n, N_BITS)) < 0.5, 1.0, -1.0)
    text = np.where(rng.random((n, N_BITS)) < flip, -image, image)
    return PairedFeatures(image, text)


@pytest.fixture
def signs_hasher() -> Hasher:
    """Codes are the signs of the features."""
    function = HashFunction((Layer(np.eye(N_BITS, dtype=np.float32), np.zeros(N_BITS, dtype=np.float32)),))
    return Hasher(function, function, "made-up")


def binomial(p: float) -> np.ndarray:
    """The chance of each number of differing bits."""
    from math import comb

    return np.array([comb(N_BITS, d) * p**d * (1 - p) ** (N_BITS - d) for d in range(N_BITS + 1)])


def test_the_probability_is_the_known_one(signs_hasher: Hasher) -> None:
    """Both distributions of distances are binomial here, so that Bayes' rule gives the probability."""
    found = calibrate(signs_hasher, noisy_world(4000, 0), seed=0)
    for beside in (1.0, 9.0):
        known = binomial(0.2) / (binomial(0.2) + beside * binomial(0.5))
        often = binomial(0.2) + binomial(0.5) > 0.01  # distances at which many pairs lie
        given_ = found.confidence(np.arange(N_BITS + 1), "T2I", random_per_match=beside)
        np.testing.assert_allclose(given_[often], known[often], atol=0.06)


def test_what_is_claimed_for_new_pairs_comes_true(signs_hasher: Hasher) -> None:
    """Of new pairs with a confidence about p, a share of about p are true, one true pair to nine random ones."""
    found = calibrate(signs_hasher, noisy_world(1000, 1), seed=0)
    new = noisy_world(3000, 2)
    images, texts = signs_hasher.encode_images(new.image), signs_hasher.encode_texts(new.text)
    true = (images.bits() != texts.bits()).sum(axis=1)
    shifted = [(images.bits() != np.roll(texts.bits(), by, axis=0)).sum(axis=1) for by in range(1, 10)]
    distances = np.concatenate([true, *shifted])
    is_true = np.arange(len(distances)) < len(true)
    claimed = found.confidence(distances, "I2T", random_per_match=9)
    checked = [p for p in np.unique(claimed) if (claimed == p).sum() >= 300]
    assert min(checked) < 0.01
    assert max(checked) > 0.95
    for p in checked:
        assert abs(is_true[claimed == p].mean() - p) < 0.06


def plain_ratios(true: list[int], random: list[int]) -> list[float]:
    """Pool adjacent violators one step at a time, on counts; the ratio of the smoothed shares of each pool."""

    def ratio(pool: tuple[int, int], pools: int) -> float:
        return ((pool[0] + 0.5) / (sum(true) + 0.5 * pools)) / ((pool[1] + 0.5) / (sum(random) + 0.5 * pools))

    pools: list[tuple[int, int, list[int]]] = []
    for distance, (t, r) in enumerate(zip(true, random, strict=True)):
        if t + r == 0:
            continue
        pools.append((t, r, [distance]))
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] <= pools[-1][0] * pools[-2][1]:
            (t1, r1, d1), (t2, r2, d2) = pools[-2:]
            pools[-2:] = [(t1 + t2, r1 + r2, d1 + d2)]
    values = {pool[2][-1]: ratio(pool[:2], len(pools)) for pool in pools}
    ends = sorted(values)
    return [values[next((end for end in ends if end >= d), ends[-1])] for d in range(len(true))]


@pytest.mark.parametrize("seed", range(20))
def test_ratios_are_what_a_plain_loop_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    true = rng.poisson(np.linspace(40, 2, 17)) * (rng.random(17) < 0.8)
    random = rng.poisson(np.linspace(5, 900, 17)) * (rng.random(17) < 0.8)
    expected = plain_ratios(true.tolist(), random.tolist())
    found = falling_ratios(true, random)
    if np.all(np.diff(expected) <= 0):  # else the half pairs turned pools round, and those are pooled again
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert (np.diff(found) <= 0).all()


counts = st.lists(st.integers(0, 1000), min_size=9, max_size=9).filter(any)


@given(true=counts, random=counts)
def test_ratios_fall_and_are_finite_whatever_was_counted(true: list[int], random: list[int]) -> None:
    ratios = falling_ratios(np.array(true), np.array(random))
    assert ratios.shape == (9,)
    assert np.isfinite(ratios).all()
    assert (ratios > 0).all()
    assert (np.diff(ratios) <= 0).all()


def test_few_pairs_claim_less_than_many() -> None:
    few = falling_ratios(np.array([3, 0, 0]), np.array([0, 50, 50]))
    many = falling_ratios(np.array([300, 0, 0]), np.array([0, 5000, 5000]))
    assert 1 < few[0] < many[0]


def test_more_random_items_lower_every_confidence(signs_hasher: Hasher) -> None:
    found = calibrate(signs_hasher, noisy_world(200, 3))
    distances = np.arange(N_BITS + 1)
    low, high = (found.confidence(distances, "I2T", random_per_match=r) for r in (1, 1000))
    assert (low > high).all()
    assert ((high > 0) & (low <= 1)).all()
    np.testing.assert_array_equal(
        found.confidence(distances, "I2T"),
        found.confidence(distances, "I2T", random_per_match=found.random_per_match),
    )


@pytest.mark.parametrize("least", [0.0, 0.2, 0.5, 0.9, 0.999, 1.0])
def test_the_distance_for_a_confidence_is_the_largest(signs_hasher: Hasher, least: float) -> None:
    found = calibrate(signs_hasher, noisy_world(300, 4))
    all_of_them = found.confidence(np.arange(N_BITS + 1), "T2I", random_per_match=20)
    place = found.distance_for(least, "T2I", random_per_match=20)
    assert (all_of_them[: place + 1] >= least).all()
    assert (all_of_them[place + 1 :] < least).all()


def test_directions_differ_when_the_searched_items_do(signs_hasher: Hasher) -> None:
    held_out, others = noisy_world(200, 5), noisy_world(400, 6)
    same = calibrate(signs_hasher, held_out)
    np.testing.assert_array_equal(same.i2t, same.t2i)
    assert same.random_pairs == 200 * 199
    lopsided = PairedFeatures(others.image, np.ones_like(others.text))
    found = calibrate(signs_hasher, held_out, others=lopsided)
    assert found.random_pairs == 200 * 400
    assert not np.array_equal(found.i2t, found.t2i)


def test_pairs_without_a_modality_are_left_out(signs_hasher: Hasher) -> None:
    world = noisy_world(60, 7)
    text = world.text.copy()
    text[:20] = 0
    found = calibrate(signs_hasher, PairedFeatures(world.image, text))
    assert found.pairs == 40
    np.testing.assert_array_equal(found.i2t, calibrate(signs_hasher, world[np.arange(20, 60)]).i2t)


def test_too_few_pairs_are_refused(signs_hasher: Hasher) -> None:
    with pytest.raises(DataError, match=r"30 or more held-out pairs .* got 29"):
        calibrate(signs_hasher, noisy_world(29, 0))


def test_many_random_pairs_are_sampled_by_the_seed(signs_hasher: Hasher) -> None:
    held_out, others = noisy_world(300, 8), noisy_world(10_000, 9)
    first, again, other = (calibrate(signs_hasher, held_out, others=others, seed=seed) for seed in (0, 0, 1))
    assert first.random_pairs == 2_000_000
    np.testing.assert_array_equal(first.i2t, again.i2t)
    assert not np.array_equal(first.i2t, other.i2t)


def test_what_cannot_be_asked(signs_hasher: Hasher) -> None:
    found = calibrate(signs_hasher, noisy_world(50, 0))
    with pytest.raises(SettingsError, match="Within one modality"):
        found.confidence(np.array([1]), "I2I")  # type: ignore[arg-type]  # what the error is for
    with pytest.raises(DataError, match="from 0 to 32"):
        found.confidence(np.array([33]), "I2T")
    with pytest.raises(DataError, match="whole numbers"):
        found.confidence(np.array([0.5]), "I2T")  # type: ignore[arg-type]  # what the error is for
    for bad in (-0.1, 1.1, float("nan")):
        with pytest.raises(SettingsError, match="from 0 to 1"):
            found.distance_for(bad, "I2T")
    for beside in (-1, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="random_per_match"):
            found.confidence(np.array([1]), "I2T", random_per_match=beside)


@pytest.mark.parametrize("ratios", [[1.0], [1.0, 2.0], [1.0, 0.0], [np.nan, 1.0], [[1.0, 0.5]]])
def test_what_no_calibration_can_be(ratios: list[float]) -> None:
    with pytest.raises(DataError):
        Calibration(np.array(ratios), np.array(ratios), 30, 900)


def test_a_hasher_file_keeps_it_and_its_fingerprint(signs_hasher: Hasher, tmp_path: Path) -> None:
    found = calibrate(signs_hasher, noisy_world(100, 1), random_per_match=49)
    calibrated = signs_hasher.with_calibration(found)
    assert calibrated.fingerprint() == signs_hasher.fingerprint()
    calibrated.save(tmp_path / "hasher")
    again = Hasher.load(tmp_path / "hasher")
    assert again.calibration is not None
    assert again.calibration.to_json() == found.to_json()
    assert again.fingerprint() == signs_hasher.fingerprint()
    assert dataclasses.replace(again, encoders={"image": "a", "text": "b"}).calibration is again.calibration
    signs_hasher.save(tmp_path / "hasher")
    assert Hasher.load(tmp_path / "hasher").calibration is None


def test_a_calibration_of_another_length_is_refused(signs_hasher: Hasher) -> None:
    with pytest.raises(WidthError, match=r"8-bit codes; this hasher makes 32"):
        signs_hasher.with_calibration(Calibration(np.ones(9), np.ones(9), 30, 900))


def header_of(path: Path) -> tuple[dict[str, str], bytes]:
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    return header, content[8 + size :]


def write_header(path: Path, header: dict[str, str], rest: bytes) -> None:
    written = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(written)) + written + rest)


def test_a_file_from_before_calibration_still_loads(signs_hasher: Hasher, tmp_path: Path) -> None:
    signs_hasher.save(tmp_path / "old")
    header, rest = header_of(tmp_path / "old")
    del header["__metadata__"]["checksum"]  # type: ignore[attr-defined]  # the metadata is a dictionary
    write_header(tmp_path / "old", header, rest)
    old = Hasher.load(tmp_path / "old")
    assert old.calibration is None
    assert old.fingerprint() == signs_hasher.fingerprint()


@pytest.mark.parametrize("entry", ["report", "calibration"])
def test_an_altered_header_is_refused(signs_hasher: Hasher, tmp_path: Path, entry: str) -> None:
    calibrated = signs_hasher.with_calibration(calibrate(signs_hasher, noisy_world(40, 1)))
    calibrated.save(tmp_path / "hasher")
    header, rest = header_of(tmp_path / "hasher")
    metadata: dict[str, str] = header["__metadata__"]  # type: ignore[assignment]  # the metadata is a dictionary
    metadata[entry] = metadata[entry].replace("}", ', "more": 1}').replace("{, ", "{")
    write_header(tmp_path / "hasher", header, rest)
    with pytest.raises(FileFormatError, match="altered"):
        Hasher.load(tmp_path / "hasher")


@pytest.mark.parametrize("damage", [{"i2t": "x"}, {"i2t": [1, 2, 3]}, {"pairs": None, "t2i": []}, {"i2t": None}])
def test_a_damaged_calibration_is_refused(damage: dict[str, object]) -> None:
    whole = Calibration(np.ones(9), np.ones(9), 30, 900).to_json()
    with pytest.raises(FileFormatError, match="calibrate again"):
        Calibration.from_json({**whole, **damage})
    with pytest.raises(FileFormatError, match="calibrate again"):
        Calibration.from_json({key: value for key, value in whole.items() if key not in damage})


def test_codes_are_compared_bit_by_bit(signs_hasher: Hasher) -> None:
    """The table of ones counts what the unpacked bits say."""
    from crossbit.calibration import _distances

    rng = np.random.default_rng(0)
    left, right = (Codes.from_bits(rng.random((50, 21)) < 0.5) for _ in range(2))
    np.testing.assert_array_equal(_distances(left.packed, right.packed), (left.bits() != right.bits()).sum(axis=1))
