"""What training leaves behind: two plain hash functions into one Hamming space. NumPy only, no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from crossbit.calibration import Calibration
from crossbit.codes import Codes, check_n_bits, check_prefix
from crossbit.errors import DataError, FileFormatError, MismatchError, WidthError
from crossbit.files import write_whole
from crossbit.pairs import check_features
from crossbit.sharing.shareable import Shareable

FORMAT_VERSION = 1
Activation = Literal["linear", "relu", "tanh"]
_BLOCK = 4096  # rows computed at once: bounds the memory of an encoding


@dataclass(frozen=True, eq=False)
class Layer:
    """One affine map with its activation: activation(x @ weight + bias).

    weight: (d_in, d_out) float32. bias: (d_out,) float32. activation: "linear", "relu" or "tanh".
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: Activation = "linear"

    def __post_init__(self) -> None:
        weight = np.ascontiguousarray(self.weight, dtype=np.float32).view()
        bias = np.ascontiguousarray(self.bias, dtype=np.float32).view()
        if weight.ndim != 2 or bias.shape != (weight.shape[1],):
            raise DataError(
                f"A layer needs weight (d_in, d_out) and bias (d_out,); got {weight.shape} and {bias.shape}."
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise DataError(
                "A layer holds NaN or infinity: the training that made it diverged. Lower its learning rate."
            )
        if self.activation not in get_args(Activation):
            raise DataError(f"An activation is one of {', '.join(get_args(Activation))}; got {self.activation!r}.")
        weight.flags.writeable = bias.flags.writeable = False
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)


@dataclass(frozen=True, eq=False)
class HashFunction:
    """A chain of layers from a feature row (d,) to n_bits real values; a code is their signs.

    layers: one or more, each as wide as the next one expects. normalise: scale every feature row to length 1 first
    (a row of zeros stays zero). An item's values depend on that item alone: the sums are made in float64, so that
    the size of the batch it arrives in does not move a value across zero.
    """

    layers: tuple[Layer, ...]
    normalise: bool = False

    def __post_init__(self) -> None:
        if not self.layers:
            raise DataError("A hash function needs at least one layer.")
        for first, second in zip(self.layers, self.layers[1:], strict=False):
            if first.weight.shape[1] != second.weight.shape[0]:
                raise WidthError(
                    f"A layer gives {first.weight.shape[1]} values where the next one takes {second.weight.shape[0]}."
                )
        check_n_bits(self.n_bits)

    @property
    def width(self) -> int:
        """How many features it takes."""
        return int(self.layers[0].weight.shape[0])

    @property
    def n_bits(self) -> int:
        """How many values, and so bits, it gives."""
        return int(self.layers[-1].weight.shape[1])

    def __call__(self, features: NDArray[Any], what: str = "features") -> NDArray[np.float32]:
        """Real outputs (n, n_bits) of feature rows (n, width); raises WidthError or DataError on unfit input."""
        rows = check_features(features, what)
        if rows.shape[1] != self.width:
            raise WidthError(
                f"This hasher takes {what} of width {self.width}; got width {rows.shape[1]}. "
                "Encode with the encoder the hasher was fitted on."
            )
        outputs = np.empty((len(rows), self.n_bits), dtype=np.float32)
        weights = [layer.weight.astype(np.float64) for layer in self.layers]
        for start in range(0, len(rows), _BLOCK):
            values = rows[start : start + _BLOCK].astype(np.float64)
            if self.normalise:
                lengths = np.linalg.norm(values, axis=1, keepdims=True)
                values /= np.where(lengths > 0, lengths, 1.0)
            for layer, weight in zip(self.layers, weights, strict=True):
                values = values @ weight + layer.bias
                if layer.activation == "relu":
                    values = np.maximum(values, 0.0)
                elif layer.activation == "tanh":
                    values = np.tanh(values)
            outputs[start : start + _BLOCK] = values
        return outputs


