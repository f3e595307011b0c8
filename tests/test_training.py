"""The training loop, on a toy method and on the real ones: what objectives see, and that a kill changes nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from crossbit.errors import DataError, SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.methods.dcmh import DCMH
from crossbit.methods.djsrh import DJSRH
from crossbit.methods.jdsh import JDSH
from crossbit.methods.kdcmh import KDCMH
from crossbit.nets import HashNet, hidden_net, linear_net
from crossbit.pairs import PairedFeatures
from crossbit.progress import Step
from crossbit.training import Batch, DeepMethod, Objective, seeded, shuffled, stalled

SEEN: list[Batch] = []
RATES: list[tuple[float, float]] = []


@dataclass(frozen=True, kw_only=True)
class Toy(DeepMethod):
    """A small method that keeps what its objective was given."""

    name: ClassVar[str] = "toy"
    paper: ClassVar[Paper] = Paper("Nobody", "Nothing", "Nowhere", 2021, reconstruction=True)

    epochs: int = 4
    batch_size: int = 8
    n_bits: int = 8
    loss: str = "falls"  # "falls", "stands still", or "nan" from the third epoch
    alternating: bool = False

    def networks(self, pairs: PairedFeatures) -> tuple[HashNet, HashNet]:
        return linear_net(pairs.image.shape[1], self.n_bits), hidden_net(pairs.text.shape[1], self.n_bits, 6)

    def optimiser(self, image: HashNet, text: HashNet, objective: Objective) -> torch.optim.Optimizer:
        parameters = [*image.parameters(), *text.parameters(), *objective.parameters()]
        return torch.optim.AdamW(parameters, lr=0.5)

    def alpha(self, epoch: int) -> float:
        return 1.0 + epoch

    def rate_factor(self, progress: float) -> float:
        RATES.append((progress, 0.1 * (1 - progress)))
        return RATES[-1][1]

    def turns(self) -> tuple[str, ...]:
        return ("text", "image") if self.alternating else ("both",)

    def objective(self, pairs: PairedFeatures) -> Objective:
        return ToyObjective(self)


class ToyObjective(Objective):
    """Keeps its batches; learns a decoder of its own, and counts epochs in a buffer."""

    counted: torch.Tensor

    def __init__(self, method: Toy) -> None:
        super().__init__()
        self.method = method
        self.decoder = nn.Linear(method.n_bits, 3)
        self.register_buffer("counted", torch.zeros(()))

    def start_epoch(self, epoch: int) -> None:
        self.counted = self.counted + 1
        assert int(self.counted) == epoch + 1, "an epoch was started twice or left out"

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        SEEN.append(batch)
        codes = torch.cat([batch.image_code, batch.text_code])
        error = (self.decoder(codes) - 1).square().mean()
        if self.method.loss == "stands still":
            return {"error": error * 0 + 1}
        if self.method.loss == "nan" and batch.epoch >= 2:
            return {"error": error, "broken": error.detach() * math.nan}
        return {"error": error, "decay": 0.01 * codes.square().mean()}


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    SEEN.clear()
    RATES.clear()
    yield
    SEEN.clear()


@pytest.fixture
def pairs(generator: np.random.Generator) -> PairedFeatures:
    """Twenty pairs, so that batches of 8 leave four over; the labels' classes are drawn."""
    hidden = generator.standard_normal((20, 3))
    image, text = (np.tanh(hidden @ generator.standard_normal((3, d))) for d in (5, 4))
    return PairedFeatures(image, text, generator.random((20, 2)) < 0.5)


def state() -> bytes:
    return torch.get_rng_state().numpy().tobytes()


def same(first: Hasher, second: Hasher) -> bool:
    return first.fingerprint() == second.fingerprint()


