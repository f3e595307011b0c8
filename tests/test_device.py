"""That nothing of a deep method stays behind when training moves to another device, shown without a GPU.

torch's "meta" device holds shapes and no values; like a GPU it refuses to compute with what stands on the processor.
One step of every deep method runs there. What this cannot show is that the numbers are the same on a GPU.
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


@pytest.mark.parametrize("name", DEEP)
def test_everything_a_method_computes_with_goes_to_the_device(name: str) -> None:
    kind = load_method(name)
    assert issubclass(kind, DeepMethod)
    pairs = PAIRS if kind.supervised else replace(PAIRS, labels=None)
    method = kind(**{**quick_settings(name), "n_bits": 16, "epochs": 1})  # a teacher is quick, too
    for terms in one_epoch_elsewhere(method, pairs, method.objective(pairs)):
        assert {term.device.type for term in terms.values()} == {"meta"}


def test_what_is_left_behind_is_noticed() -> None:
    class Forgetful(Objective):
        """Keeps its target as a plain attribute, which no `to(device)` moves."""

        def __init__(self) -> None:
            super().__init__()
            self.target = torch.zeros(32, 16)

        def forward(self, batch: Batch) -> dict[str, Tensor]:
            return {"loss": (batch.image_code - self.target).square().mean() + batch.text_code.mean()}

    with pytest.raises(RuntimeError, match=r"same device|meta"):
        one_epoch_elsewhere(DJSRH(n_bits=16, epochs=1), PAIRS, Forgetful())
