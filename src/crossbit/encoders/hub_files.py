"""A model's files: a folder, or the copy of a repository on the Hugging Face hub. Weights as safetensors only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from crossbit.errors import FileFormatError, MissingExtraError, SettingsError

WANTED = ("*.json", "*.txt", "*.model", "*.safetensors")
UNWANTED = ("onnx/*", "openvino/*")
_BLOCK = 1 << 20


def hub_folder(name: str, *, download: bool = True) -> Path:
    """The folder with a model's files.

    name: a folder, or a repository such as "google/siglip-base-patch16-224". download: fetch what is not on this
    machine yet; without it only what was fetched before is found. Weights are fetched as safetensors only.

    Raises SettingsError where there is no such model or it cannot be reached, FileFormatError where its weights are
    not safetensors, and MissingExtraError where the hub's client is needed and not installed.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _fetched(name, download)
    if not any(folder.rglob("*.safetensors")):
        raise FileFormatError(
            f"{name} has no weights as .safetensors. Pickled weights (.bin, .pt) can run code and are never loaded; "
            "convert them, or choose a model that has safetensors."
        )
    return folder


def _fetched(name: str, download: bool) -> Path:
    try:
        from huggingface_hub import errors, snapshot_download  # noqa: PLC0415 - optional, needed for the hub alone
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"The model {name!r} on the Hugging Face hub", "hub") from error
    get = f"Where there is a network, run  hf download {name}  or give the path of a folder with its files."
    try:
        return Path(
            snapshot_download(
                name, allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED), local_files_only=not download
            )
        )
    except errors.HFValidationError as error:
        raise SettingsError(f"{name!r} is neither a folder here nor the name of a repository on the hub.") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise SettingsError(
            f"The model {name!r} is not on this machine, and the hub cannot be reached or may not be asked. {get}"
        ) from error
    except errors.HfHubHTTPError as error:
        raise SettingsError(f"The hub has no model {name!r}, or does not give it to you ({error}). {get}") from error
    except OSError as error:
        raise SettingsError(f"The model {name!r} cannot be fetched from the hub ({error}). {get}") from error


def files_digest(folder: Path) -> str:
    """A 16-digit hash of a model's files: weights, settings and tokens. Read once; a GB takes about a second."""
    digest = hashlib.sha256()
    wanted = {path for pattern in WANTED for path in folder.rglob(pattern) if path.is_file()}
    unwanted = {path for pattern in UNWANTED for path in folder.glob(pattern)}
    for path in sorted(wanted - unwanted):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            continue
        one = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                one.update(block)
        digest.update(f"{inside.as_posix()} {one.hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def read_json(path: Path) -> dict[str, Any]:
    """A settings file of a model; raises FileFormatError for one that is missing or no JSON object."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} cannot be read ({error}); fetch the model again.") from error
    if not isinstance(content, dict):
        raise FileFormatError(f"{path} holds no settings; fetch the model again.")
    return content
