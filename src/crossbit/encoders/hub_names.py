"""Hub encoders by name: hub:transformers/..., hub:open_clip/..., hub:timm/..., hub:sentence-transformers/..."""

from __future__ import annotations

from pathlib import Path

from crossbit.encoders import hub_open_clip, hub_sentences, hub_timm, hub_transformers
from crossbit.encoders.hub import HubPictures, HubTexts
from crossbit.encoders.hub_files import hub_folder
from crossbit.errors import SettingsError

HUB = "hub:"
_PICTURES = {"transformers": hub_transformers, "open_clip": hub_open_clip, "timm": hub_timm}
_TEXTS = {
    "transformers": hub_transformers.load_texts,
    "open_clip": hub_open_clip.load_texts,
    "sentence-transformers": hub_sentences.load_sentences,
}


def hub_pictures(name: str, *, download: bool = True) -> HubPictures:
    """A picture encoder by its name; raises SettingsError for a name of no known form, and as `hub_folder` does.

    download: fetch what is not on this machine yet.
    """
    package, model = _parts(name, tuple(_PICTURES))
    folder = _folder(package, model, download)
    adapter = _PICTURES[package]
    return HubPictures(_shown(package, model), folder, adapter.picture_preparation(folder), adapter.load_pictures)


def hub_texts(name: str, *, download: bool = True) -> HubTexts:
    """A text encoder by its name; as `hub_pictures`."""
    package, model = _parts(name, tuple(_TEXTS))
    return HubTexts(_shown(package, model), _folder(package, model, download), _TEXTS[package])


def hub_encoder(fingerprint: str) -> HubPictures | HubTexts:
    """The encoder that a fingerprint names, where its files are on this machine; whether they are the same is not said.

    Raises SettingsError where they are not.
    """
    name, _, rest = fingerprint.partition("#")
    find = hub_pictures if rest.startswith("image-") else hub_texts
    return find(name, download=False)


def _parts(name: str, packages: tuple[str, ...]) -> tuple[str, str]:
    package, _, model = name.removeprefix(HUB).partition("/")
    if package not in packages or not model.strip("/"):
        forms = ", ".join(f"{HUB}{known}/NAME" for known in packages)
        raise SettingsError(f"There is no encoder {name!r}; the forms are {forms}, where NAME may be a folder.")
    return package, model


def _folder(package: str, model: str, download: bool) -> Path:
    if Path(model).expanduser().is_dir():
        return hub_folder(model)
    if package == "open_clip":
        return hub_folder(hub_open_clip.repository_of(model), download=download)
    return hub_folder(model if "/" in model else f"{package}/{model}", download=download)


def _shown(package: str, model: str) -> str:
    """The name without the place of a folder: the same files elsewhere are the same encoder."""
    folder = Path(model).expanduser()
    return f"{HUB}{package}/{folder.resolve().name if folder.is_dir() else model}"
