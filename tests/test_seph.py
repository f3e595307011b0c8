"""SePH: its objective as plain loops, its gradient by differences, its two forms, and its classifiers."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest

from crossbit import label_rows
from crossbit.errors import DataError, SettingsError
from crossbit.label_rows import LabelRows
from crossbit.logistic import logistic_weights
from crossbit.methods.seph import SePH, label_distribution
from crossbit.pairs import PairedFeatures
from crossbit.testing import planted_pairs


def few(n: int = 24) -> PairedFeatures:
    return planted_pairs(n=120, d_image=7, d_text=5).train[np.arange(n)]


def loop_objective(hidden: np.ndarray, labels: np.ndarray, alpha: float) -> float:
    n, r = hidden.shape
    wanted, close = {}, {}
    for i, j in itertools.permutations(range(n), 2):
        shared = sum(int(a and b) for a, b in zip(labels[i], labels[j], strict=True))
        wanted[i, j] = shared / math.sqrt(int(labels[i].sum()) * int(labels[j].sum()))
        close[i, j] = 1 / (1 + sum((float(a) - float(b)) ** 2 for a, b in zip(hidden[i], hidden[j], strict=True)) / 4)
    of_wanted, of_close, total = sum(wanted.values()), sum(close.values()), 0.0
    for pair, value in wanted.items():
        if value:
            total += value / of_wanted * math.log((value / of_wanted) / (close[pair] / of_close))
    return total + alpha / (r * n) * sum((abs(float(x)) - 1) ** 2 for x in hidden.ravel())


@pytest.mark.parametrize("each_item", [True, False])
def test_the_objective_is_its_equation_in_both_forms(each_item: bool, generator: np.random.Generator) -> None:
    labels = few().labels
    kinds = LabelRows.of(labels.astype(float), each_item=each_item)
    assert len(kinds.rows) == 24 if each_item else len(kinds.rows) < 24
    hidden = generator.standard_normal((len(kinds.rows), 5))
    method = SePH(n_bits=5, alpha=3.0)
    value, slope = method.objective(hidden, label_distribution(kinds), kinds.counts)
    assert value == pytest.approx(loop_objective(hidden[kinds.place], labels, 3.0))
    for row, bit in ((0, 0), (3, 2), (1, 4)):
        moved = hidden.copy()
        moved[row, bit] += 1e-6
        ahead = method.objective(moved, label_distribution(kinds), kinds.counts)[0]
        assert (ahead - value) / 1e-6 == pytest.approx(kinds.counts[row] * slope[row, bit], rel=1e-3, abs=1e-6)


def test_the_descent_keeps_the_best_and_gets_below_its_start() -> None:
    kinds = LabelRows.of(few().labels.astype(float), each_item=True)
    one = SePH(n_bits=8, iterations=1).hidden_values(kinds, np.random.default_rng(0), lambda step: None)[1]
    values = [
        SePH(n_bits=8, iterations=k).hidden_values(kinds, np.random.default_rng(0), lambda step: None)[1]
        for k in (5, 20, 60)
    ]
    assert one > values[0] >= values[1] >= values[2]
    assert values[2] < 0.7 * one


def test_the_classifiers_reach_the_lowest_loss(generator: np.random.Generator) -> None:
    rows = generator.standard_normal((60, 4))
    rows = (rows - rows.mean(axis=0)) / 2
    codes = np.where(rows @ generator.standard_normal((4, 2)) + generator.standard_normal((60, 2)) > 0, 1.0, -1.0)
    weight, bias = logistic_weights(rows, codes, ridge=0.5, iterations=400)
    for bit in range(2):
        chance = 1 / (1 + np.exp(codes[:, bit] * (rows @ weight[:, bit] + bias[bit])))
        slope = -(rows.T @ (codes[:, bit] * chance)) / 60 + 0.5 / 16 * weight[:, bit]
        np.testing.assert_allclose(slope, 0, atol=1e-6)
        assert (codes[:, bit] * chance).mean() == pytest.approx(0, abs=1e-6)


def test_a_large_matrix_is_not_begun_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_rows, "MANY", 20)
    labels = few().labels.astype(float)
    with pytest.warns(UserWarning, match=r"24 x 24 pairs .* GiB"):
        LabelRows.of(labels, each_item=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LabelRows.of(labels, each_item=False)


def test_labels_that_no_two_share_and_wrong_settings_are_refused() -> None:
    pairs = few(6)
    with pytest.raises(DataError, match="share a label"):
        SePH(n_bits=4).fit(PairedFeatures(pairs.image, pairs.text, np.eye(6, dtype=bool)))
    for settings in ({"codes_of": "classes"}, {"iterations": 0}, {"momentum": 1.0}, {"ridge": 0.0}):
        with pytest.raises(SettingsError):
            SePH(**settings)  # type: ignore[arg-type]  # the test's point
