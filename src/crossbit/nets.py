"""The small networks that become hash functions: built with torch, left behind as plain layers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from crossbit.hasher import Activation, HashFunction, Layer
from crossbit.pairs import Features


class Standardise(nn.Module):
    """Shift and scale each feature by constants measured once on the training rows (never on a batch)."""

    shift: Tensor
    scale: Tensor

    def __init__(self, features: Features, *, whiten: bool = True) -> None:
        super().__init__()
        spread = features.std(axis=0, dtype=np.float64)
        # A feature that never varies on the training rows says nothing; it is kept at zero instead of blown up.
        scale = np.where(spread > 1e-6 * max(float(spread.max()), 1e-12), 1.0 / np.maximum(spread, 1e-12), 0.0)
        if not whiten:
            scale = np.full_like(scale, 1.0 / np.sqrt(np.mean(spread**2)))
        self.register_buffer("shift", torch.from_numpy(features.mean(axis=0, dtype=np.float64)).float())
        self.register_buffer("scale", torch.from_numpy(scale).float())

    def forward(self, rows: Tensor) -> Tensor:
        """(b, d) -> (b, d)."""
        return (rows - self.shift) * self.scale


class HashNet(nn.Module):
    """Feature rows (b, d) to real outputs (b, n_bits), before any tanh or sign.

    layers: a chain of Linear, BatchNorm1d, ReLU, Dropout and Standardise modules. normalise: scale rows to length 1
    first. In evaluation mode the chain is a function of one row alone.
    """

    def __init__(self, *layers: nn.Module, normalise: bool = False) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.normalise = normalise

    def forward(self, rows: Tensor) -> Tensor:
        """(b, d) -> (b, n_bits)."""
        return self.layers(nn.functional.normalize(rows) if self.normalise else rows)  # type: ignore[no-any-return]

    def hash_function(self) -> HashFunction:
        """The same function as plain arrays: constants and batch normalisation are folded into the affine maps."""
        return HashFunction(tuple(_plain_layers(self.layers)), normalise=self.normalise)


def linear_net(d: int, n_bits: int) -> HashNet:
    """One affine map: what DJSRH and JDSH learn on top of frozen image features."""
    return HashNet(nn.Linear(d, n_bits))


def hidden_net(d: int, n_bits: int, hidden: int) -> HashNet:
    """One hidden ReLU layer: the text network of DJSRH, JDSH and DCMH."""
    return HashNet(nn.Linear(d, hidden), nn.ReLU(), nn.Linear(hidden, n_bits))


def regular_net(features: Features, n_bits: int, hidden: int, input_dropout: float, dropout: float) -> HashNet:
    """One hidden layer between standardised, partly dropped inputs and normalised outputs: hard to over-fit."""
    return HashNet(
        Standardise(features),
        nn.Dropout(input_dropout),
        nn.Linear(features.shape[1], hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, n_bits),
        nn.BatchNorm1d(n_bits, affine=False),
    )


@dataclass(frozen=True)
class _Affine:
    """A pending affine map x @ weight + bias in float64, to which the steps that follow are folded."""

    weight: Tensor  # (d_in, d_out); (d,) for a map of each feature on its own
    bias: Tensor  # (d_out,)

    def then(self, weight: Tensor, bias: Tensor) -> _Affine:
        """This map followed by another one; a one-dimensional weight scales each value."""
        if weight.ndim == 1:
            return _Affine(self.weight * weight, self.bias * weight + bias)
        first = self.weight[:, None] if self.weight.ndim == 1 else self.weight
        return _Affine(first * weight if self.weight.ndim == 1 else first @ weight, self.bias @ weight + bias)

    def layer(self, activation: Activation) -> Layer:
        """The plain layer."""
        return Layer(_array(self.weight), _array(self.bias), activation)


def _affine(module: nn.Module) -> _Affine | None:
    """The affine map that a module is in evaluation mode; None where it is something else."""
    if isinstance(module, Standardise):
        return _Affine(module.scale.double(), -(module.shift * module.scale).double())
    if isinstance(module, nn.Linear):
        return _Affine(module.weight.detach().double().T, module.bias.detach().double())
    if isinstance(module, nn.BatchNorm1d):
        state = {name: value.double() for name, value in module.state_dict().items()}
        gain = state.get("weight", torch.tensor(1.0)) * (state["running_var"] + module.eps).rsqrt()
        return _Affine(gain, state.get("bias", torch.tensor(0.0)) - state["running_mean"] * gain)
    return None


def _plain_layers(modules: nn.Sequential) -> Iterator[Layer]:
    """Fold all affine steps between two activations into one Layer."""
    pending: _Affine | None = None
    for module in modules:
        affine = _affine(module)
        if affine is not None:
            pending = affine if pending is None else pending.then(affine.weight, affine.bias)
        elif isinstance(module, nn.ReLU) and pending is not None:
            yield pending.layer("relu")
            pending = None
        elif not isinstance(module, nn.Dropout):
            raise TypeError(
                f"A {type(module).__name__} has no plain form here; use Linear, BatchNorm1d, ReLU, Dropout."
            )
    if pending is not None:
        yield pending.layer("linear")


def _array(values: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return values.detach().cpu().numpy().astype(np.float32)
