"""CLIP and SigLIP models by the package transformers, from their files in the hub's layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from crossbit.encoders.hub import Forward
from crossbit.encoders.hub_files import read_json
from crossbit.encoders.preparation import Preparation, Resample, of_255
from crossbit.errors import FileFormatError, MissingExtraError, SettingsError

KINDS = ("clip", "siglip")
_RESAMPLE: dict[int, Resample] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


def picture_preparation(folder: Path) -> Preparation:
    """How a model's pictures are prepared, by its own preprocessor_config.json or processor_config.json.

    Raises FileFormatError where neither says so, SettingsError for a way that is not known here.
    """
    path = folder / "preprocessor_config.json"
    if path.is_file():
        said = read_json(path)
    else:
        path = folder / "processor_config.json"
        said = read_json(path).get("image_processor", {})
    try:
        size, crop = said["size"], said.get("crop_size")
        if said.get("do_center_crop", False) and crop:
            side, shorter = _edge(crop), int(size["shortest_edge"]) if isinstance(size, dict) else int(size)
            fitted: dict[str, Any] = {"side": side, "fit": "crop", "shorter": shorter}
        else:
            fitted = {"side": _edge(size), "fit": "squash"}
        if abs(float(said.get("rescale_factor", 1 / 255)) - 1 / 255) > 1e-9 or not said.get("do_normalize", True):
            raise SettingsError(f"{path} scales colours in a way that crossbit does not know.")
        mean, std = of_255(said["image_mean"]), of_255(said["image_std"])
        return Preparation(**fitted, resample=_RESAMPLE[int(said.get("resample", 3))], mean=mean, std=std)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, SettingsError):
            raise
        raise FileFormatError(f"{path} does not say how pictures are prepared ({error}).") from error


def _edge(size: Any) -> int:
    """The edge of a square that is given as a number or as its height and width."""
    if isinstance(size, int):
        return size
    if size["height"] != size["width"]:
        raise SettingsError(f"crossbit prepares square pictures; the model wants {size['height']} x {size['width']}.")
    return int(size["height"])


def load_pictures(folder: Path) -> tuple[Forward, int]:
    """What computes image features in the space shared with texts, and their number."""
    torch, model = load_model(folder)

    def forward(values: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            given = model.get_image_features(pixel_values=torch.from_numpy(np.ascontiguousarray(values)))
            return _rows(given)

    return forward, _width(model)


def load_texts(folder: Path) -> tuple[Forward, int]:
    """What computes text features in the space shared with pictures, and their number."""
    torch, model = load_model(folder)
    split = tokenizer_of(folder, model)

    def forward(texts: list[str]) -> NDArray[np.float32]:
        tokens = split(texts)
        known = {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}
        if model.config.model_type == "siglip":
            known.pop("attention_mask", None)
        with torch.inference_mode():
            return _rows(model.get_text_features(**known))

    return forward, _width(model)


def tokenizer_of(folder: Path, model: Any) -> partial[Any]:
    """What makes tokens of texts, cut and filled as the model was trained; its `func` is the tokenizer itself."""
    from transformers import AutoTokenizer  # noqa: PLC0415 - an optional package, loaded with the weights

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except ImportError as error:  # SigLIP's first tokens are read by sentencepiece
        raise MissingExtraError(f"The tokens of {folder.name}", "hub") from error
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{folder} holds no tokens that transformers can read ({error}).") from error
    length = int(model.config.text_config.max_position_embeddings)
    # SigLIP reads the text's meaning at the last place, so it was trained with every place filled.
    padding = "max_length" if model.config.model_type == "siglip" else True
    return partial(tokenizer, padding=padding, truncation=True, max_length=length, return_tensors="pt")


def _rows(given: Any) -> NDArray[np.float32]:
    pooled = getattr(given, "pooler_output", given)
    rows: NDArray[np.float32] = pooled.float().numpy()
    return rows


def _width(model: Any) -> int:
    config = model.config
    return int(config.projection_dim if config.model_type == "clip" else config.text_config.projection_size)


def load_model(folder: Path) -> tuple[Any, Any]:
    """torch and the model in evaluation mode, from safetensors alone; every weight must be in the files."""
    kind = read_json(folder / "config.json").get("model_type")
    if kind not in KINDS:
        raise SettingsError(f"hub:transformers loads models of the kinds {', '.join(KINDS)}; {folder} is of {kind!r}.")
    try:
        import torch  # noqa: PLC0415 - optional packages, needed only when something is encoded
        from transformers import CLIPModel, SiglipModel  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"The encoder {folder.name}", "hub") from error
    made = CLIPModel if kind == "clip" else SiglipModel
    settings = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    try:
        with quiet_loading():
            model, told = made.from_pretrained(str(folder), dtype=torch.float32, **settings)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise FileFormatError(f"{folder} holds no whole {kind} model ({error}).") from error
    if told["missing_keys"] or told["mismatched_keys"]:
        lacking = sorted(map(str, [*told["missing_keys"], *told["mismatched_keys"]]))
        raise FileFormatError(f"{folder} lacks weights of its {kind} model: {', '.join(lacking[:3])}.")
    return torch, model.eval()


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Without the bars that transformers draws while weights are read, also where nobody looks; as it was after."""
    from transformers.utils import logging  # noqa: PLC0415 - an optional package, needed only when weights are loaded

    drawn = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if drawn:
            logging.enable_progress_bar()
