"""An image encoder whose weights were trained: one file of arrays, an encoder like any other once it is loaded."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from crossbit.encoders.backbones import Backbone, Pixels, built, load_backbone
from crossbit.encoders.encoder import Encoded, Skipped
from crossbit.encoders.pictures import open_picture
from crossbit.errors import DataError, FileFormatError, MismatchError, SettingsError
from crossbit.files import write_whole
from crossbit.pairs import Features

if TYPE_CHECKING:
    from torch import nn

FORMAT = "crossbit-image-encoder"
FORMAT_VERSION = "1"
SHARED = "hasher.image-encoder.safetensors"  # its name in the folder of a shared hasher
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FINGERPRINT = re.compile(rf"tuned-{_NAME.pattern}-[0-9a-f]{{16}}")
Weights = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class TunedEncoder:
    """Pictures to features by a backbone with weights of its own. An `Encoder`.

    backbone: the architecture and the preparation of pictures. weights: the network's state by name, buffers
    included. device: where it computes. batch: pictures computed at once; with 1, the default, a picture's features
    are the same to the last bit whatever comes with it. More are faster on a GPU and for a tiny network, and change
    features by float32 rounding.

    Raises DataError for weights that are not finite, SettingsError for a backbone whose name cannot name a file.
    """

    backbone: Backbone
    weights: Weights
    device: str = "cpu"
    batch: int = 1
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.backbone.name):
            raise SettingsError(
                f"A backbone is named by up to 64 letters, figures, dots and dashes; got {self.backbone.name!r}."
            )
        for name, values in self.weights.items():
            if not np.isfinite(values).all():
                raise DataError(
                    f"The weights {name} of an image encoder hold NaN or infinity: the training that made them "
                    "diverged. Lower the learning rates."
                )

    @classmethod
    def of(cls, backbone: Backbone, network: nn.Module, device: str = "cpu", batch: int = 1) -> TunedEncoder:
        """The encoder of a network that the backbone built, with a copy of its present weights."""
        state = {name: value.detach().cpu().numpy().copy() for name, value in network.state_dict().items()}
        return cls(backbone, state, device, batch)

    @property
    def width(self) -> int:
        """The backbone's."""
        return self.backbone.width

    def fingerprint(self) -> str:
        """The backbone's name and a hash of its settings and weights."""
        if "fingerprint" not in self._kept:
            self._kept["fingerprint"] = f"tuned-{self.backbone.name}-{_digest(_describe(self.backbone), self.weights)}"
        return str(self._kept["fingerprint"])

    def encode(self, items: Sequence[bytes | Path]) -> Encoded:
        """Features (k, width) of the pictures (file contents or paths) that can be opened; the others are named.

        Raises MissingExtraError where torch is not installed, FileFormatError for weights of another architecture.
        """
        rows: list[Features] = []
        kept: list[int] = []
        skipped: list[Skipped] = []
        waiting: list[Pixels] = []
        for row, item in enumerate(items):
            try:
                waiting.append(self.backbone.prepare(open_picture(item)))
                kept.append(row)
            except DataError as error:
                skipped.append(Skipped(row, str(error)))
            if len(waiting) == self.batch:
                rows.append(self.encode_pixels(np.stack(waiting)))
                waiting.clear()
        if waiting:
            rows.append(self.encode_pixels(np.stack(waiting)))
        features = np.concatenate(rows) if rows else np.zeros((0, self.width), np.float32)
        return Encoded(features, np.array(kept, dtype=np.int64), tuple(skipped))

    def encode_pixels(self, pixels: Pixels) -> Features:
        """(n, 3, side, side) prepared pictures to (n, width)."""
        network = self.network()
        import torch  # noqa: PLC0415 - an optional package, needed only when pictures are encoded

        found = np.empty((len(pixels), self.width), np.float32)
        with torch.inference_mode():
            for start in range(0, len(pixels), self.batch):
                values = torch.from_numpy(pixels[start : start + self.batch]).to(self.device).float()
                found[start : start + self.batch] = network(values).float().cpu().numpy()
        return found

    def save(self, path: str | Path) -> None:
        """Write one safetensors file (weights) with a JSON header (architecture), whole or not at all."""
        header = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "backbone": _describe(self.backbone),
            "fingerprint": self.fingerprint(),
        }
        content = {name: np.array(values, order="C") for name, values in self.weights.items()}
        write_whole(Path(path), save(content, metadata=header))

    @classmethod
    def load(cls, path: str | Path, backbone: Backbone | None = None) -> TunedEncoder:
        """Read what `save` wrote. backbone: the architecture, where it is none of crossbit's own.

        Raises FileFormatError, with what to do, for a file that is missing, truncated, altered or no image encoder,
        MismatchError for one of another architecture than the backbone given.
        """
        path = Path(path)
        if not path.is_file():
            raise FileFormatError(
                f"There is no image encoder at {path}. One lies beside every hasher that was fitted from pixels: "
                "copy it there too, or fit again."
            )
        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
                _check_header(path, header)
                weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dictionary
            described = json.loads(header["backbone"])
            name, settings = str(described["name"]), dict(described["settings"])
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, FileFormatError):
                raise
            raise FileFormatError(
                f"{path} is not a whole image encoder ({error}); it may be truncated. Restore a copy or fit again."
            ) from error
        encoder = cls(_backbone_of(path, name, settings, backbone), weights)
        if header.get("fingerprint") != encoder.fingerprint():
            raise FileFormatError(f"{path} was altered after it was saved (its checksum differs); restore a copy.")
        return encoder

    def network(self) -> nn.Module:
        """The network in evaluation mode, (b, 3, side, side) in 0..255 to (b, width), built at first use and then kept.

        Raises MissingExtraError where torch is not installed, FileFormatError for weights of another architecture.
        """
        if "network" not in self._kept:
            network = built(self.backbone)
            import torch  # noqa: PLC0415 - an optional package, needed only when pictures are encoded

            try:
                network.load_state_dict({name: torch.from_numpy(np.array(v)) for name, v in self.weights.items()})
            except RuntimeError as error:
                raise FileFormatError(
                    f"The weights of {self.fingerprint()} do not fit its architecture {_describe(self.backbone)}. "
                    "Load them with the backbone they were trained on."
                ) from error
            self._kept["network"] = network.to(self.device)
        return self._kept["network"]  # type: ignore[no-any-return]


