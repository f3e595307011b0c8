"""How an opened picture becomes what a network takes: plain values, applied with Pillow and NumPy alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from crossbit.errors import SettingsError

Fit = Literal["pad", "crop", "squash"]
Resample = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """An RGB picture to (side, side, 3) bytes, and bytes to the values a network takes.

    side: pixels of the square. fit: "pad" scales the whole picture into the square and fills with white; "crop"
    scales it until its shorter edge has `shorter` pixels and cuts the middle out; "squash" scales both edges to the
    square. resample: Pillow's filter. mean, std: per colour, on the scale 0 to 255: values are (x - mean) / std.

    Raises SettingsError for values outside these.
    """

    side: int
    fit: Fit = "pad"
    shorter: int = 0
    resample: Resample = "bicubic"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (255.0, 255.0, 255.0)

    def __post_init__(self) -> None:
        if self.fit not in get_args(Fit) or self.resample not in get_args(Resample):
            raise SettingsError(
                f"fit is one of {', '.join(get_args(Fit))} and resample one of {', '.join(get_args(Resample))}; "
                f"got {self.fit!r} and {self.resample!r}."
            )
        if not 1 <= self.side <= 4096 or (self.fit == "crop" and not self.side <= self.shorter <= 8192):
            raise SettingsError(
                f"side is 1 to 4096 pixels and, to crop, shorter is side to 8192; got {self.side} and {self.shorter}."
            )
        if len(self.mean) != 3 or len(self.std) != 3 or not all(np.isfinite(self.mean)) or min(self.std) <= 0:
            raise SettingsError(f"mean and std are three numbers each, std above 0; got {self.mean} and {self.std}.")

    def __call__(self, picture: Image.Image) -> NDArray[np.uint8]:
        """The picture (RGB) as (side, side, 3) bytes."""
        filter_ = Image.Resampling[self.resample.upper()]
        square = (self.side, self.side)
        if self.fit == "pad":
            fitted = ImageOps.pad(picture, square, filter_, color="white")
        elif self.fit == "squash":
            fitted = picture.resize(square, filter_)
        else:
            fitted = _cropped(picture, self.side, self.shorter, filter_)
        return np.asarray(fitted, dtype=np.uint8)

    def scaled(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures (b, side, side, 3) as float32 (b, 3, side, side), laid out with the colours last in memory."""
        values = pixels.astype(np.float32)
        values -= np.array(self.mean, np.float32)
        values /= np.array(self.std, np.float32)
        return np.moveaxis(values, 3, 1)

    def fingerprint(self) -> str:
        """A short hash of all its values."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:8]

    def to_json(self) -> dict[str, Any]:
        """Plain values, from which `from_json` makes it again."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Preparation:
        """What `to_json` gave."""
        plain: dict[str, Any] = dict(values)
        return cls(**plain | {name: tuple(plain[name]) for name in ("mean", "std")})


def of_255(values: Sequence[float]) -> tuple[float, float, float]:
    """Three numbers on the scale 0 to 1, as models' files give them, on the scale 0 to 255."""
    red, green, blue = (255.0 * float(value) for value in values)
    return red, green, blue


def _cropped(picture: Image.Image, side: int, shorter: int, filter_: Image.Resampling) -> Image.Image:
    """The middle square, with the other edge rounded down as torchvision and transformers do."""
    width, height = picture.size
    size = (shorter, shorter * height // width) if width <= height else (shorter * width // height, shorter)
    left, top = (round((edge - side) / 2) for edge in size)
    if max(size) > 16 * shorter:  # a long strip: scaling all of it would take too much memory for its middle
        across, down = width / size[0], height / size[1]
        box = (left * across, top * down, min((left + side) * across, width), min((top + side) * down, height))
        return picture.resize((side, side), filter_, box=box)
    return picture.resize(size, filter_).crop((left, top, left + side, top + side))
