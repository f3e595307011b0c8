"""The last finished epoch of a training, kept on disk so that a kill costs one epoch at most."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from crossbit.errors import FileFormatError
from crossbit.files import write_whole
from crossbit.hasher import Hasher

History = list[dict[str, float]]


class Checkpoint:
    """One file `<digest of key>.checkpoint` in a folder; without a folder nothing is kept.

    key: everything that makes a training what it is (method, settings, data): another key is another file, so a
    changed setting starts afresh and a student and its teacher can share a folder.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        self.path = None if folder is None else folder / f"{digest}.checkpoint"

    def save(self, modules: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer, history: History) -> None:
        """Write weights, optimiser state, random state and history, whole or not at all."""
        if self.path is None:
            return
        tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in _state(module).items()}
        optimiser_state = optimiser.state_dict()
        for number, values in optimiser_state["state"].items():
            tensors |= {f"optimiser/{number}/{key}": torch.as_tensor(value) for key, value in values.items()}
        tensors["random"] = torch.get_rng_state()
        gpu = _gpu(modules)
        if gpu is not None:
            tensors["random_gpu"] = torch.cuda.get_rng_state(gpu)
        # A copy of each: safetensors refuses tensors that share memory.
        whole = {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}
        write_whole(self.path, save(whole, metadata={"history": json.dumps(history)}))

    def restore(self, modules: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer) -> History:
        """Put back what was saved and return the finished epochs' loss terms; an unfit file starts afresh."""
        if self.path is None or not self.path.is_file():
            return []
        try:
            with safe_open(self.path, framework="pt") as file:
                history: History = json.loads(file.metadata()["history"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dictionary
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError):
            return []
        if not _fits(tensors, modules):
            return []
        for name, module in modules.items():
            prefix = f"{name}/"
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        optimiser.load_state_dict({**optimiser.state_dict(), "state": _optimiser_state(tensors)})
        torch.set_rng_state(tensors["random"])
        gpu = _gpu(modules)
        if gpu is not None and "random_gpu" in tensors:
            torch.cuda.set_rng_state(tensors["random_gpu"], gpu)
        return history

    def clear(self) -> None:
        """Remove the file, and what a kill while writing left of it: the training it belonged to is over."""
        if self.path is not None:
            for part in (self.path, *self.path.parent.glob(f".{self.path.name}.*.part")):
                part.unlink(missing_ok=True)


def _state(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.state_dict())


def _fits(tensors: Mapping[str, Tensor], modules: Mapping[str, nn.Module]) -> bool:
    """Whether the tensors of a file are those of the modules, so that none of them is loaded half."""
    wanted = {f"{name}/{key}": value.shape for name, module in modules.items() for key, value in _state(module).items()}
    given = {key: value.shape for key, value in tensors.items() if key.split("/")[0] in modules}
    return wanted == given and "random" in tensors


def _gpu(modules: Mapping[str, nn.Module]) -> torch.device | None:
    """The GPU that a training runs on, whose random state is then part of it; None on the processor."""
    devices = [value.device for module in modules.values() for value in _state(module).values()]
    return next((device for device in devices if device.type == "cuda"), None)


def _optimiser_state(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Any]]:
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser/"):
            _, number, name = key.split("/")
            state.setdefault(int(number), {})[name] = value
    return state


class KeptHasher:
    """A hasher that is a step on the way, kept in the checkpoint folder until the whole is done.

    key: everything that makes it what it is; without a folder nothing is kept.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        self.path = None if folder is None else folder / f"{digest}.safetensors"

    def load_or(self, fit: Callable[[], Hasher]) -> Hasher:
        """The kept hasher; where there is none, or a damaged one, it is fitted and kept."""
        if self.path is not None and self.path.is_file():
            with contextlib.suppress(FileFormatError):
                return Hasher.load(self.path)
        hasher = fit()
        if self.path is not None:
            hasher.save(self.path)
        return hasher

    def clear(self) -> None:
        """Remove it, with what a kill may have left half-written."""
        if self.path is not None:
            for part in (self.path, *self.path.parent.glob(f".{self.path.name}.*.part")):
                part.unlink(missing_ok=True)
