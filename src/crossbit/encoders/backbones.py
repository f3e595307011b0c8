"""Backbones: networks from pixels to features whose weights can be trained further. Importing this needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from crossbit.encoders.efficientnet import SIDE, load_network
from crossbit.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from torch import Tensor, nn

Pixels = NDArray[np.uint8]
_GROUP = 8  # channels that GroupNorm measures together


class Backbone(Protocol):
    """The architecture of a network from pixels to features, and how a picture becomes pixels. Any object will do.

    In evaluation mode the network must compute each picture's features from that picture alone. Its preparation has
    no randomness, so that a picture can be prepared once and kept.
    """

    @property
    def name(self) -> str:
        """What the architecture is called, such as "tiny"; part of the fingerprint of an encoder tuned on it."""
        ...

    @property
    def width(self) -> int:
        """d, the number of features a picture gets."""
        ...

    @property
    def side(self) -> int:
        """The width and height in pixels of a prepared picture."""
        ...

    @property
    def pretrained(self) -> bool:
        """Whether `build` gives weights that were learned before; those are tuned at a lower rate."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """All that shapes architecture and preparation, as plain JSON values."""
        ...

    def build(self) -> nn.Module:
        """A fresh network with its starting weights: (b, 3, side, side) float32 in 0..255 to (b, width)."""
        ...

    def prepare(self, picture: Image.Image) -> Pixels:
        """A RGB picture as (3, side, side)."""
        ...


@dataclass(frozen=True)
class TinyBackbone:
    """A small convolutional network that starts from random weights: for tests, small pictures and a CPU.

    For each of `channels`, a 3 x 3 convolution that halves the side, GroupNorm (Wu and He, ECCV 2018: measured within
    one picture, so that no batch can leak in) and ReLU; then the mean over the places. A picture is fitted into
    side x side pixels on white; its pixels x become (x - 127) / 128.

    side: 8 to 512 pixels. channels: one to eight multiples of 8, up to 2048; the last is the width. seed: of the
    starting weights. Raises SettingsError outside these ranges.
    """

    side: int = 64
    channels: tuple[int, ...] = (32, 64, 128, 256)
    seed: int = 0

    def __post_init__(self) -> None:
        for value in (self.side, self.seed, *self.channels):
            if isinstance(value, bool) or not isinstance(value, int):
                raise SettingsError(f"side, channels and seed are whole numbers; got {value!r}.")
        object.__setattr__(self, "channels", tuple(self.channels))
        if not 8 <= self.side <= 512:
            raise SettingsError(f"side is expected from 8 to 512 pixels; got {self.side}.")
        if not 1 <= len(self.channels) <= 8 or any(c % _GROUP or not _GROUP <= c <= 2048 for c in self.channels):
            raise SettingsError(f"channels are one to eight multiples of 8, 8 to 2048; got {self.channels}.")
        if self.seed < 0:
            raise SettingsError(f"seed must be 0 or more; got {self.seed}.")

    @property
    def name(self) -> str:
        """ "tiny"."""
        return "tiny"

    @property
    def width(self) -> int:
        """The last of the channels."""
        return self.channels[-1]

    @property
    def pretrained(self) -> bool:
        """False: it knows nothing before it is trained."""
        return False

    def settings(self) -> dict[str, Any]:
        """side, channels and seed."""
        return asdict(self) | {"channels": list(self.channels)}

    def build(self) -> nn.Module:
        """The network with weights drawn by the seed (He et al., ICCV 2015)."""
        torch = _torch()
        generator = torch.Generator().manual_seed(self.seed)
        layers: list[Any] = []
        for before, after in zip((3, *self.channels), self.channels, strict=False):
            convolution = torch.nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False)
            with torch.no_grad():
                convolution.weight.normal_(0.0, (2 / (9 * before)) ** 0.5, generator=generator)
            layers += [convolution, torch.nn.GroupNorm(after // _GROUP, after), torch.nn.ReLU()]
        return _scaled(torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()))

    def prepare(self, picture: Image.Image) -> Pixels:
        """Fitted into the square, padded with white."""
        return _padded(picture, self.side)


@dataclass(frozen=True)
class EfficientNetLite0Backbone:
    """EfficientNet-Lite0 with its ImageNet weights from the package, as `EfficientNetLite0` runs it, to be tuned."""

    @property
    def name(self) -> str:
        """ "efficientnet-lite0"."""
        return "efficientnet-lite0"

    @property
    def width(self) -> int:
        """1280."""
        return 1280

    @property
    def side(self) -> int:
        """224."""
        return SIDE

    @property
    def pretrained(self) -> bool:
        """True: on ImageNet."""
        return True

    def settings(self) -> dict[str, Any]:
        """None but the version of the weights it starts from."""
        return {"weights": "0.1.0"}

    def build(self) -> nn.Module:
        """The network up to its pooled features; its classifier is left out."""
        torch = _torch()
        network = load_network()

        class Pooled(torch.nn.Module):  # type: ignore[name-defined, misc]  # torch is imported only here
            def __init__(self) -> None:
                super().__init__()
                network._fc = torch.nn.Identity()
                self.network = network

            def forward(self, values: Tensor) -> Tensor:
                return self.network.extract_features(values).mean(dim=(2, 3))  # type: ignore[no-any-return]

        return _scaled(Pooled())

    def prepare(self, picture: Image.Image) -> Pixels:
        """Fitted into 224 x 224, padded with white."""
        return _padded(picture, SIDE)


def load_backbone(name: str, settings: Mapping[str, Any] | None = None) -> Backbone:
    """A backbone of crossbit by its name and settings; raises SettingsError for what there is not."""
    given = dict(settings or {})
    if name == "tiny":
        unknown = set(given) - {"side", "channels", "seed"}
        if unknown or not isinstance(given.get("channels", ()), list | tuple):
            raise SettingsError(f"The backbone tiny is set by side, channels and seed; got {given}.")
        if "channels" in given:
            given["channels"] = tuple(given["channels"])
        return TinyBackbone(**given)
    if name == "efficientnet-lite0":
        backbone = EfficientNetLite0Backbone()
        if given not in ({}, backbone.settings()):
            raise SettingsError(f"The backbone efficientnet-lite0 is there as {backbone.settings()}; got {given}.")
        return backbone
    raise SettingsError(f"There is no backbone {name!r}; there are tiny and efficientnet-lite0.")


def built(backbone: Backbone) -> nn.Module:
    """A fresh network of a backbone, in evaluation mode; torch's global random state is left as it was."""
    torch = _torch()
    # Layers draw weights when they are made, also where these are replaced at once.
    with torch.random.fork_rng(devices=[]):
        return backbone.build().eval()


def _padded(picture: Image.Image, side: int) -> Pixels:
    fitted = ImageOps.pad(picture, (side, side), Image.Resampling.BICUBIC, color="white")
    return np.ascontiguousarray(np.asarray(fitted, dtype=np.uint8).transpose(2, 0, 1))


def _scaled(network: nn.Module) -> nn.Module:
    """The network behind (x - 127) / 128, so that it takes pixels as they are stored."""
    torch = _torch()

    class Scaled(torch.nn.Module):  # type: ignore[name-defined, misc]  # torch is imported only here
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: Tensor) -> Tensor:
            return self.network((pixels - 127) / 128)  # type: ignore[no-any-return]

    return Scaled()


def _torch() -> Any:
    try:
        import torch  # noqa: PLC0415 - an optional package, needed only when a network is built
    except ModuleNotFoundError as error:
        raise MissingExtraError("A backbone", "train") from error
    return torch
