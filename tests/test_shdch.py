"""SHDCH: its objective against plain loops, the discrete steps, one level or two, the released slips."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossbit.class_codes import LevelFit, updated
from crossbit.errors import LabelError, SettingsError
from crossbit.experiment import read_result
from crossbit.hierarchical import metric_labels
from crossbit.methods.shdch import SHDCH, SHDCHObjective
from crossbit.pairs import Labels, PairedFeatures
from crossbit.testing import planted_pairs
from crossbit.training import Batch
from objective_oracles import inner

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
R, N = 6, 9
FINE = np.eye(4, dtype=bool)[[0, 1, 2, 3, 0, 1, 2, 3, 0]]
COARSE = np.eye(2, dtype=bool)[[0, 0, 1, 1, 0, 0, 1, 1, 0]]
LEVELS = [(FINE,), (COARSE, FINE)]


def batch_of(generator: np.random.Generator, turn: str) -> Batch:
    rows, nothing = torch.tensor([6, 1, 8, 3, 0]), torch.zeros(0, R)
    real = torch.tensor(generator.standard_normal((5, R)), dtype=torch.float32)
    image, text = (real, nothing) if turn == "image" else (nothing, real)
    return Batch(rows, nothing, nothing, image, text, torch.tanh(image), torch.tanh(text), 1, turn)


def filled(objective: Any, generator: np.random.Generator) -> Any:
    """The objective with outputs of both networks, as after an epoch."""
    for name in ("image_outputs", "text_outputs"):
        setattr(objective, name, torch.tanh(torch.tensor(generator.standard_normal((N, R)), dtype=torch.float32)))
    return objective


def class_distance(labels: Any, outputs: Any, codes: Any) -> float:
    """|r L - F^T Y|^2 with loops over pairs and classes."""
    columns = list(zip(*codes.tolist(), strict=True))
    return sum(
        (R * float(label[c]) - inner(output, column)) ** 2
        for label, output in zip(labels.tolist(), outputs.tolist(), strict=True)
        for c, column in enumerate(columns)
    )


def square_distance(first: Any, second: Any) -> float:
    return sum(
        (a - b) ** 2 for x, y in zip(first.tolist(), second.tolist(), strict=True) for a, b in zip(x, y, strict=True)
    )


def whole_value(o: SHDCHObjective) -> float:
    """J: both modalities, both levels, the relation across levels, the quantization."""
    alpha, beta = o.weights
    total = 0.0
    for outputs in (o.image_outputs, o.text_outputs):
        total += alpha * class_distance(o.coarse, outputs, o.coarse_codes)
        total += beta * class_distance(o.fine, outputs, o.fine_codes)
        total += o.method.gamma * square_distance(o.codes, outputs)
    for i in range(o.coarse.shape[1]):
        for j in range(o.fine.shape[1]):
            own = inner(o.coarse_codes[:, i].tolist(), o.fine_codes[:, j].tolist())
            total += o.eta * (R * float(o.under[i, j]) - own) ** 2
    return total


@pytest.mark.parametrize("turn", ["image", "text"])
@pytest.mark.parametrize("levels", LEVELS)
def test_shdch_objective_is_its_terms(levels: tuple[Labels, ...], turn: str, generator: np.random.Generator) -> None:
    objective = SHDCHObjective(SHDCH(n_bits=R), levels)
    batch = batch_of(generator, turn)
    own = batch.image_code if turn == "image" else batch.text_code
    rows, entries = batch.rows, 5 * R * R
    alpha, beta = (0.3, 0.7) if len(levels) == 2 else (0.0, 1.0)
    found = {name: float(term) for name, term in objective(batch).items()}
    assert found == pytest.approx(
        {
            f"coarse_{turn}": alpha * class_distance(objective.coarse[rows], own, objective.coarse_codes) / entries,
            f"fine_{turn}": beta * class_distance(objective.fine[rows], own, objective.fine_codes) / entries,
            f"quantization_{turn}": 10 * square_distance(objective.codes[rows], own) / entries,
        },
        rel=1e-4,
    )
    assert torch.equal(getattr(objective, f"{turn}_outputs")[rows], own)


@pytest.mark.parametrize("levels", LEVELS)
def test_shdch_discrete_steps_never_raise_its_objective(
    levels: tuple[Labels, ...], generator: np.random.Generator
) -> None:
    objective = filled(SHDCHObjective(SHDCH(n_bits=R, eta=3.0, eta_pairs=0), levels), generator)
    values = [whole_value(objective)]
    for epoch in range(1, 4):
        objective.start_epoch(epoch)
        values.append(whole_value(objective))
    assert values[1] < values[0]
    assert all(after <= before + 1e-3 for before, after in itertools.pairwise(values))
    # At the end no single bit of a class code can be turned with gain, by the plain objective.
    for codes in (objective.coarse_codes, objective.fine_codes):
        for place in np.ndindex(*codes.shape):
            codes[place] *= -1
            assert whole_value(objective) >= values[-1] - 1e-3
            codes[place] *= -1


def test_shdch_eta_is_for_the_released_number_of_pairs() -> None:
    assert SHDCHObjective(SHDCH(n_bits=R), (COARSE, FINE)).eta == pytest.approx(100 * N / 16862)
    assert SHDCHObjective(SHDCH(n_bits=R, eta_pairs=0), (COARSE, FINE)).eta == 100


def test_the_released_single_sweep_and_stale_codes_are_settings(generator: np.random.Generator) -> None:
    def after(**settings: Any) -> tuple[list[Any], float]:
        torch.manual_seed(3)
        method = SHDCH(n_bits=R, eta=3.0, eta_pairs=0, **settings)
        objective = filled(SHDCHObjective(method, (COARSE, FINE)), np.random.default_rng(5))
        before = objective.coarse_codes.clone()
        objective.start_epoch(1)
        return [before, objective.coarse_codes, objective.fine_codes], whole_value(objective)

    def fit(objective: SHDCHObjective) -> LevelFit:
        image, text = objective.image_outputs, objective.text_outputs
        gram, sums = image.T @ image + text.T @ text, (image + text).T @ objective.fine
        return LevelFit(R, 0.7, objective.eta, gram, sums, objective.under.T)

    (before, coarse, fine), value = after()
    (_, once, _), value_once = after(repeat_sweeps=False)
    assert value <= value_once
    torch.manual_seed(3)
    same = filled(SHDCHObjective(SHDCH(n_bits=R, eta=3.0, eta_pairs=0), (COARSE, FINE)), np.random.default_rng(5))
    assert torch.equal(fine, updated(same.fine_codes, coarse, fit(same), 3, True))
    (_, _, stale), _ = after(fresh_cross=False)
    assert torch.equal(stale, updated(same.fine_codes, before, fit(same), 3, True))
    assert once.shape == coarse.shape


def test_a_bit_without_reason_stays_or_becomes_0_as_released() -> None:
    nothing = LevelFit(2, 1.0, 0.0, torch.zeros(2, 2), torch.zeros(2, 3), torch.zeros(3, 1))
    codes, other = torch.tensor([[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]]), torch.ones(2, 1)
    assert torch.equal(updated(codes, other, nothing, 3, True), codes)
    assert torch.equal(updated(codes, other, nothing, 3, False), torch.zeros(2, 3))


def test_the_released_metric_takes_columns_from_the_ninth_on() -> None:
    coarse, fine = np.eye(4, dtype=bool), np.eye(4, 6, dtype=bool)
    assert np.array_equal(metric_labels((coarse, fine)), fine)
    assert np.array_equal(metric_labels((coarse, fine), released=True), fine[:, 4:])
    whole = np.eye(4, 8, dtype=bool)
    assert np.array_equal(metric_labels((whole, fine), released=True), fine)


def in_levels() -> PairedFeatures:
    """The planted world with each class parted in two at random: the pairs, and both levels as given."""
    world = planted_pairs(n=120)
    half = np.random.default_rng(1).random(120) < 0.5
    fine = np.hstack([world.labels & half[:, None], world.labels & ~half[:, None]])
    return dataclasses.replace(world.pairs, levels=(world.labels, fine))


@pytest.mark.parametrize("method", [SHDCH(n_bits=8, epochs=2, hidden=16)], ids=["shdch"])
def test_both_levels_are_learned_from_where_there_are_two(method: Any, tmp_path: Path) -> None:
    pairs = in_levels()
    two, one = method.fit(pairs), method.fit(pairs.without_levels())
    assert (two.report["label_levels"], one.report["label_levels"]) == (2, 1)
    alone = dataclasses.replace(method, hierarchy=False).fit(pairs)
    assert alone.report["label_levels"] == 1
    assert np.array_equal(alone.image(pairs.image), one.image(pairs.image))
    assert not np.array_equal(two.image(pairs.image), one.image(pairs.image))
    padded = dataclasses.replace(pairs, levels=tuple(np.pad(level, ((0, 0), (1, 1))) for level in pairs.levels))
    assert np.array_equal(method.fit(padded).image(pairs.image), two.image(pairs.image)), "classes without a pair count"
    with pytest.raises(LabelError, match=method.name):
        method.fit(pairs.without_labels())


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (SHDCH, {"eta": -1.0}, "eta"),
        (SHDCH, {"sweeps": 0}, "sweeps"),
    ],
)
def test_settings_outside_their_range_are_refused(kind: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        kind(**settings)


@pytest.mark.parametrize("preset", ["PALL", "P50"])
def test_shdch_on_the_hierarchy_is_above_dcmh_for_fine_labels(preset: str) -> None:
    """Every seed of the one above every seed of the other, on the same features and split."""
    scores = {
        row: [
            read_result(RESULTS / "fashion6k-fine" / row / f"64-{seed}.json").scores[preset]["mean"]
            for seed in range(3)
        ]
        for row in ("shdch", "dcmh")
    }
    assert min(scores["shdch"]) > max(scores["dcmh"])