@dataclass(frozen=True, eq=False)
class Hasher(Shareable):
    """An image and a text hash function into one Hamming space, and where they come from.

    image, text: functions with the same number of bits. method: the acronym of the method that fitted it.
    settings: that method's settings as plain JSON values. encoders: fingerprints of the encoders whose features it
    takes, by modality; empty for features from elsewhere. report: what training noted (epochs, losses, monitors).
    calibration: what its distances say, where that was measured (`crossbit.calibration`); codes do not depend on it.
    vocabulary: the words of a text encoder that was fitted (bag of words, TF-IDF) as plain values, so that texts can be
    encoded wherever the hasher goes; empty with other encoders.
    """

    image: HashFunction
    text: HashFunction
    method: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    encoders: Mapping[str, str] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None
    vocabulary: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.image.n_bits != self.text.n_bits:
            raise WidthError(
                f"Both hash functions need one code length; got {self.image.n_bits} and {self.text.n_bits}."
            )
        if self.calibration is not None and self.calibration.n_bits != self.n_bits:
            raise WidthError(
                f"The calibration is of {self.calibration.n_bits}-bit codes; this hasher makes {self.n_bits} bits."
            )

    @property
    def n_bits(self) -> int:
        """The code length in bits."""
        return self.image.n_bits

    def encode_images(self, features: NDArray[Any]) -> Codes:
        """Codes of image features (n, d_image); raises WidthError or DataError on unfit input."""
        return Codes.from_real(self.image(features, "image features"))

    def encode_texts(self, features: NDArray[Any]) -> Codes:
        """Codes of text features (n, d_text); raises WidthError or DataError on unfit input."""
        return Codes.from_real(self.text(features, "text features"))

    def with_encoders(self, *, image: str, text: str, vocabulary: Mapping[str, Any] | None = None) -> Hasher:
        """The same hasher, bound to the encoders of these fingerprints.

        vocabulary: what the text encoder's `to_json` gives, where it was fitted on texts. Raises MismatchError for
        the vocabulary of another encoder.
        """
        if vocabulary and vocabulary.get("fingerprint") != text:
            raise MismatchError(
                f"The vocabulary is that of {vocabulary.get('fingerprint')!r}, the text encoder {text!r}."
            )
        return replace(self, encoders={"image": image, "text": text}, vocabulary=vocabulary or {})

    def with_calibration(self, calibration: Calibration | None) -> Hasher:
        """The same hasher, same codes and same fingerprint, with what its distances were measured to say."""
        return replace(self, calibration=calibration)

    def prefix(self, n_bits: int) -> Hasher:
        """The hasher of the first n_bits bits alone, whose codes are `Codes.prefix` of this one's.

        It is a hasher of its own: with a fingerprint of its own, this one's settings, and this one's fingerprint in
        its report (`prefix_of`); without a calibration, since its distances are others. A prefix is a good code where
        the method was told to make it one (KDCMH's `prefixes`); of other methods it is only the first bits. Raises
        WidthError for more bits than there are.
        """
        check_prefix(n_bits, self.n_bits)
        functions = [replace(f, layers=(*f.layers[:-1], _first(f.layers[-1], n_bits))) for f in (self.image, self.text)]
        report = {**self.report, "prefix_of": self.fingerprint()}
        return replace(self, image=functions[0], text=functions[1], report=report, calibration=None)

    def fingerprint(self) -> str:
        """A 16-digit hash of weights, settings and encoders: two hashers that agree in it give the same codes."""
        return _digest(_describe(self), _tensors(self))

    def save(self, path: str | Path) -> None:
        """Write one safetensors file (arrays) with a JSON header (all else), whole or not at all."""
        description, tensors = _describe(self), _tensors(self)
        header = {
            "format": "crossbit-hasher",
            "version": str(FORMAT_VERSION),
            "description": json.dumps(description, sort_keys=True),
            "report": json.dumps(dict(self.report), sort_keys=True),
            "fingerprint": _digest(description, tensors),
        }
        if self.vocabulary:
            header["vocabulary"] = json.dumps(dict(self.vocabulary), ensure_ascii=False)
        if self.calibration is not None:
            header["calibration"] = json.dumps(self.calibration.to_json())
        header["checksum"] = _header_checksum(header)
        write_whole(Path(path), save(tensors, metadata=header))

    @classmethod
    def load(cls, path: str | Path) -> Hasher:
        """Read what `save` wrote.

        Raises FileFormatError, with what to do, for a file that is missing, truncated, altered, not a hasher or of
        a version this crossbit does not know.
        """
        path = Path(path)
        if not path.is_file():
            raise FileFormatError(f"There is no hasher file at {path}; make one with  crossbit fit  or Hasher.save.")
        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
                _check_header(path, header)
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dictionary
            description, report = json.loads(header["description"]), json.loads(header["report"])
            if _digest(description, tensors) != header["fingerprint"]:
                raise FileFormatError(f"{path} was altered after it was saved (its checksum differs); restore a copy.")
            if header.get("checksum", _header_checksum(header)) != _header_checksum(header):
                raise FileFormatError(f"{path} was altered after it was saved (its header differs); restore a copy.")
            calibration = Calibration.from_json(json.loads(header["calibration"])) if "calibration" in header else None
            functions = {side: _function(description[side], side, tensors) for side in ("image", "text")}
            names = {key: description[key] for key in ("method", "settings", "encoders")}
            vocabulary = dict(json.loads(header.get("vocabulary", "{}")))
            extra = {"report": report, "calibration": calibration, "vocabulary": vocabulary}
            return cls(functions["image"], functions["text"], **extra, **names)
        except (SafetensorError, KeyError, TypeError, IndexError, AttributeError, UnicodeDecodeError) as error:
            raise FileFormatError(_damaged(path, error)) from error
        except json.JSONDecodeError as error:
            raise FileFormatError(_damaged(path, error)) from error


