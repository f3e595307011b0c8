"""Picture models by the package timm, from their files in the hub's layout."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from crossbit.encoders.hub import Forward
from crossbit.encoders.hub_files import read_json
from crossbit.encoders.preparation import Preparation, of_255
from crossbit.errors import FileFormatError, MissingExtraError, SettingsError

WEIGHTS = "model.safetensors"


def picture_preparation(folder: Path) -> Preparation:
    """How a model's pictures are prepared, by its own config.json; raises FileFormatError where that does not say."""
    path = folder / "config.json"
    said = read_json(path)
    said = said.get("pretrained_cfg", said)
    try:
        channels, height, width = said["input_size"]
        side, share, mode = int(height), float(said.get("crop_pct", 0.875)), said.get("crop_mode") or "center"
        if channels != 3 or height != width or mode not in ("center", "squash") or (mode == "squash" and share != 1):
            raise SettingsError(
                f"{path} prepares pictures in a way that crossbit does not know: {mode}, {height} x {width}."
            )
        crop: dict[str, Any] = {"fit": "crop", "shorter": math.floor(side / share)}
        mean, std = of_255(said["mean"]), of_255(said["std"])
        fitted = crop if mode == "center" else {"fit": "squash"}
        return Preparation(side=side, resample=said.get("interpolation", "bicubic"), mean=mean, std=std, **fitted)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        if isinstance(error, SettingsError):
            raise
        raise FileFormatError(f"{path} does not say how pictures are prepared ({error}).") from error


def load_pictures(folder: Path) -> tuple[Forward, int]:
    """What computes a network's pooled features before its classifier, and their number."""
    torch, model = load_model(folder)

    def forward(values: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            rows: NDArray[np.float32] = model(torch.from_numpy(values)).float().numpy()
            return rows

    return forward, int(model.num_features if not hasattr(model, "head_hidden_size") else model.head_hidden_size)


def load_model(folder: Path) -> tuple[Any, Any]:
    """torch and the network without its classifier, in evaluation mode, from safetensors alone."""
    if not (folder / WEIGHTS).is_file():
        raise FileFormatError(f"{folder} has no {WEIGHTS}; crossbit loads no other weights of timm.")
    try:
        import timm  # noqa: PLC0415 - optional packages, needed only when pictures are encoded
        import torch  # noqa: PLC0415 - as above
    except (ImportError, RuntimeError) as error:  # a torchvision built for another torch raises RuntimeError
        raise MissingExtraError(
            f"The encoder {folder.name} by timm (with a torchvision that fits the torch installed; {error})", "clip"
        ) from error
    said = read_json(folder / "config.json")
    settings = dict(said.get("pretrained_cfg", said)) | {"file": str(folder / WEIGHTS), "custom_load": False}
    for elsewhere in ("hf_hub_id", "url", "source"):
        settings.pop(elsewhere, None)
    shape = {**said.get("model_args", {}), "num_classes": 0}
    try:
        model = timm.create_model(said["architecture"], pretrained=True, pretrained_cfg=settings, **shape)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise FileFormatError(f"{folder} holds no whole model of timm ({error}).") from error
    return torch, model.eval()
