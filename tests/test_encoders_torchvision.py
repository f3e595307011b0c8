"""Encoders by timm and open_clip, which need a torchvision; skipped where there is none for the torch installed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossbit.encoders import load_image_encoder, load_text_encoder
from crossbit.encoders.hub_open_clip import picture_preparation as open_clip_preparation
from crossbit.encoders.hub_timm import load_pictures as load_timm
from crossbit.encoders.hub_timm import picture_preparation as timm_preparation
from crossbit.errors import FileFormatError, MissingExtraError
from hub_models import OPEN_CLIP, PICTURES, SPOKEN, TEXTS, TIMM, save_open_clip, save_timm, usable


def test_open_clip_and_timm_say_how_pictures_are_prepared(tmp_path: Path) -> None:
    timm = {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 96, 96], "crop_pct": 0.875}}
    timm["pretrained_cfg"] |= {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bilinear"}  # type: ignore[operator]  # a dict
    (tmp_path / "config.json").write_text(json.dumps(timm))
    made = timm_preparation(tmp_path)
    assert (made.side, made.shorter, made.fit, made.resample, made.mean[0]) == (96, 109, "crop", "bilinear", 127.5)
    clip = {"model_cfg": {"vision_cfg": {"image_size": 48}}, "preprocess_cfg": {"resize_mode": "squash"}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(clip))
    squashed = open_clip_preparation(tmp_path)
    assert (squashed.side, squashed.fit, round(squashed.std[2], 3)) == (48, "squash", 70.323)
    with pytest.raises(FileFormatError, match=r"no model\.safetensors"):
        load_timm(tmp_path)


@pytest.mark.parametrize("package", ["timm", "open_clip"])
def test_without_their_package_timm_and_open_clip_name_the_extra(package: str, tmp_path: Path) -> None:
    if usable(package):
        pytest.skip(f"{package} is installed here")
    from safetensors.numpy import save_file

    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("model.safetensors", "open_clip_model.safetensors"):
        save_file({"w": np.zeros(1, np.float32)}, folder / name)
    mean = {"mean": [0.5] * 3, "std": [0.5] * 3}
    (folder / "config.json").write_text(json.dumps({"architecture": "resnet18", "input_size": [3, 64, 64], **mean}))
    settings = {"model_cfg": {"embed_dim": 4, "vision_cfg": {"image_size": 32}}}
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    with pytest.raises(MissingExtraError, match=r"crossbit\[clip\]"):
        load_image_encoder(f"hub:{package}/{folder}").encode(PICTURES[:1])


@pytest.mark.parametrize("architecture", TIMM)
def test_features_are_those_of_timm(architecture: str, tmp_path: Path) -> None:
    folder = save_timm(architecture, tmp_path / "tiny")
    import timm
    import torch
    from timm.data import create_transform, resolve_model_data_config

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(architecture, pretrained=False).eval()
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    opened = [Image.open(io.BytesIO(content)).convert("RGB") for content in PICTURES]
    model.reset_classifier(0)
    with torch.inference_mode():
        expected = model(torch.stack([transform(one) for one in opened])).numpy()
    painter = load_image_encoder(f"hub:timm/{folder}")
    assert painter.width == expected.shape[1]
    assert np.allclose(painter.encode(PICTURES).features, expected, atol=1e-4)


@pytest.mark.parametrize("tokens", OPEN_CLIP)
def test_features_are_those_of_open_clip(tokens: str, tmp_path: Path) -> None:
    folder = save_open_clip(tokens, tmp_path / "tiny")
    import open_clip
    import torch

    model, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    opened = torch.stack([transform(Image.open(io.BytesIO(content))) for content in PICTURES])
    name = f"hub:open_clip/{folder}"
    with torch.inference_mode():
        images = model.eval().encode_image(opened).numpy()
        texts = model.encode_text(open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)).numpy()
    assert np.allclose(load_image_encoder(name).encode(PICTURES).features, images, atol=1e-4)
    assert np.allclose(load_text_encoder(name).encode(TEXTS).features[SPOKEN], texts[SPOKEN], atol=1e-5)
    assert load_text_encoder(name).width == 12
