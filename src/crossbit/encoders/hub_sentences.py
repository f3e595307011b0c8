"""Text models by the package sentence-transformers, from their files in the hub's layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from crossbit.encoders.hub import Forward
from crossbit.encoders.hub_transformers import quiet_loading
from crossbit.errors import FileFormatError, MissingExtraError


def load_sentences(folder: Path) -> tuple[Forward, int]:
    """What computes a model's features of texts, and their number."""
    _, model = load_model(folder)
    tell = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension

    def forward(texts: list[str]) -> NDArray[np.float32]:
        rows = model.encode(texts, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(rows, np.float32)

    return forward, int(tell())


def load_model(folder: Path) -> tuple[Any, Any]:
    """torch and the model in evaluation mode on the CPU, from safetensors alone; nothing of its files is run."""
    _check_modules(folder)
    try:
        import torch  # noqa: PLC0415 - optional packages, needed only when texts are encoded
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"The text encoder {folder.name}", "hub") from error
    settings = {"use_safetensors": True, "local_files_only": True}
    try:
        with quiet_loading():
            model = SentenceTransformer(
                str(folder), device="cpu", trust_remote_code=False, local_files_only=True, model_kwargs=settings
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise FileFormatError(f"{folder} holds no whole model of sentence-transformers ({error}).") from error
    return torch, model.eval()


def _check_modules(folder: Path) -> None:
    """Raise FileFormatError for a model that would run code of its own or load pickled weights."""
    path = folder / "modules.json"
    try:
        modules: Any = json.loads(path.read_text("utf-8"))
        kinds, places = (
            [str(module["type"]) for module in modules],
            [folder / str(module["path"]) for module in modules],
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(
            f"{folder} is no model of sentence-transformers: {path.name} says nothing ({error})."
        ) from error
    strange = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
    if strange:
        raise FileFormatError(f"{folder} would run code of its own ({', '.join(strange)}), which is never done.")
    for place in places:
        if not place.resolve().is_relative_to(folder.resolve()):
            raise FileFormatError(f"{path} names a place outside its folder.")
        pickled = [*place.glob("*.bin"), *place.glob("*.pt")]
        if pickled and not any(place.glob("*.safetensors")):
            raise FileFormatError(
                f"{pickled[0]} holds pickled weights, which are never loaded; convert to safetensors."
            )
