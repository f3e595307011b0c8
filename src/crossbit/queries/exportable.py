"""Which encoders can be exported, by their fingerprints, and what each is exported from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crossbit.encoders import Encoder, encoder_of
from crossbit.encoders.backbones import EfficientNetLite0Backbone, TinyBackbone
from crossbit.encoders.efficientnet import EfficientNetLite0
from crossbit.encoders.hub import HubPictures, HubTexts
from crossbit.encoders.minilm import MiniLM
from crossbit.encoders.tuned import TunedEncoder
from crossbit.errors import MismatchError
from crossbit.queries import of_open_clip, of_sentences, of_timm, of_transformers
from crossbit.queries.packaged import efficientnet, minilm, of_tuned
from crossbit.queries.traceable import Traceable

_HUB: dict[tuple[str, type], Callable[[Any], Traceable]] = {
    ("hub:transformers", HubPictures): of_transformers.pictures,
    ("hub:transformers", HubTexts): of_transformers.texts,
    ("hub:open_clip", HubPictures): of_open_clip.pictures,
    ("hub:open_clip", HubTexts): of_open_clip.texts,
    ("hub:timm", HubPictures): of_timm.pictures,
    ("hub:sentence-transformers", HubTexts): of_sentences.texts,
}


def can_trace(fingerprint: str, tuned: TunedEncoder | None = None) -> bool:
    """Whether crossbit knows how to export the encoder of a fingerprint. tuned: one to try besides the packaged ones.

    A tuned one can be exported where its backbone is crossbit's own: how others prepare pictures no export could tell.
    """
    if fingerprint.partition("/")[0] in {package for package, _ in _HUB}:
        return True
    if tuned is not None and tuned.fingerprint() == fingerprint:
        return type(tuned.backbone) in (TinyBackbone, EfficientNetLite0Backbone)
    return fingerprint in (EfficientNetLite0().fingerprint(), MiniLM().fingerprint())


def traceable(fingerprint: str, tuned: TunedEncoder | None = None, named: Encoder | None = None) -> Traceable:
    """What an encoder is exported from, by its fingerprint; see `can_trace`.

    named: the encoder itself, where that is one of the hub whose files are in a folder.

    Raises MismatchError where that encoder is not here, NoGraphError where no graph can stand for it, and
    MissingExtraError where torch, its package or its weights are not installed.
    """
    if tuned is not None and can_trace(fingerprint, tuned) and tuned.fingerprint() == fingerprint:
        return of_tuned(tuned)
    if fingerprint == EfficientNetLite0().fingerprint():
        return efficientnet()
    if fingerprint == MiniLM().fingerprint():
        return minilm()
    if can_trace(fingerprint):
        found = encoder_of(fingerprint, encoder=named)
        make = _HUB.get((fingerprint.partition("/")[0], type(found)))
        if make is not None:
            return make(found)
    raise MismatchError(f"crossbit does not know how to export the encoder {fingerprint}.")
