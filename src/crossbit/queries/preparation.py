"""How a picture becomes the numbers that a graph takes: constants that stand in the manifest, applied in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from crossbit.encoders.preparation import Preparation
from crossbit.errors import FileFormatError

Fit = Literal["pad", "crop", "squash"]
"""How a picture comes to be square. pad: shrunk or enlarged to fit, the rest filled with the background. crop: scaled
until its shorter edge has `shorter` pixels, and the middle cut out. squash: both edges scaled to the square."""

Resampling = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]


@dataclass(frozen=True)
class PicturePreparation:
    """A RGB picture to (3, side, side) float32: made square, then (x / divisor - mean) / std of each colour.

    side: pixels. fit, shorter: see `Fit`. background: a colour by name or #rrggbb. x: values from 0 to 255. mean,
    std: of red, green and blue.

    Raises FileFormatError for what this crossbit does not know: another way of preparing would give other codes.
    """

    side: int
    fit: Fit = "pad"
    resampling: Resampling = "bicubic"
    background: str = "white"
    divisor: float = 255.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shorter: int = 0

    def __post_init__(self) -> None:
        known = self.fit in get_args(Fit) and self.resampling in get_args(Resampling)
        numbered = isinstance(self.side, int) and isinstance(self.shorter, int)
        cut = self.fit != "crop" or (numbered and self.side <= self.shorter <= 8192)
        if not known or not isinstance(self.side, int) or not 1 <= self.side <= 4096 or not cut:
            raise FileFormatError(
                f"Pictures are prepared in a way that this crossbit does not know (fit {self.fit!r}, resampling "
                f"{self.resampling!r}, side {self.side!r}). Upgrade crossbit, or export again with  crossbit export."
            )
        numbers = np.array([self.divisor, *self.mean, *self.std], dtype=np.float64)
        if numbers.shape != (7,) or not np.isfinite(numbers).all() or min(self.divisor, *self.std) <= 0:
            raise FileFormatError(
                "The preparation of pictures needs one divisor and three means and stds, the divisor and stds above "
                "0. Export again with  crossbit export."
            )

    def __call__(self, picture: Image.Image) -> NDArray[np.float32]:
        """The prepared picture, (3, side, side)."""
        how = Image.Resampling[self.resampling.upper()]
        square: Any
        if self.fit == "pad":
            square = ImageOps.pad(picture, (self.side, self.side), how, color=self.background)
        else:
            square = Preparation(side=self.side, fit=self.fit, shorter=self.shorter, resample=self.resampling)(picture)
        mean, std = np.array(self.mean, dtype=np.float32), np.array(self.std, dtype=np.float32)
        values: NDArray[np.float32] = (np.asarray(square, dtype=np.float32) / np.float32(self.divisor) - mean) / std
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """From the plain values of a manifest; raises FileFormatError for other values."""
        try:
            triples = {name: tuple(float(value) for value in content[name]) for name in ("mean", "std")}
            return cls(**{**content, **triples})
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"The preparation of pictures is not one that this crossbit knows ({error}). Upgrade crossbit, or "
                "export again with  crossbit export."
            ) from error
