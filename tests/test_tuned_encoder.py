"""Backbones, and the image encoder file that training from pixels leaves behind."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from crossbit.encoders import EfficientNetLite0
from crossbit.encoders.backbones import EfficientNetLite0Backbone, Pixels, TinyBackbone, built, load_backbone
from crossbit.encoders.tuned import TunedEncoder, find_tuned, place_in
from crossbit.errors import DataError, FileFormatError, MismatchError, SettingsError

torch = pytest.importorskip("torch")

TINY = TinyBackbone(side=16, channels=(8, 16))


@dataclass(frozen=True)
class Normalised:
    """A backbone from outside, with batch normalisation: what its protocol asks for and no more."""

    name: str = "normalised"
    width: int = 8
    side: int = 12
    pretrained: bool = False

    def settings(self) -> Mapping[str, Any]:
        return {"width": self.width}

    def build(self) -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(3)
            convolution = torch.nn.Conv2d(3, self.width, 3)
        normalisation = torch.nn.BatchNorm2d(self.width)
        normalisation.running_mean += 40.0
        normalisation.running_var *= 900.0
        return torch.nn.Sequential(
            convolution, normalisation, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
        )

    def prepare(self, picture: Image.Image) -> Pixels:
        return np.ascontiguousarray(np.asarray(picture.resize((self.side, self.side))).transpose(2, 0, 1))


def picture(seed: int, size: tuple[int, int] = (20, 16)) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def encoder() -> TunedEncoder:
    return TunedEncoder.of(TINY, built(TINY))


@pytest.mark.parametrize("backbone", [TINY, Normalised()], ids=["tiny", "normalised"])
def test_features_hang_on_one_picture_alone(backbone: Any) -> None:
    encoder = TunedEncoder.of(backbone, built(backbone))
    pictures = [picture(seed) for seed in range(15)]
    whole = encoder.encode(pictures).features
    assert whole.shape == (15, backbone.width)
    assert len(np.unique(whole, axis=0)) == 15
    for size in (1, 7):
        parts = [encoder.encode(pictures[start : start + size]).features for start in range(0, 15, size)]
        assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(encoder.encode(pictures[::-1]).features, whole[::-1])
    together = TunedEncoder(backbone, encoder.weights, batch=15).encode(pictures).features
    assert np.allclose(together, whole, rtol=1e-4, atol=1e-5)


def test_an_untuned_efficientnet_gives_the_features_of_the_packaged_encoder() -> None:
    backbone = EfficientNetLite0Backbone()
    pictures = [picture(seed, (90, 60)) for seed in range(2)]
    tuned = TunedEncoder.of(backbone, built(backbone))
    assert not any("_fc" in name for name in tuned.weights)
    assert np.allclose(tuned.encode(pictures).features, EfficientNetLite0().encode(pictures).features, atol=1e-4)


def test_pictures_that_do_not_open_are_named(encoder: TunedEncoder, tmp_path: Path) -> None:
    cut = picture(1)[:40]
    encoded = encoder.encode([picture(0), b"", cut, tmp_path / "none.png", picture(2)])
    assert encoded.kept.tolist() == [0, 4]
    assert [skip.row for skip in encoded.skipped] == [1, 2, 3]
    assert "zero bytes" in encoded.skipped[0].reason
    assert encoder.encode([]).features.shape == (0, 16)


def test_it_is_saved_and_loaded_with_the_same_features(encoder: TunedEncoder, tmp_path: Path) -> None:
    place = place_in(tmp_path, encoder.fingerprint())
    encoder.save(place)
    again = TunedEncoder.load(place)
    assert again.fingerprint() == encoder.fingerprint()
    assert again.backbone == TINY
    assert np.array_equal(again.encode([picture(0)]).features, encoder.encode([picture(0)]).features)


def test_it_is_found_beside_a_hasher_and_in_a_folder_by_its_fingerprint(encoder: TunedEncoder, tmp_path: Path) -> None:
    name = encoder.fingerprint()
    with pytest.raises(FileFormatError, match="copy it there too"):
        find_tuned(name, tmp_path)
    encoder.save(place_in(tmp_path, name))
    for place in (tmp_path, tmp_path / "photos.safetensors"):
        found = find_tuned(name, place)
        assert found is not None
        assert found.fingerprint() == name
    shared = place_in(tmp_path, name).rename(tmp_path / "hasher.image-encoder.safetensors")
    assert find_tuned(name, tmp_path) is not None  # as it is called in the folder of a shared hasher
    shared.rename(place_in(tmp_path, name))
    other = "tuned-tiny-0123456789abcdef"
    (tmp_path / f"{other}.safetensors").write_bytes(place_in(tmp_path, name).read_bytes())
    with pytest.raises(FileFormatError, match="named after"):
        find_tuned(other, tmp_path)
    for foreign in ("minilm-l6-v2-0.1.0-256tokens", "", "tuned-../../secret-0123456789abcdef", "tuned-tiny-xyz"):
        assert find_tuned(foreign, tmp_path) is None


def test_a_backbone_whose_name_is_no_file_name_is_refused() -> None:
    with pytest.raises(SettingsError, match="letters"):
        TunedEncoder(Normalised(name="../own"), {})


def test_the_fingerprint_tells_weights_and_preparation_apart(encoder: TunedEncoder) -> None:
    moved = {name: values + np.float32(1e-3) for name, values in encoder.weights.items()}
    larger = TinyBackbone(side=24, channels=(8, 16))
    others = [TunedEncoder(TINY, moved), TunedEncoder(larger, encoder.weights)]
    assert len({encoder.fingerprint(), *(other.fingerprint() for other in others)}) == 3


def test_a_backbone_of_ones_own_is_given_when_its_file_is_read(tmp_path: Path) -> None:
    own = Normalised()
    TunedEncoder.of(own, built(own)).save(tmp_path / "own.safetensors")
    with pytest.raises(FileFormatError, match="backbone=") as error:
        TunedEncoder.load(tmp_path / "own.safetensors")
    assert "normalised" in str(error.value)
    assert TunedEncoder.load(tmp_path / "own.safetensors", backbone=own).encode([picture(0)]).features.shape == (1, 8)
    with pytest.raises(MismatchError, match="trained on"):
        TunedEncoder.load(tmp_path / "own.safetensors", backbone=TINY)


def rewritten(path: Path, **changes: str) -> None:
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dictionary
    save_file(tensors, path, metadata={**header, **changes})


HOSTILE = {
    "another file": ({"format": "crossbit-hasher"}, "not an image encoder"),
    "a later version": ({"version": "2"}, "Upgrade"),
    "no description": ({"backbone": "{"}, "truncated"),
    "a description of another kind": ({"backbone": "[1]"}, "truncated"),
    "settings of another kind": ({"backbone": json.dumps({"name": "tiny", "settings": 3})}, "truncated"),
    "unknown settings": ({"backbone": json.dumps({"name": "tiny", "settings": {"depth": 3}})}, "cannot build"),
    "a gigantic network": ({"backbone": json.dumps({"name": "tiny", "settings": {"side": 10**9}})}, "cannot build"),
    "other settings": ({"backbone": json.dumps({"name": "tiny", "settings": {"side": 24}})}, "altered"),
    "another fingerprint": ({"fingerprint": "tuned-tiny-0000000000000000"}, "altered"),
}


@pytest.mark.parametrize(("changes", "says"), HOSTILE.values(), ids=HOSTILE)
def test_unfit_files_are_refused(encoder: TunedEncoder, tmp_path: Path, changes: dict[str, str], says: str) -> None:
    path = tmp_path / "encoder.safetensors"
    encoder.save(path)
    rewritten(path, **changes)
    with pytest.raises(FileFormatError, match=says):
        TunedEncoder.load(path)


def test_missing_and_truncated_files_are_refused(encoder: TunedEncoder, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    with pytest.raises(FileFormatError, match="fit again"):
        TunedEncoder.load(path)
    encoder.save(path)
    content = path.read_bytes()
    for length in (0, 5, 200, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(FileFormatError, match="truncated"):
            TunedEncoder.load(path)


def test_weights_of_another_architecture_or_not_finite_are_refused(encoder: TunedEncoder) -> None:
    wider = TinyBackbone(side=16, channels=(8, 24))
    with pytest.raises(FileFormatError, match="do not fit"):
        TunedEncoder(wider, encoder.weights).encode([picture(0)])
    broken = {name: np.full_like(values, np.nan) for name, values in encoder.weights.items()}
    with pytest.raises(DataError, match="diverged"):
        TunedEncoder(TINY, broken)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("resnet", {}),
        ("tiny", {"side": 4}),
        ("tiny", {"side": 16.0}),
        ("tiny", {"channels": (7,)}),
        ("tiny", {"channels": ()}),
        ("tiny", {"channels": 8}),
        ("tiny", {"channels": ["8"]}),
        ("tiny", {"seed": -1}),
        ("efficientnet-lite0", {"weights": "9"}),
    ],
)
def test_backbones_that_there_are_not_are_refused(name: str, settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        load_backbone(name, settings)


def test_starting_weights_hang_on_the_seed_alone() -> None:
    state = torch.get_rng_state()
    first, again, other = (TunedEncoder.of(b, built(b)) for b in (TINY, TINY, TinyBackbone(16, (8, 16), seed=1)))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
