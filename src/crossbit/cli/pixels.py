"""crossbit fit --from-pixels: the image network learns from the pictures themselves, and its encoder is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from crossbit.datasets import Dataset
from crossbit.encoders import encode_cached
from crossbit.encoders.backbones import TinyBackbone, load_backbone
from crossbit.encoders.chosen import Chosen
from crossbit.encoders.names import IMAGE_ENCODER
from crossbit.encoders.tuned import find_tuned, place_in
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress

if TYPE_CHECKING:
    from crossbit.pixels import FromPixels
    from crossbit.training import DeepMethod

FromPixelsOption = Annotated[
    bool,
    typer.Option(
        "--from-pixels",
        help="Learn the image network end to end from the pictures, on a backbone that learns with it. The encoder it "
        "becomes lies beside the hasher, tuned-NAME-DIGEST.safetensors, and is needed wherever the hasher is used. On "
        "a GPU where there is one; --set device=cpu does without.",
    ),
]
BackboneName = Annotated[
    str,
    typer.Option(
        "--backbone", metavar="NAME", help="Of --from-pixels: tiny (starts at random) or efficientnet-lite0 (ImageNet)."
    ),
]


def pixel_learner(
    from_pixels: bool, method: Method, backbone: str, image_encoder: str, settings: Sequence[str] = ()
) -> FromPixels | None:
    """What learns with --from-pixels, before any work is done; None without it.

    It learns on a GPU where torch finds one, unless the settings given ("name=value") name a device. Raises
    SettingsError for a method that is not deep, an unknown backbone or another image encoder.
    """
    if not from_pixels:
        if backbone != "tiny":
            raise SettingsError("--backbone is for --from-pixels; without it, say --image-encoder NAME.")
        return None
    if image_encoder != IMAGE_ENCODER:
        raise SettingsError("--from-pixels learns its own image encoder; leave --image-encoder out, say --backbone.")
    from crossbit.pixels import FromPixels  # it needs torch, as only learning does
    from crossbit.training import DeepMethod

    if not isinstance(method, DeepMethod):
        raise SettingsError(f"Only a deep method (djsrh, jdsh, kdcmh, dcmh) can learn from pixels; got {method.name}.")
    chosen = load_backbone(backbone)
    if isinstance(chosen, TinyBackbone):
        chosen = replace(chosen, seed=method.seed)
    return FromPixels(method=_on_gpu(method, settings), backbone=chosen)


def _on_gpu(method: DeepMethod, settings: Sequence[str]) -> DeepMethod:
    from crossbit.pixels.device import usual_device

    said = any(setting.startswith("@") or setting.partition("=")[0].strip() == "device" for setting in settings)
    return method if said else method.with_settings({"device": usual_device()})


def fit_from_pixels(
    learner: FromPixels, dataset: Dataset, out: Path, progress: Progress, checkpoint: Path | None
) -> tuple[Hasher, Dataset]:
    """The hasher, and the data set with the features of its encoder, which is written beside `out`.

    dataset: as the learner's frozen copy encoded it. Raises SettingsError for data without pictures.
    """
    start = learner.start()
    if dataset.pictures is None or dataset.encoders.get("image") != start.fingerprint():
        raise SettingsError(
            f"--from-pixels needs pictures, and {dataset.name} is ready features. Give emoji or a source of pictures, "
            "or leave --from-pixels out."
        )
    train = dataset.pairs[dataset.split.train]
    learned = learner.fit(
        Chosen(dataset.pictures, dataset.split.train),
        train.text,
        labels=train.labels,
        levels=train.levels,
        frozen=train.image,
        text_encoder=dataset.encoders["text"],
        progress=progress,
        checkpoint=checkpoint,
    )
    encoder = learned.encoder
    encoder.save(place_in(out.parent, encoder.fingerprint()))
    pictures = Chosen(dataset.pictures, np.arange(len(dataset)))
    image = encode_cached(encoder, pictures, progress=progress, stage="encode pictures")
    pairs = PairedFeatures(image.features, dataset.pairs.text, dataset.pairs.labels, dataset.pairs.levels)
    encoders = {**dataset.encoders, "image": encoder.fingerprint()}
    return learned.hasher, replace(dataset, pairs=pairs, encoders=encoders)


def carry_encoder(hasher: Hasher, file: Path, collection: Path) -> None:
    """Copy a tuned image encoder from beside its hasher into a collection, so that pictures can ask it anywhere.

    Others, of a hasher that was there before, are removed. Nothing happens for a hasher on another encoder.
    """
    encoder = find_tuned(hasher.encoders.get("image", ""), file)
    if encoder is not None:
        encoder.save(place_in(collection, encoder.fingerprint()))
    for old in collection.glob("tuned-*.safetensors"):
        if encoder is None or old.stem != encoder.fingerprint():
            old.unlink()
