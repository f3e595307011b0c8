"""Tables of n x n above 20,000 pairs are announced before they are made, with their size and a way around them."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from crossbit import method as method_module
from crossbit.experiment import state
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.methods import METHODS, load_method
from crossbit.methods.kdcmh import KDCMH
from crossbit.methods.kdcmh_labels import KDCMHLabels
from crossbit.methods.random_projection import RandomProjection
from crossbit.methods.ukd import UKD
from crossbit.pairs import PairedFeatures
from crossbit.student import StudentObjective

LARGE = 20_001


@dataclass(frozen=True, kw_only=True)
class Whole(RandomProjection):
    """Says that it holds one byte for every couple, and notes when it is fitted."""

    name: ClassVar[str] = "whole"
    paper: ClassVar[Paper] = Paper("Nobody", "Nothing", "Nowhere", 2021, reconstruction=True)
    fitted: ClassVar[list[int]] = []

    def whole_table(self, n: int) -> tuple[int, str]:
        return n * n, "Set less."

    def _fit(self, pairs: PairedFeatures, *rest: Any) -> Hasher:
        self.fitted.append(len(pairs))
        return super()._fit(pairs, *rest)


def pairs_of(n: int) -> PairedFeatures:
    generator = np.random.default_rng(0)
    return PairedFeatures(generator.standard_normal((n, 3)), generator.standard_normal((n, 2)))


def test_a_table_is_announced_before_the_work_starts_with_its_gib() -> None:
    Whole.fitted.clear()
    with pytest.warns(UserWarning, match=r"whole holds .* 20,001 pairs, .* about 0\.4 GiB\. Set less\.") as warned:
        Whole(n_bits=8).fit(pairs_of(LARGE))
    assert Path(warned[0].filename) == Path(__file__)  # it points at the call
    assert Whole.fitted == [LARGE]


def test_an_announcement_may_be_made_an_error_and_then_nothing_is_fitted() -> None:
    Whole.fitted.clear()
    with pytest.raises(UserWarning):  # as pytest has it here: warnings are errors
        Whole(n_bits=8).fit(pairs_of(LARGE))
    assert Whole.fitted == []


def test_what_is_small_is_not_announced() -> None:
    assert method_module.ANNOUNCED_ABOVE == 20_000
    Whole(n_bits=8).fit(pairs_of(20_000))


@pytest.mark.parametrize(
    ("method", "bytes_of_couple", "way_out"),
    [
        (KDCMH(whole_up_to=30_000), 28, "whole_up_to below 20001"),
        (KDCMH(distillation="real"), 12, 'distillation = "diffused"'),
        (KDCMH(distillation="distribution"), 32, 'distillation = "diffused"'),
        (KDCMH(distillation="neighbours"), 32, 'distillation = "diffused"'),
        (KDCMHLabels(whole_up_to=30_000), 5, "whole_up_to below 20001"),
        (UKD(whole_up_to=30_000), 7, "whole_up_to below 20001"),
        (UKD(whole_up_to=30_000, alike_by="euclidean"), 18, "whole_up_to below 20001"),
    ],
    ids=lambda value: value.name if isinstance(value, Method) else str(value),
)
def test_what_methods_say(method: Method, bytes_of_couple: int, way_out: str) -> None:
    size, told = method.whole_table(LARGE)
    assert size == bytes_of_couple * LARGE**2
    assert way_out in told


@pytest.mark.parametrize("name", METHODS)
def test_no_default_holds_a_table_above_20000_pairs(name: str) -> None:
    assert load_method(name)().whole_table(LARGE) == (0, "")


def test_what_a_method_tells_of_its_memory_dates_no_result() -> None:
    told = "def whole_table(self, n):\n    return 2 * n, ''\n"
    other = told.replace("2", "3")
    for source, alike in ((told, other), (told.replace("whole_table", "f"), other.replace("whole_table", "f"))):
        kept = [ast.dump(state._Bare().visit(ast.parse(text))) for text in (source, alike)]
        assert (kept[0] == kept[1]) is ("whole_table" in source)


def test_labels_of_many_pairs_are_compared_with_landmarks() -> None:
    generator = np.random.default_rng(1)
    pairs = replace(pairs_of(50), labels=generator.random((50, 4)) < 0.4)
    assert pairs.labels is not None
    method = KDCMHLabels(n_bits=4, hidden=4, epochs=2, whole_up_to=49, n_landmarks=7)
    objective = method.objective(pairs)
    assert isinstance(objective, StudentObjective)
    columns = objective.columns.tolist()
    expected = [
        [1.0 if i == j or (pairs.labels[i] & pairs.labels[j]).any() else 0.0 for j in columns] for i in range(50)
    ]
    assert objective.values.tolist() == expected
    assert len(columns) == 7
    assert columns == sorted(columns)
    assert objective.buffered
    whole = replace(method, whole_up_to=50).objective(pairs)
    assert isinstance(whole, StudentObjective)
    assert not whole.buffered
    assert torch.equal(whole.values[:, columns], objective.values)
    assert method.fit(pairs).n_bits == 4
    assert math.isfinite(sum(method.fit(pairs).report["loss"].values()))
