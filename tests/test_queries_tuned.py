"""Exports of image encoders that were tuned: the same features and codes, and searches with a picture without torch."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossbit import Hasher, HashFunction
from crossbit.cli.export import export
from crossbit.collection import Collection, Items
from crossbit.encoders.backbones import TinyBackbone, built
from crossbit.encoders.tuned import TunedEncoder, place_in
from crossbit.errors import FileFormatError, MismatchError
from crossbit.hasher import Layer
from crossbit.queries import ExportedPictures, Queries, export_queries, query_encoder
from crossbit.testing import run_without_torch

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

TINY = TinyBackbone(side=16, channels=(8, 16))
N_BITS = 20


def picture(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def function_for(features: np.ndarray) -> HashFunction:
    """Random directions through the middle of the features, so that pictures get different codes."""
    weight = np.random.default_rng(0).standard_normal((features.shape[1], N_BITS)).astype(np.float32)
    return HashFunction((Layer(weight, -features.mean(axis=0) @ weight, "tanh"),))


@pytest.fixture(scope="module")
def encoder() -> TunedEncoder:
    network = built(TINY)
    for weight in network.parameters():
        weight.data *= 1.5  # as if trained: other weights than the backbone starts with
    return TunedEncoder.of(TINY, network)


@pytest.fixture(scope="module")
def hasher(encoder: TunedEncoder) -> Hasher:
    features = encoder.encode([picture(number) for number in range(40)]).features
    text = np.random.default_rng(1).standard_normal((40, 30)).astype(np.float32)
    return Hasher(function_for(features), function_for(text)).with_encoders(
        image=encoder.fingerprint(), text="bag-of-words-0"
    )


@pytest.fixture(scope="module")
def collection(encoder: TunedEncoder, hasher: Hasher, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tuned") / "collection"
    ids = [f"picture {number}" for number in range(12)]
    images = hasher.encode_images(encoder.encode([picture(number) for number in range(12)]).features)
    Collection.create(place, hasher, Items(ids, ids), image=images)
    encoder.save(place_in(place, encoder.fingerprint()))
    export(place)
    return place


def test_pictures_get_the_features_and_codes_that_torch_gives(
    collection: Path, encoder: TunedEncoder, hasher: Hasher
) -> None:
    queries = Queries.open(collection / "query")
    assert queries.encoders == {"image": encoder.fingerprint()}
    assert queries.manifest.sides["image"].agreement["bits_by_graph"] >= 0.999
    exported = query_encoder(hasher, "image", collection)
    assert isinstance(exported, ExportedPictures)
    items = [picture(1), b"no picture", *(picture(seed, (20 + seed, 90)) for seed in range(30))]
    ours, theirs = exported.encode(items), encoder.encode(items)
    assert ours.kept.tolist() == theirs.kept.tolist()
    np.testing.assert_allclose(ours.features, theirs.features, atol=1e-4)
    codes = hasher.encode_images(theirs.features).packed
    assert len(np.unique(codes, axis=0)) > 20
    agreed = hasher.encode_images(ours.features).bits() == hasher.encode_images(theirs.features).bits()
    assert agreed.mean() >= 0.999


SEARCH = """
import sys
from crossbit.cli import main
sys.argv = ["crossbit", "search", sys.argv[1], "--image", sys.argv[2], "--among", "image", "--json", "-k", "1"]
main()
"""


def test_a_search_with_a_picture_needs_no_torch(collection: Path, tmp_path: Path) -> None:
    (tmp_path / "asked.png").write_bytes(picture(7))
    (hit,) = json.loads(run_without_torch(SEARCH, [str(collection), str(tmp_path / "asked.png")]))["hits"]
    assert (hit["id"], hit["distance"]) == ("picture 7", 0)


class Elsewhere(TinyBackbone):
    """A backbone that prepares pictures in its own way."""


class Own:
    """A backbone of one's own, with the network of another."""

    name, width, side, pretrained = "own", TINY.width, TINY.side, False
    settings, build, prepare = TINY.settings, TINY.build, TINY.prepare


def test_what_cannot_be_exported_is_said(hasher: Hasher, encoder: TunedEncoder, tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match=f"nothing to export.*how to export the encoder {encoder.fingerprint()}"):
        export_queries(hasher, tmp_path / "query")
    for backbone in (Own(), Elsewhere(16, (8, 16))):
        own = TunedEncoder.of(backbone, built(backbone))
        bound = hasher.with_encoders(image=own.fingerprint(), text="bag-of-words-0")
        with pytest.raises(MismatchError, match="does not know how to export the encoder tuned-"):
            export_queries(bound, tmp_path / "query", tuned=own)
    hasher.save(tmp_path / "alone.safetensors")
    with pytest.raises(FileFormatError, match="There is no image encoder at"):
        export(tmp_path / "alone.safetensors")