def interrupted(method: Method, pairs: PairedFeatures, folder: Path, stage: str, at: int) -> None:
    """Break a fit off when a stage tells its step number `at`."""

    def stop(step: Step) -> None:
        if (step.stage, step.done) == (stage, at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        method.fit(pairs, progress=stop, checkpoint=folder)


def told(method: Method, pairs: PairedFeatures, folder: Path | None) -> tuple[Hasher, list[tuple[str, int]]]:
    steps: list[Step] = []
    hasher = method.fit(pairs, progress=steps.append, checkpoint=folder)
    return hasher, [(step.stage, step.done) for step in steps]


# What objectives see


def test_a_batch_holds_the_pairs_of_its_rows_and_their_relaxed_codes(pairs: PairedFeatures) -> None:
    Toy().fit(pairs)
    assert len(SEEN) == 4 * 2, "20 pairs are two batches of 8; the rest of 4 is left out"
    for number, batch in enumerate(SEEN):
        assert batch.epoch == number // 2
        assert batch.turn == "both"
        np.testing.assert_array_equal(batch.image, pairs.image[batch.rows])
        np.testing.assert_array_equal(batch.text, pairs.text[batch.rows])
        assert batch.image_real.shape == batch.text_real.shape == (8, 8)
        slope = 1 + batch.epoch
        torch.testing.assert_close(batch.image_code, torch.tanh(slope * batch.image_real))
        torch.testing.assert_close(batch.text_code, torch.tanh(slope * batch.text_real))


def test_no_pair_comes_twice_in_an_epoch_and_epochs_differ(pairs: PairedFeatures) -> None:
    Toy().fit(pairs)
    orders = [torch.cat([batch.rows for batch in SEEN[start : start + 2]]).tolist() for start in (0, 2, 4, 6)]
    assert all(len(set(order)) == 16 for order in orders)
    assert len({tuple(order) for order in orders}) == 4


def test_in_turns_each_network_sweeps_over_the_pairs_alone(pairs: PairedFeatures) -> None:
    Toy(alternating=True).fit(pairs)
    assert [batch.turn for batch in SEEN[:4]] == ["text", "text", "image", "image"]
    assert all(len(batch.image_real) == (0 if batch.turn == "text" else 8) for batch in SEEN)
    assert all(len(batch.text_real) == (0 if batch.turn == "image" else 8) for batch in SEEN)


def test_fewer_pairs_than_a_batch_make_one_batch_of_all() -> None:
    ((turn, rows),) = shuffled(5, 32, "both")
    assert turn == "both"
    assert sorted(rows.tolist()) == [0, 1, 2, 3, 4]


def test_rates_follow_the_share_of_steps_done(pairs: PairedFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[float] = []
    step = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *arguments: Any, **options: Any) -> Any:
        used.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    Toy().fit(pairs)
    assert [progress for progress, _ in RATES] == pytest.approx([number / 8 for number in range(8)])
    assert used == pytest.approx([0.5 * factor for _, factor in RATES])


def test_an_objective_may_prepare_the_inputs(pairs: PairedFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToyObjective, "inputs", lambda self, rows, image, text: (image[rows] * 0, text[rows] + 1))
    Toy(epochs=1).fit(pairs)
    assert not SEEN[0].image.any()
    np.testing.assert_array_equal(SEEN[0].text, pairs.text[SEEN[0].rows] + 1)


def test_an_objective_without_a_loss_says_so() -> None:
    with pytest.raises(TypeError, match=r"Objective states no loss: define forward"):
        Objective()(None)


def test_the_objectives_own_parameters_are_learned(pairs: PairedFeatures) -> None:
    method = Toy(epochs=40)
    objective = ToyObjective(method)
    before = objective.decoder.weight.clone()
    method.learn(pairs, lambda _: objective)
    assert not torch.equal(objective.decoder.weight, before)


# Progress and report


def test_progress_and_report_name_the_loss_terms(pairs: PairedFeatures) -> None:
    steps: list[Step] = []
    report = Toy().fit(pairs, progress=steps.append).report
    assert [(step.stage, step.done, step.total) for step in steps] == [("toy epochs", i, 4) for i in (1, 2, 3, 4)]
    assert set(steps[0].terms) == {"error", "decay"}
    assert report["loss"] == dict(steps[-1].terms)
    assert report["first_loss"] == dict(steps[0].terms)
    assert (report["epochs"], report["stopped"]) == (4, "all epochs done")


def test_the_loss_told_is_the_mean_over_the_batches(pairs: PairedFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0, 2.0, 5.0, 7.0])
    given = ToyObjective.forward

    def forward(self: ToyObjective, batch: Batch) -> dict[str, torch.Tensor]:
        return {"error": given(self, batch)["error"] * 0 + next(losses)}

    monkeypatch.setattr(ToyObjective, "forward", forward)
    report = Toy(epochs=2).fit(pairs).report
    assert (report["first_loss"], report["loss"]) == ({"error": 1.5}, {"error": 6.0})


