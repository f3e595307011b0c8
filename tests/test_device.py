"""That nothing of a deep method stays behind when training moves to another device, shown without a GPU.

torch's "meta" device holds shapes and no values; like a GPU it refuses to compute with what stands on the processor.
One step of every deep method runs there, but of those whose step asks for values. What this cannot show is that the
numbers are the same on a GPU.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from crossbit.methods import METHODS, load_method
from crossbit.methods.djsrh import DJSRH
from crossbit.pairs import PairedFeatures
from crossbit.testing import planted_pairs
from crossbit.training import Batch, DeepMethod, Objective, one_step
from test_conformance import quick_settings

PAIRS = planted_pairs(n=80).train
DEEP = [name for name in METHODS if issubclass(load_method(name), DeepMethod)]
ASK_FOR_VALUES = {
    "daeh": "its loss depends on which modality is the weaker one",
    "dsph": "it takes those pairs of a batch that have several labels",
    "ssah": "its label network learns before the first epoch, and tells its loss",
}
"""Methods of which no step runs without values, and why; of them only what they keep is looked at."""


def one_epoch_elsewhere(method: DeepMethod, pairs: PairedFeatures, objective: Objective) -> list[dict[str, Tensor]]:
    """A step of every turn of the first epoch on the meta device; the loss terms."""
    image, text = method.networks(pairs)
    for module in (image, text, objective):
        module.to("meta")
    features = (torch.empty(pairs.image.shape, device="meta"), torch.empty(pairs.text.shape, device="meta"))
    optimiser = method.optimiser(image, text, objective)
    for group in optimiser.param_groups:
        group["fused"] = False  # fused updates exist for real devices only
    objective.start_epoch(0)
    rows = torch.empty(min(method.batch_size, len(pairs)), dtype=torch.long, device="meta")
    return [one_step(method, image, text, objective, optimiser, features, rows, 0, turn) for turn in method.turns()]


def quick(name: str) -> tuple[DeepMethod, PairedFeatures]:
    """A method that learns quickly, its teacher too, and pairs for it."""
    kind = load_method(name)
    assert issubclass(kind, DeepMethod)
    pairs = PAIRS if kind.supervised else replace(PAIRS, labels=None)
    return kind(**{**quick_settings(name), "n_bits": 16, "epochs": 1}), pairs


def left_behind(objective: Objective) -> list[str]:
    """The tensors that an objective keeps as plain attributes, which no `to(device)` moves."""
    kept = [(name, value) for module in objective.modules() for name, value in vars(module).items()]
    return [name for name, value in kept if isinstance(value, Tensor)]


@pytest.mark.parametrize("name", [name for name in DEEP if name not in ASK_FOR_VALUES])
def test_everything_a_method_computes_with_goes_to_the_device(name: str) -> None:
    method, pairs = quick(name)
    for terms in one_epoch_elsewhere(method, pairs, method.objective(pairs)):
        assert {term.device.type for term in terms.values()} == {"meta"}


@pytest.mark.parametrize("name", ASK_FOR_VALUES)
def test_whose_step_asks_for_values_keeps_no_tensor_that_stays_behind(name: str) -> None:
    method, pairs = quick(name)
    objective = method.objective(pairs)
    assert left_behind(objective) == []
    with pytest.raises((RuntimeError, NotImplementedError)):  # else it belongs to the methods that take a step
        one_epoch_elsewhere(method, pairs, objective)


def test_what_is_left_behind_is_noticed() -> None:
    class Forgetful(Objective):
        """Keeps its target as a plain attribute, which no `to(device)` moves."""

        def __init__(self) -> None:
            super().__init__()
            self.target = torch.zeros(32, 16)

        def forward(self, batch: Batch) -> dict[str, Tensor]:
            return {"loss": (batch.image_code - self.target).square().mean() + batch.text_code.mean()}

    assert left_behind(Forgetful()) == ["target"]
    with pytest.raises(RuntimeError, match=r"same device|meta"):
        one_epoch_elsewhere(DJSRH(n_bits=16, epochs=1), PAIRS, Forgetful())
