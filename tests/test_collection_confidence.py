"""Confidence of hits: the calibration's, for one match among all the items that are searched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossbit.calibration import calibrate
from crossbit.collection import Collection, Items
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.pairs import PairedFeatures

N, N_BITS = 80, 24


def world(n: int, seed: int) -> PairedFeatures:
    """Pairs whose codes are the signs of their features, an eighth of the bits differing within a pair."""
    rng = np.random.default_rng(seed)
    image = rng.choice([-1.0, 1.0], (n, N_BITS))
    return PairedFeatures(image, np.where(rng.random((n, N_BITS)) < 0.125, -image, image))


@pytest.fixture
def hasher() -> Hasher:
    function = HashFunction((Layer(np.eye(N_BITS, dtype=np.float32), np.zeros(N_BITS, dtype=np.float32)),))
    return Hasher(function, function, "made-up")


def collection(path: Path, hasher: Hasher) -> Collection:
    pairs = world(N, 1)
    ids = tuple(f"item {row}" for row in range(N))
    items = Items(ids, ids)
    image, text = hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text)
    return Collection.create(path, hasher, items, image=image, text=text)


def test_hits_carry_the_confidence_of_one_match_among_all_items(hasher: Hasher, tmp_path: Path) -> None:
    found = calibrate(hasher, world(300, 0))
    made = collection(tmp_path / "collection", hasher.with_calibration(found))
    query = world(N, 1).text[:3]
    for hits in made.search_texts(query, k=20):
        expected = found.confidence(np.array([hit.distance for hit in hits]), "T2I", random_per_match=N - 1)
        np.testing.assert_allclose([hit.confidence for hit in hits], expected)
        assert hits[0].confidence is not None
        assert hits[-1].confidence is not None
        assert hits[0].confidence > 0.9 > 0.1 > hits[-1].confidence


def test_min_confidence_leaves_out_what_is_below_it(hasher: Hasher, tmp_path: Path) -> None:
    made = collection(tmp_path / "collection", hasher.with_calibration(calibrate(hasher, world(300, 0))))
    query = world(N, 1).image[:5]
    for all_hits, sure in zip(
        made.search_images(query, k=N), made.search_images(query, k=N, min_confidence=0.5), strict=True
    ):
        kept = [hit.id for hit in all_hits if hit.confidence is not None and hit.confidence >= 0.5]
        assert [hit.id for hit in sure] == kept
        assert 0 < len(kept) < N


def test_without_a_calibration_nothing_is_claimed(hasher: Hasher, tmp_path: Path) -> None:
    made = collection(tmp_path / "collection", hasher)
    query = world(N, 1).text[:1]
    assert {hit.confidence for hit in made.search_texts(query, k=5)[0]} == {None}
    with pytest.raises(SettingsError, match="crossbit calibrate"):
        made.search_texts(query, min_confidence=0.5)


def test_within_one_modality_nothing_is_claimed(hasher: Hasher, tmp_path: Path) -> None:
    made = collection(tmp_path / "collection", hasher.with_calibration(calibrate(hasher, world(300, 0))))
    query = world(N, 1).text[:1]
    assert {hit.confidence for hit in made.search_texts(query, k=5, among="text")[0]} == {None}
    with pytest.raises(SettingsError, match="within one modality"):
        made.search_texts(query, min_confidence=0.5, among="text")
