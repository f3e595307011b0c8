"""Learning from pixels: pictures and text features in; an image encoder and a hasher on its features out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from crossbit.encoders.backbones import Backbone, TinyBackbone, built
from crossbit.encoders.encoder import Skipped
from crossbit.encoders.tuned import TunedEncoder, place_in
from crossbit.errors import DataError, SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method
from crossbit.pairs import Features, PairedFeatures, Rows, check_features, check_labels
from crossbit.pixels.learning import PixelMethod, pixel_method
from crossbit.pixels.pictures import PreparedPictures
from crossbit.progress import Progress, Step, silent
from crossbit.training import DeepMethod

_BLOCK = 64  # pictures between two steps of progress while the frozen features are computed


@dataclass(frozen=True, eq=False)
class FittedFromPixels:
    """What learning from pixels leaves behind. encoder: the tuned backbone, frozen again. hasher: on its features.

    skipped: pictures that could not be opened, by their row, each with its reason.
    """

    encoder: TunedEncoder
    hasher: Hasher
    skipped: tuple[Skipped, ...] = ()

    def save(self, path: str | Path) -> Path:
        """Write the hasher to `path` and the encoder beside it, named by its fingerprint; returns its place.

        The encoder comes first and replaces no other, so that at no moment a hasher lacks its own.
        """
        place = place_in(Path(path).parent, self.encoder.fingerprint())
        self.encoder.save(place)
        self.hasher.save(path)
        return place


@dataclass(frozen=True, kw_only=True)
class FromPixels:
    """Learn as a deep method does, with its image network trained end to end from pixels on top of a backbone.

    The setting of DJSRH, DSAH and UKD. The similarity that the codes reconstruct comes from a frozen copy of the
    backbone, whose features are computed once, before training, in evaluation mode; the network that learns starts
    from the same weights. Networks' tops, objective, optimiser and schedule are the method's own; the backbone is one
    more group of the optimiser, at `backbone_rate` times the image network's rate.

    Departures from the papers: no augmentation (they crop and mirror at random); batch normalisation keeps its
    statistics and nothing in the backbone is dropped at random; DJSRH's code gives the trunk and the new layer one
    rate, here the pretrained trunk has a tenth of it.

    backbone_rate: None for 0.1 where the backbone is pretrained and 1 where it starts at random. mixed_precision:
    bfloat16 in the backbone; None for yes on a GPU that has it and no on a CPU. cache_bytes: decoded pictures are
    kept in memory where all of them take no more than this; else they are decoded again for every batch.
    """

    method: DeepMethod
    backbone: Backbone = field(default_factory=TinyBackbone)
    backbone_rate: float | None = None
    mixed_precision: bool | None = None
    cache_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        if not isinstance(self.method, DeepMethod) or isinstance(self.method, PixelMethod):
            name = self.method.name if isinstance(self.method, Method) else type(self.method).__name__
            raise SettingsError(
                f"Only a deep method (kdcmh, djsrh, dcmh and others) can learn from pixels; got {name}."
            )
        if self.backbone_rate is not None and not (0 < self.backbone_rate < float("inf")):
            raise SettingsError(f"backbone_rate must be a finite number above 0, or None; got {self.backbone_rate!r}.")
        if self.cache_bytes < 0:
            raise SettingsError(f"cache_bytes must be 0 (keep nothing) or more; got {self.cache_bytes!r}.")

    def fit(
        self,
        pictures: Sequence[bytes | Path],
        text: NDArray[Any],
        *,
        labels: NDArray[Any] | None = None,
        levels: tuple[NDArray[Any], ...] = (),
        frozen: NDArray[Any] | None = None,
        text_encoder: str = "",
        progress: Progress = silent,
        checkpoint: Path | None = None,
    ) -> FittedFromPixels:
        """Learn from n pictures (file contents or paths) and their text features (n, d_text).

        labels: (n, c), for a supervised method alone; others never see them. levels: a coarse and a fine labelling
        (n, c), for a method that learns from both (shdch, hichnet). frozen: (n, width), what `start()` gives for the
        pictures, where that is known already; else it is computed. text_encoder: the fingerprint of what made the text
        features, or "". Pictures that cannot be opened and texts of zeros are left out and named.
        checkpoint: a folder in which the last finished epoch is kept, to go on from after a kill.

        Raises DataError where the arrays do not fit together or fewer than two pairs can be used, SettingsError for a
        method that makes further rows of features for each batch (duch, ugach), and what the method's own fit raises.
        """
        rows = check_features(text, "text features")
        if len(rows) != len(pictures):
            raise DataError(f"Pairs need as many pictures as texts; got {len(pictures)} and {len(rows)}.")
        known = None if labels is None else check_labels(labels, len(rows))
        layers = tuple(check_labels(level, len(rows)) for level in levels)
        prepared = PreparedPictures(pictures, self.backbone, self.cache_bytes)
        start = self.start()
        if frozen is None:
            image, places, skipped = frozen_features(start, prepared, progress)
        else:
            image, places, skipped = check_features(frozen, "frozen features"), np.arange(len(rows)), ()
        if image.shape != (len(places), self.backbone.width):
            raise DataError(f"Frozen features are expected as {(len(places), self.backbone.width)}; got {image.shape}.")
        network = built(self.backbone)
        worded = rows[places].any(axis=1) & image.any(axis=1)  # a pair that lacks a side teaches nothing
        image, places = image[worded], places[worded]
        if len(places) < 2:
            raise DataError(_too_few(len(places), len(pictures), skipped))
        of_levels = tuple(level[places] for level in layers)
        pairs = PairedFeatures(image, rows[places], None if known is None else known[places], of_levels)
        learner = pixel_method(self.method)(
            **{setting.name: getattr(self.method, setting.name) for setting in dataclasses.fields(DeepMethod)},
            method=self.method,
            backbone=network,
            described=json.dumps({"name": self.backbone.name, **self.backbone.settings()}, sort_keys=True),
            pictures=prepared,
            places=places,
            rate=self.rate(),
            mixed=self.mixed(),
        )
        hasher = learner.fit(pairs, progress=progress, checkpoint=checkpoint)
        encoder = TunedEncoder.of(self.backbone, network)
        return FittedFromPixels(encoder, self._bound(hasher, encoder, text_encoder, start, len(rows)), skipped)

    def start(self) -> TunedEncoder:
        """The frozen copy: the encoder that the backbone is before it learns."""
        on_gpu = self.method.device.startswith("cuda")
        network = built(self.backbone)
        return TunedEncoder.of(self.backbone, network, self.method.device, batch=_BLOCK if on_gpu else 1)

    def rate(self) -> float:
        """The backbone's learning rate as a multiple of the image network's."""
        if self.backbone_rate is not None:
            return self.backbone_rate
        return 0.1 if self.backbone.pretrained else 1.0

    def mixed(self) -> bool:
        """Whether the backbone computes in bfloat16 while it learns."""
        if self.mixed_precision is not None:
            return self.mixed_precision
        return self.method.device.startswith("cuda") and torch.cuda.is_bf16_supported()

    def _bound(self, hasher: Hasher, encoder: TunedEncoder, text_encoder: str, frozen: TunedEncoder, n: int) -> Hasher:
        """The hasher under the method's name, bound to its encoders."""
        settings = {name: value for name, value in hasher.settings.items() if name != "method"}
        encoders = {"image": encoder.fingerprint()} | ({"text": text_encoder} if text_encoder else {})
        report = {**hasher.report, "frozen_encoder": frozen.fingerprint()}
        lost = n - int(hasher.report["pairs"])
        if lost:
            report["left_out"] = f"{lost} pairs without a picture that opens or without words"
        return dataclasses.replace(hasher, method=self.method.name, settings=settings, encoders=encoders, report=report)


def frozen_features(
    encoder: TunedEncoder, prepared: PreparedPictures, progress: Progress = silent
) -> tuple[Features, Rows, tuple[Skipped, ...]]:
    """Features (k, width) of the pictures that open, which those are, and the others with their reasons."""
    features, places, skipped = [np.zeros((0, encoder.width), np.float32)], list[int](), list[Skipped]()
    for start in range(0, len(prepared), _BLOCK):
        rows = range(start, min(start + _BLOCK, len(prepared)))
        pixels, kept, lost = prepared.readable(rows)
        features.append(encoder.encode_pixels(pixels))
        places += kept
        skipped += lost
        progress(Step("frozen features", rows.stop, len(prepared)))
    return np.concatenate(features), np.array(places, dtype=np.int64), tuple(skipped)


def _too_few(usable: int, n: int, skipped: tuple[Skipped, ...]) -> str:
    why = f" The first that does not open is picture {skipped[0].row}: {skipped[0].reason}." if skipped else ""
    return f"Learning needs at least 2 pairs of a picture and a text; {usable} of {n} can be used.{why}"