def _first(layer: Layer, n: int) -> Layer:
    return Layer(layer.weight[:, :n], layer.bias[:n], layer.activation)


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is not a whole hasher file ({error}); it may be truncated. Restore a copy or fit again."


def _check_header(path: Path, header: Mapping[str, str]) -> None:
    if header.get("format") != "crossbit-hasher":
        raise FileFormatError(f"{path} is a safetensors file, but not a crossbit hasher; make one with  crossbit fit.")
    if header.get("version") != str(FORMAT_VERSION):
        raise FileFormatError(
            f"{path} has hasher format version {header.get('version')}; this crossbit reads version {FORMAT_VERSION}. "
            "Upgrade crossbit (pip install -U crossbit), or fit the hasher again with this one."
        )


def _header_checksum(header: Mapping[str, str]) -> str:
    """A hash of all else in the header; files from before it was written carry none."""
    kept = {key: value for key, value in header.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def _describe(hasher: Hasher) -> dict[str, Any]:
    sides = {
        side: {"normalise": function.normalise, "activations": [layer.activation for layer in function.layers]}
        for side, function in (("image", hasher.image), ("text", hasher.text))
    }
    names = {"method": hasher.method, "settings": dict(hasher.settings), "encoders": dict(hasher.encoders)}
    return {**sides, **names}


def _tensors(hasher: Hasher) -> dict[str, NDArray[Any]]:
    return {
        f"{side}.{number}.{part}": getattr(layer, part)
        for side, function in (("image", hasher.image), ("text", hasher.text))
        for number, layer in enumerate(function.layers)
        for part in ("weight", "bias")
    }


def _function(described: Mapping[str, Any], side: str, tensors: Mapping[str, NDArray[Any]]) -> HashFunction:
    layers = tuple(
        Layer(tensors[f"{side}.{number}.weight"], tensors[f"{side}.{number}.bias"], activation)
        for number, activation in enumerate(described["activations"])
    )
    return HashFunction(layers, normalise=bool(described["normalise"]))


def _digest(description: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for key in sorted(tensors):
        digest.update(f"{key}{tensors[key].dtype.str}{tensors[key].shape}".encode())
        digest.update(np.ascontiguousarray(tensors[key]).tobytes())
    return digest.hexdigest()[:16]
