"""Encoders by name, and the encoder that a fingerprint in a hasher or a collection means."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crossbit.encoders.bag_of_words import BagOfWords
from crossbit.encoders.efficientnet import EfficientNetLite0
from crossbit.encoders.encoder import Encoder
from crossbit.encoders.hub_names import HUB, hub_encoder, hub_pictures, hub_texts
from crossbit.encoders.minilm import MiniLM
from crossbit.encoders.tf_idf import TfIdf
from crossbit.encoders.vocabulary import Vocabulary, load_vocabulary, vocabulary_of
from crossbit.errors import MismatchError, SettingsError

IMAGE_ENCODER, TEXT_ENCODER = "efficientnet-lite0", "minilm"
OWN = "own:"
_FORMS = "hub:PACKAGE/NAME and own:package.module:Class"


def load_text_encoder(name: str, texts: Sequence[str] = ()) -> Encoder:
    """A text encoder by name.

    name: "minilm"; "bag-of-words" or "tf-idf", whose vocabulary is that of the training texts given; a model of the
    Hugging Face hub or a folder with its files, as "hub:transformers/NAME", "hub:open_clip/NAME" or
    "hub:sentence-transformers/NAME"; "own:package.module:Class" for a class of one's own.

    Raises SettingsError for another name, and what the encoder raises where it cannot be loaded.
    """
    if name == TEXT_ENCODER:
        return MiniLM()
    if name == "bag-of-words":
        return BagOfWords.fit(texts)
    if name == "tf-idf":
        return TfIdf.fit(texts)
    if name.startswith(HUB):
        return hub_texts(name)
    return _other(name, "text", f"{TEXT_ENCODER}, bag-of-words, tf-idf")


def load_image_encoder(name: str) -> Encoder:
    """A picture encoder by name.

    name: "efficientnet-lite0"; a model of the Hugging Face hub or a folder with its files, as
    "hub:transformers/NAME", "hub:open_clip/NAME" or "hub:timm/NAME"; "own:package.module:Class" for a class of one's
    own.

    Raises SettingsError for another name, and what the encoder raises where it cannot be loaded.
    """
    if name == IMAGE_ENCODER:
        return EfficientNetLite0()
    if name.startswith(HUB):
        return hub_pictures(name)
    return _other(name, "image", IMAGE_ENCODER)


def _other(name: str, modality: str, packaged: str) -> Encoder:
    if name.startswith(OWN):
        return _own(name)
    raise SettingsError(f"There is no {modality} encoder {name!r}; there are {packaged} and {_FORMS}.")


def _own(name: str) -> Encoder:
    module, _, attribute = name.removeprefix(OWN).partition(":")
    try:
        made: Encoder = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise SettingsError(
            f"The encoder {name!r} cannot be made ({error}); expected own:package.module:Class, a class that "
            "Python can import and that is called without arguments."
        ) from error
    missing = [part for part in ("width", "fingerprint", "encode") if not hasattr(made, part)]
    if missing:
        raise SettingsError(f"The encoder {name!r} lacks {', '.join(missing)}; see crossbit.encoders.Encoder.")
    return made


def encoder_of(
    fingerprint: str, vocabulary: Path | Vocabulary | Mapping[str, Any] | None = None, *, encoder: Encoder | None = None
) -> Encoder:
    """The encoder with a fingerprint, such as a hasher carries.

    A model of the hub is found where its files were fetched before; nothing is fetched for a fingerprint, since that
    may come with a file of somebody else's.

    vocabulary: that of a bag of words or of TF-IDF, as its file, the encoder itself, or what a hasher carries of it
    (`hasher.vocabulary`). encoder: one to try besides those that crossbit knows.

    Raises MismatchError where no encoder known has that fingerprint, FileFormatError for a damaged vocabulary.
    """
    known: list[tuple[str, Callable[[], Encoder]]] = [
        (EfficientNetLite0().fingerprint(), EfficientNetLite0),
        (MiniLM().fingerprint(), MiniLM),
    ]
    if vocabulary is not None and vocabulary != {}:
        fitted = _vocabulary(vocabulary)
        known.append((fitted.fingerprint(), lambda: fitted))
    if encoder is not None:
        known.append((encoder.fingerprint(), lambda: encoder))
    for known_fingerprint, make in known:
        if known_fingerprint == fingerprint:
            return make()
    if fingerprint.startswith(HUB):
        return _from_hub(fingerprint)
    raise MismatchError(
        f"No encoder known here has the fingerprint {fingerprint!r}; there are {', '.join(each for each, _ in known)}. "
        "Encode with the encoder the features came from (a bag of words or TF-IDF needs its vocabulary, an encoder of "
        "your own its name)."
    )


def _from_hub(fingerprint: str) -> Encoder:
    name = fingerprint.partition("#")[0]
    try:
        found = hub_encoder(fingerprint)
    except SettingsError as error:
        raise MismatchError(f"The features come from {fingerprint}. {error}") from error
    if found.fingerprint() != fingerprint:
        raise MismatchError(
            f"The features come from {fingerprint}; what is called {name} here is {found.fingerprint()}. Get the files "
            "of that time, or encode and fit again with these."
        )
    return found


def _vocabulary(given: Path | Vocabulary | Mapping[str, Any]) -> Vocabulary:
    if isinstance(given, BagOfWords | TfIdf):
        return given
    return vocabulary_of(given) if isinstance(given, Mapping) else load_vocabulary(given)
