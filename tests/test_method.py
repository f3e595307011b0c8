"""What the Method class itself promises, seen on a method that only remembers what it was given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from crossbit.errors import DataError, LabelError, MissingExtraError, SettingsError
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.method import Method, Paper, check_number
from crossbit.methods import METHODS, load_method
from crossbit.methods.cca_itq import CCAITQ
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress

GIVEN: list[PairedFeatures] = []


@dataclass(frozen=True, kw_only=True)
class Remembers(Method):
    """Gives the same hasher whatever it sees, and keeps what it saw in GIVEN."""

    name: ClassVar[str] = "remembers"
    paper: ClassVar[Paper] = Paper("Nobody", "Nothing", "Nowhere", 2021, reconstruction=True)

    teacher: Method | None = None
    weights: tuple[float, ...] = (0.5, 0.25)

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        GIVEN[:] = [pairs]
        sides = [np.ones((rows.shape[1], self.n_bits), dtype=np.float32) for rows in (pairs.image, pairs.text)]
        bias = np.zeros(self.n_bits, dtype=np.float32)
        image, text = (HashFunction((Layer(weight, bias),)) for weight in sides)
        return Hasher(image, text, report={"epochs": 1})


class NeedsLabels(Remembers):
    """The same, supervised."""

    name: ClassVar[str] = "needs-labels"
    supervised: ClassVar[bool] = True


def pairs_of(n: int, labels: bool = True) -> PairedFeatures:
    rows = np.arange(1, n + 1, dtype=np.float32)
    image, text = np.stack([rows, rows**2], axis=1), np.stack([rows, -rows, rows + 2], axis=1)
    return PairedFeatures(image, text, np.ones((n, 2), dtype=bool) if labels else None)


def test_labels_are_taken_away_before_an_unsupervised_method_sees_them() -> None:
    Remembers().fit(pairs_of(4))
    assert GIVEN[0].labels is None


def test_a_supervised_method_sees_its_labels_and_misses_them() -> None:
    NeedsLabels().fit(pairs_of(4))
    assert GIVEN[0].labels is not None
    with pytest.raises(LabelError, match="needs-labels is supervised and needs labels"):
        NeedsLabels().fit(pairs_of(4, labels=False))


def test_pairs_with_an_empty_modality_are_left_out_and_named() -> None:
    pairs = pairs_of(6)
    text = pairs.text.copy()
    text[[1, 4]] = 0
    hasher = NeedsLabels().fit(PairedFeatures(pairs.image, text, pairs.labels))
    np.testing.assert_array_equal(GIVEN[0].image, pairs.image[[0, 2, 3, 5]])
    assert GIVEN[0].labels is not None
    assert len(GIVEN[0].labels) == 4
    expected = {"epochs": 1, "pairs": 4, "left_out": "2 pairs with an all-zero modality: rows 1, 4"}
    assert {name: value for name, value in hasher.report.items() if name != "monitors"} == expected


def test_the_hasher_carries_method_settings_and_report() -> None:
    method = Remembers(n_bits=8, seed=4)
    hasher = method.fit(pairs_of(3))
    assert (hasher.method, dict(hasher.settings)) == ("remembers", method.settings())
    monitors = hasher.report["monitors"]
    assert hasher.report == {"epochs": 1, "pairs": 3, "monitors": monitors}
    assert {"unique_image", "paired_distance", "code_size", "cosine_spread", "feature_agreement"} < set(monitors)


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_usable_pairs(n: int) -> None:
    pairs = pairs_of(n + 1)
    image = pairs.image.copy()
    image[0] = 0
    with_empty = PairedFeatures(image, pairs.text)
    if n == 1:
        with pytest.raises(DataError, match=r"at least 2 usable pairs .* got 1"):
            Remembers().fit(with_empty)
    else:
        assert Remembers().fit(with_empty).report["pairs"] == 2


def test_nothing_but_zero_rows() -> None:
    pairs = pairs_of(3)
    with pytest.raises(DataError, match="In every pair a modality is all zeros"):
        Remembers().fit(PairedFeatures(pairs.image, np.zeros_like(pairs.text)))


@pytest.mark.parametrize("side", ["image", "text"])
def test_a_modality_that_does_not_vary_is_named(side: str) -> None:
    pairs = pairs_of(3)
    arrays = {"image": pairs.image, "text": pairs.text, side: np.ones((3, 2))}
    with pytest.raises(DataError, match=f"All {side} features are the same"):
        Remembers().fit(PairedFeatures(**arrays))


@pytest.mark.parametrize("wrong", [{"n_bits": 0}, {"n_bits": 6.5}, {"seed": -1}, {"seed": 1.5}, {"seed": True}])
def test_settings_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Remembers(**wrong)
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Remembers().with_settings(wrong)


def test_an_unknown_setting_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="remembers has no setting bits; it has n_bits, seed, teacher, weights"):
        Remembers().with_settings({"bits": 3})


def test_settings_are_plain_values_also_within_a_teacher() -> None:
    settings = Remembers(teacher=CCAITQ(n_bits=16, power=2.0)).settings()
    assert settings["weights"] == [0.5, 0.25]
    assert settings["teacher"] == {"method": "cca-itq", **CCAITQ(n_bits=16, power=2.0).settings()}
    assert json.loads(json.dumps(settings)) == settings


def test_methods_are_loaded_by_name() -> None:
    assert load_method("cca-itq") is CCAITQ
    with pytest.raises(SettingsError, match=r"no method 'ccaitq'; there are .*cca-itq"):
        load_method("ccaitq")


@contextmanager
def module_missing(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    def missing(module: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    with monkeypatch.context() as patch:
        patch.setattr("crossbit.methods.importlib.import_module", missing)
        yield


def test_a_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        module_missing(monkeypatch, "torch"),
        pytest.raises(MissingExtraError, match=r"The method 'jdsh' needs the extra 'train': .*crossbit\[train\]"),
    ):
        load_method("jdsh")


def test_another_missing_module_is_not_taken_for_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    with module_missing(monkeypatch, "scipy"), pytest.raises(ModuleNotFoundError, match="scipy"):
        load_method("jdsh")


def test_the_list_of_methods_is_in_order_of_names_and_targets() -> None:
    assert len(set(METHODS.values())) == len(METHODS)
    assert all(target.count(":") == 1 and target.startswith("crossbit.methods.") for target in METHODS.values())


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("power", float("nan"), "a finite number; got nan"),
        ("ridge", float("inf"), "a finite number; got inf"),
        ("hidden", 0, "1 or more; got 0"),
        ("hidden", 2.5, "a whole number of units"),
        ("learning_rate_text", -0.1, "above 0; got -0.1"),
        ("teacher_share", 5, "a share from 0 to 1; got 5"),
    ],
)
def test_a_setting_out_of_the_range_of_its_name(name: str, value: object, told: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} .*{told}"):
        check_number(name, value)


def test_every_method_checks_its_numbers() -> None:
    with pytest.raises(SettingsError, match="ridge must be a finite number"):
        CCAITQ(ridge=float("nan"))
