"""CLIP, SigLIP and their kin by the package open_clip, from their files in the hub's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from crossbit.encoders.hub import Forward
from crossbit.encoders.hub_files import read_json
from crossbit.encoders.preparation import Preparation, of_255
from crossbit.errors import FileFormatError, MissingExtraError, SettingsError

WEIGHTS, SETTINGS = "open_clip_model.safetensors", "open_clip_config.json"
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


def repository_of(name: str) -> str:
    """The repository on the hub that holds a model: of "ViT-B-32/laion2b_s34b_b79k" that which open_clip knows.

    Any other name is that of a repository itself. Raises MissingExtraError where open_clip must say and cannot.
    """
    model, _, tag = name.partition("/")
    known = _open_clip(name).get_pretrained_cfg(model, tag) if tag else {}
    return str(known.get("hf_hub", name)).strip("/") or name


def picture_preparation(folder: Path) -> Preparation:
    """How a model's pictures are prepared, by its own open_clip_config.json; raises FileFormatError without one."""
    path = folder / SETTINGS
    said = read_json(path)
    try:
        chosen: dict[str, Any] = said.get("preprocess_cfg") or {}
        size = chosen.get("size") or said["model_cfg"]["vision_cfg"]["image_size"]
        height, width = size if isinstance(size, list) else (size, size)
        mode, resample = chosen.get("resize_mode", "shortest"), chosen.get("interpolation", "bicubic")
        if height != width or mode not in ("shortest", "squash"):
            raise SettingsError(f"{path} prepares pictures in a way that crossbit does not know: {mode}, {size}.")
        fitted: dict[str, Any] = {"fit": "crop", "shorter": int(height)} if mode == "shortest" else {"fit": "squash"}
        mean, std = of_255(chosen.get("mean") or OPENAI_MEAN), of_255(chosen.get("std") or OPENAI_STD)
        return Preparation(side=int(height), resample=resample, mean=mean, std=std, **fitted)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, SettingsError):
            raise
        raise FileFormatError(f"{path} does not say how pictures are prepared ({error}).") from error


def load_pictures(folder: Path) -> tuple[Forward, int]:
    """What computes image features in the space shared with texts, and their number."""
    torch, model = load_model(folder)

    def forward(values: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            rows: NDArray[np.float32] = model.encode_image(torch.from_numpy(values)).float().numpy()
            return rows

    return forward, _width(folder)


def load_texts(folder: Path) -> tuple[Forward, int]:
    """What computes text features in the space shared with pictures, and their number."""
    torch, model = load_model(folder)
    split = tokenizer_of(folder)

    def forward(texts: list[str]) -> NDArray[np.float32]:
        with torch.inference_mode():
            rows: NDArray[np.float32] = model.encode_text(split(texts)).float().numpy()
            return rows

    return forward, _width(folder)


def tokenizer_of(folder: Path) -> Any:
    """What makes tokens of a list of texts, cut and filled as the model was trained."""
    return _open_clip(folder.name).get_tokenizer(f"local-dir:{folder}")


def _width(folder: Path) -> int:
    return int(read_json(folder / SETTINGS)["model_cfg"]["embed_dim"])


def load_model(folder: Path) -> tuple[Any, Any]:
    """torch and the model in evaluation mode, from safetensors alone."""
    if not (folder / WEIGHTS).is_file():
        raise FileFormatError(f"{folder} has no {WEIGHTS}; crossbit loads no other weights of open_clip.")
    open_clip = _open_clip(folder.name)
    import torch  # noqa: PLC0415 - an optional package, needed only when something is encoded

    try:
        model = open_clip.create_model(f"local-dir:{folder}", require_pretrained=True, pretrained_text=False)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise FileFormatError(f"{folder} holds no whole model of open_clip ({error}).") from error
    return torch, model.eval()


def _open_clip(what: str) -> Any:
    try:
        import open_clip  # noqa: PLC0415 - an optional package, needed only when something is encoded
    except (ImportError, RuntimeError) as error:  # a torchvision built for another torch raises RuntimeError
        raise MissingExtraError(
            f"The encoder {what} by open_clip (with a torchvision that fits the torch installed; {error})", "clip"
        ) from error
    return open_clip
