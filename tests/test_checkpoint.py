"""Checkpoints: everything a training needs to go on, and files that are damaged or left over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from crossbit.checkpoint import Checkpoint


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        yield


Parts = tuple[dict[str, nn.Module], torch.optim.Optimizer]


def parts(kind: type[torch.optim.Optimizer] = torch.optim.AdamW, width: int = 3) -> Parts:
    net = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))
    memory = nn.Module()
    memory.register_buffer("bank", torch.rand(2, 2))
    options = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    return {"net": net, "memory": memory}, kind(net.parameters(), lr=0.1, **options)


def step(modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer) -> None:
    loss = modules["net"](torch.rand(5, 4)).pow(3).sum() + modules["memory"].bank.sum()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def state(modules: dict[str, nn.Module]) -> dict[str, torch.Tensor]:
    return {f"{name}.{k}": v.clone() for name, module in modules.items() for k, v in module.state_dict().items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_what_was_saved_goes_on_as_if_nothing_had_happened(tmp_path: Path, kind: type[torch.optim.Optimizer]) -> None:
    """Weights, running statistics, buffers, momenta and the random state: a step more is the same step."""
    modules, optimiser = parts(kind)
    step(modules, optimiser)
    history = [{"a": 0.1, "b": -2.0}]
    Checkpoint(tmp_path, "key").save(modules, optimiser, history)
    step(modules, optimiser)
    torch.manual_seed(77)
    others, its_optimiser = parts(kind)
    assert Checkpoint(tmp_path, "key").restore(others, its_optimiser) == history
    step(others, its_optimiser)
    assert equal(state(others), state(modules))


def test_nothing_is_kept_without_a_folder() -> None:
    modules, optimiser = parts()
    checkpoint = Checkpoint(None, "key")
    checkpoint.save(modules, optimiser, [{"a": 1.0}])
    assert checkpoint.restore(modules, optimiser) == []
    checkpoint.clear()


def test_another_key_is_another_file(tmp_path: Path) -> None:
    modules, optimiser = parts()
    Checkpoint(tmp_path, "teacher").save(modules, optimiser, [{"a": 1.0}])
    assert Checkpoint(tmp_path, "student").restore(modules, optimiser) == []
    Checkpoint(tmp_path, "student").save(modules, optimiser, [{"a": 2.0}])
    Checkpoint(tmp_path, "student").clear()
    assert Checkpoint(tmp_path, "teacher").restore(modules, optimiser) == [{"a": 1.0}]


def test_clear_also_removes_what_a_kill_while_writing_left(tmp_path: Path) -> None:
    modules, optimiser = parts()
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(modules, optimiser, [{"a": 1.0}])
    (saved,) = tmp_path.iterdir()
    (tmp_path / f".{saved.name}.0badcafe.part").write_bytes(b"half")
    (tmp_path / "somebody-elses.part").write_bytes(b"whole")
    checkpoint.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["somebody-elses.part"]
    checkpoint.clear()  # nothing there is no error


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def scribbled(path: Path) -> None:
    path.write_bytes(b"not a checkpoint at all, but long enough to have a header")


def without_history(path: Path) -> None:
    save_file({"random": torch.get_rng_state()}, path)


def with_history_that_is_no_json(path: Path) -> None:
    save_file({"random": torch.get_rng_state()}, path, metadata={"history": "{"})


def without_weights(path: Path) -> None:
    save_file({"random": torch.get_rng_state()}, path, metadata={"history": '[{"a": 1.0}]'})


def of_another_shape(path: Path) -> None:
    """As an older version with other networks might have left it."""
    modules, optimiser = parts(width=7)
    checkpoint = Checkpoint(path.parent, "other")
    checkpoint.save(modules, optimiser, [{"a": 1.0}])
    assert checkpoint.path is not None
    checkpoint.path.replace(path)


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        emptied,
        scribbled,
        without_history,
        with_history_that_is_no_json,
        without_weights,
        of_another_shape,
    ],
)
def test_a_damaged_file_starts_afresh(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    modules, optimiser = parts()
    checkpoint = Checkpoint(tmp_path, "key")
    checkpoint.save(modules, optimiser, [{"a": 1.0}])
    assert checkpoint.path is not None
    damage(checkpoint.path)
    fresh, its_optimiser = parts()
    before, random = state(fresh), torch.get_rng_state()
    assert checkpoint.restore(fresh, its_optimiser) == []
    assert equal(state(fresh), before), "afresh means with the fresh weights"
    assert torch.equal(torch.get_rng_state(), random)
    assert its_optimiser.state_dict()["state"] == {}