def test_training_lowers_the_loss(pairs: PairedFeatures) -> None:
    report = Toy(epochs=60).fit(pairs).report
    assert sum(report["loss"].values()) < 0.5 * sum(report["first_loss"].values())


def test_patience_stops_and_says_so(pairs: PairedFeatures) -> None:
    report = Toy(epochs=50, patience=3, loss="stands still").fit(pairs).report
    assert (report["epochs"], report["stopped"]) == (4, "loss no longer fell")
    assert Toy(epochs=6, loss="stands still").fit(pairs).report["epochs"] == 6


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [
        ([3, 2, 1], 1, False),
        ([3, 2, 2], 1, True),
        ([3, 1, 2, 1.5], 2, True),
        ([3, 1, 2, 0.5], 2, False),
        ([1, 2], 2, False),
        ([1, 2, 3, 4], 0, False),
    ],
)
def test_stalled(losses: list[float], patience: int, expected: bool) -> None:
    """The total counts, not one term: a second term makes up the difference."""
    assert stalled([{"a": loss - 5, "b": 5.0} for loss in losses], patience) is expected


def test_a_loss_that_is_no_number_is_an_error_naming_term_and_epoch(pairs: PairedFeatures) -> None:
    before = state()
    with pytest.raises(DataError, match=r"toy: the loss term broken became NaN or infinite in epoch 3"):
        Toy(loss="nan").fit(pairs)
    assert state() == before


# Seeds and settings


@pytest.mark.parametrize("method", [Toy(), DJSRH(n_bits=8, epochs=2, hidden=8, batch_size=8)])
def test_the_seed_decides_the_weights(pairs: PairedFeatures, method: DeepMethod) -> None:
    first = method.fit(pairs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)  # the state outside has no influence
        assert same(method.fit(pairs), first)
    other = dataclasses.replace(method, seed=1).fit(pairs)
    assert other.encode_images(pairs.image) != first.encode_images(pairs.image)
    assert other.encode_texts(pairs.text) != first.encode_texts(pairs.text)


def test_the_global_random_state_stays_also_when_a_fit_is_broken_off(pairs: PairedFeatures, tmp_path: Path) -> None:
    before = state()
    interrupted(Toy(), pairs, tmp_path, "toy epochs", 2)
    assert state() == before
    Toy().fit(pairs, checkpoint=tmp_path)
    assert state() == before


def test_a_fit_on_the_cpu_leaves_the_random_state_of_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.manual_seed seeds every GPU as well, and only the processor's state is put back afterwards."""
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    monkeypatch.setattr(torch.cuda, "manual_seed", seeds.append)
    with seeded(3):
        drawn = torch.rand(4)
    assert seeds == []
    torch.testing.assert_close(drawn, torch.rand(4, generator=torch.Generator().manual_seed(3)), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epochs": 0}, "epochs must be 1 or more; got 0"),
        ({"batch_size": -1}, "batch_size must be 1 or more; got -1"),
        ({"patience": -2}, "patience must be 0"),
        ({"device": "tpu"}, 'device must be "cpu", or "cuda".*got \'tpu\''),
    ],
)
def test_settings_out_of_range(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Toy(**wrong)


def test_a_gpu_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match=r"where torch finds a GPU; got 'cuda'"):
        DJSRH(device="cuda")


# Resuming

