"""Tables of n x n above 20,000 pairs are announced before they are made, with their size and a way around them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

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
        (KDCMH(whole_up_to=30_000), 28, "whole_up_to below 20001, pairs are compared with landmarks only"),
        (KDCMH(distillation="real"), 12, 'distillation = "diffused"'),
        (KDCMH(distillation="distribution"), 32, 'distillation = "diffused"'),
        (KDCMH(distillation="neighbours"), 32, 'distillation = "diffused"'),
        (KDCMHLabels(), 5, "DCMH learns from labels too"),
        (UKD(whole_up_to=30_000), 7, "whole_up_to below 20001"),
        (UKD(whole_up_to=30_000, alike_by="euclidean"), 18, "whole_up_to below 20001"),
    ],
    ids=lambda value: value.name if isinstance(value, Method) else str(value),
)
def test_what_methods_say(method: Method, bytes_of_couple: int, way_out: str) -> None:
    size, told = method.whole_table(LARGE)
    assert size == bytes_of_couple * LARGE**2
    assert way_out in told


@pytest.mark.parametrize("name", [name for name in METHODS if name != "kdcmh-labels"])  # it does so by nature
def test_no_default_holds_a_table_above_20000_pairs(name: str) -> None:
    assert load_method(name)().whole_table(LARGE) == (0, "")


def test_what_a_method_tells_of_its_memory_dates_no_result() -> None:
    told = "def whole_table(self, n):\n    return 2 * n, ''\n"
    other = told.replace("2", "3")
    for source, alike in ((told, other), (told.replace("whole_table", "f"), other.replace("whole_table", "f"))):
        kept = [ast.dump(state._Bare().visit(ast.parse(text))) for text in (source, alike)]
        assert (kept[0] == kept[1]) is ("whole_table" in source)