def place_in(folder: Path, fingerprint: str) -> Path:
    """Where the image encoder with a fingerprint lies: in the folder of its hasher's file, or in that of a collection.

    The name is the fingerprint, so that one encoder never takes another's place, and several hashers can share one.
    """
    return folder / f"{fingerprint}.safetensors"


def find_tuned(fingerprint: str, place: Path) -> TunedEncoder | None:
    """The tuned encoder with a fingerprint, looked for beside a hasher's file or in a collection's folder.

    None for fingerprints of other encoders. Raises FileFormatError where the file is missing or unfit, and where it
    is another encoder than its name says.
    """
    if not _FINGERPRINT.fullmatch(fingerprint):
        return None
    folder = place if place.is_dir() else place.parent
    path = place_in(folder, fingerprint)
    if not path.is_file() and (folder / SHARED).is_file():
        path = folder / SHARED
    encoder = TunedEncoder.load(path)
    if encoder.fingerprint() != fingerprint:
        raise FileFormatError(f"{path} holds the encoder {encoder.fingerprint()}; restore the one it is named after.")
    return encoder


def _backbone_of(path: Path, name: str, settings: dict[str, Any], given: Backbone | None) -> Backbone:
    if given is not None:
        if (given.name, dict(given.settings())) != (name, settings):
            raise MismatchError(
                f"{path} holds weights of the backbone {name} {settings}; given was {given.name} "
                f"{dict(given.settings())}. Give the backbone it was trained on."
            )
        return given
    try:
        return load_backbone(name, settings)
    except SettingsError as error:
        raise FileFormatError(
            f"{path} holds an encoder that crossbit cannot build: {error} "
            "Load one of your own with TunedEncoder.load(path, backbone=...)."
        ) from error


def _check_header(path: Path, header: Mapping[str, str]) -> None:
    if header.get("format") != FORMAT:
        raise FileFormatError(f"{path} is a safetensors file, but not an image encoder of crossbit.")
    if header.get("version") != FORMAT_VERSION:
        raise FileFormatError(
            f"{path} has image encoder format version {header.get('version')}; this crossbit reads version "
            f"{FORMAT_VERSION}. Upgrade crossbit (pip install -U crossbit), or fit again with this one."
        )


def _describe(backbone: Backbone) -> str:
    return json.dumps({"name": backbone.name, "settings": dict(backbone.settings())}, sort_keys=True)


def _digest(description: str, weights: Weights) -> str:
    digest = hashlib.sha256(description.encode())
    for name in sorted(weights):
        digest.update(f"{name}{weights[name].dtype.str}{weights[name].shape}".encode())
        digest.update(np.ascontiguousarray(weights[name]).tobytes())
    return digest.hexdigest()[:16]