RESUMABLE: dict[str, DeepMethod] = {
    "toy": Toy(),
    "sgd": DJSRH(n_bits=8, epochs=4, hidden=8, batch_size=8),
    "distribution": JDSH(n_bits=8, epochs=4, hidden=8, batch_size=8),
    "turns and buffers": DCMH(n_bits=8, epochs=4, hidden=8, batch_size=8),
    "in turns": Toy(alternating=True),
}


@pytest.mark.parametrize("at", [1, 3, 4])
@pytest.mark.parametrize("kind", RESUMABLE)
def test_a_fit_that_was_broken_off_ends_as_if_it_had_not_been(
    pairs: PairedFeatures, tmp_path: Path, kind: str, at: int
) -> None:
    method = RESUMABLE[kind]
    through, _ = told(method, pairs, None)
    interrupted(method, pairs, tmp_path, f"{method.name} epochs", at)
    assert len(list(tmp_path.iterdir())) == 1
    resumed, steps = told(method, pairs, tmp_path)
    assert same(resumed, through)
    assert resumed.report == through.report
    assert steps == [(f"{method.name} epochs", epoch) for epoch in range(at + 1, 5)], "finished epochs ran again"
    assert list(tmp_path.iterdir()) == []


def test_broken_off_twice(pairs: PairedFeatures, tmp_path: Path) -> None:
    method = RESUMABLE["turns and buffers"]
    interrupted(method, pairs, tmp_path, "dcmh epochs", 1)
    interrupted(method, pairs, tmp_path, "dcmh epochs", 2)
    assert same(method.fit(pairs, checkpoint=tmp_path), method.fit(pairs))


def test_one_cycle_with_adamw_and_batch_normalisation_resumes(pairs: PairedFeatures, tmp_path: Path) -> None:
    method = KDCMH(n_bits=8, epochs=5, hidden=8, batch_size=8, teacher=JDSH(n_bits=8, epochs=1, hidden=8))
    for compare in ("batch", "buffer"):
        method = method.with_settings({"compare": compare})
        interrupted(method, pairs, tmp_path, "kdcmh epochs", 2)
        assert same(method.fit(pairs, checkpoint=tmp_path), method.fit(pairs))
        assert list(tmp_path.iterdir()) == []


def test_patience_counts_on_after_a_kill(pairs: PairedFeatures, tmp_path: Path) -> None:
    method = Toy(epochs=50, patience=3, loss="stands still")
    interrupted(method, pairs, tmp_path, "toy epochs", 2)
    assert method.fit(pairs, checkpoint=tmp_path).report["epochs"] == 4


@pytest.mark.parametrize("change", [{"seed": 1}, {"n_bits": 12}, {"epochs": 5}, {"batch_size": 4}])
def test_changed_settings_start_afresh(pairs: PairedFeatures, tmp_path: Path, change: dict[str, Any]) -> None:
    interrupted(Toy(), pairs, tmp_path, "toy epochs", 2)
    changed = dataclasses.replace(Toy(), **change)
    hasher, steps = told(changed, pairs, tmp_path)
    assert steps[0] == ("toy epochs", 1)
    assert same(hasher, changed.fit(pairs))


def test_other_pairs_start_afresh(pairs: PairedFeatures, tmp_path: Path) -> None:
    interrupted(Toy(), pairs, tmp_path, "toy epochs", 2)
    others = PairedFeatures(pairs.image + 1, pairs.text)
    assert told(Toy(), others, tmp_path)[1][0] == ("toy epochs", 1)


def test_other_labels_start_a_supervised_method_afresh(pairs: PairedFeatures, tmp_path: Path) -> None:
    assert pairs.labels is not None
    method = RESUMABLE["turns and buffers"]
    interrupted(method, pairs, tmp_path, "dcmh epochs", 2)
    relabelled = PairedFeatures(pairs.image, pairs.text, ~pairs.labels)
    hasher, steps = told(method, relabelled, tmp_path)
    assert steps[0] == ("dcmh epochs", 1)
    assert same(hasher, method.fit(relabelled))
