"""KDCMH: teacher, distillation and student put together; resumed after kills; and what it refuses."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from crossbit.errors import SettingsError
from crossbit.evaluation import teacher_agreement
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.methods.cca_itq import CCAITQ
from crossbit.methods.dcmh import DCMH
from crossbit.methods.jdsh import JDSH
from crossbit.methods.kdcmh import KDCMH
from crossbit.methods.random_projection import RandomProjection
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress, Step, silent
from crossbit.student import StudentObjective
from crossbit.testing import PlantedWorld, planted_pairs, planted_score
from crossbit.testing.settings import settings_from_toml, settings_to_toml

TEACHER = JDSH(n_bits=16, epochs=4, hidden=16)


def small(**settings: Any) -> KDCMH:
    quick: dict[str, Any] = {"n_bits": 16, "epochs": 4, "hidden": 16, "batch_size": 16, "neighbours": 8}
    return KDCMH(**{"teacher": TEACHER, **quick, **settings})


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return planted_pairs(seed=4, n=240)


@pytest.fixture(scope="module")
def pairs() -> PairedFeatures:
    return planted_pairs(seed=4, n=72).train.without_labels()


def told(method: Method, pairs: PairedFeatures, folder: Path | None = None) -> tuple[Hasher, list[tuple[str, int]]]:
    steps: list[Step] = []
    hasher = method.fit(pairs, progress=steps.append, checkpoint=folder)
    return hasher, [(step.stage, step.done) for step in steps]


def score(hasher: Hasher, world: PlantedWorld) -> float:
    query, database = world.pairs[world.split.query], world.pairs[world.split.database]
    images, texts = hasher.encode_images, hasher.encode_texts
    return (
        planted_score(images(query.image), texts(database.text), world.relevant())
        + planted_score(texts(query.text), images(database.image), world.relevant())
    ) / 2


def epochs(stage: str, first: int, last: int) -> list[tuple[str, int]]:
    return [(f"{stage} epochs", epoch) for epoch in range(first, last + 1)]


# The three steps


def test_fit_is_teacher_then_student(pairs: PairedFeatures) -> None:
    method = small()
    hasher, steps = told(method, pairs)
    assert steps == epochs("jdsh", 1, 4) + epochs("kdcmh", 1, 4)
    student = method.fit_student(pairs, method.fit_teacher(pairs))
    np.testing.assert_array_equal(student.image(pairs.image), hasher.image(pairs.image))
    np.testing.assert_array_equal(student.text(pairs.text), hasher.text(pairs.text))
    assert isinstance(method.objective(pairs), StudentObjective)


@dataclass(frozen=True, kw_only=True)
class Spy(CCAITQ):
    """CCA-ITQ that keeps what it is given."""

    name: ClassVar[str] = "spy"
    paper: ClassVar[Paper] = Paper("Nobody", "Nothing", "Nowhere", 2021, reconstruction=True)
    given: ClassVar[list[tuple[Method, PairedFeatures]]] = []

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        self.given.append((self, pairs))
        return CCAITQ(n_bits=self.n_bits, seed=self.seed)._fit(pairs, progress, checkpoint)


def test_any_method_may_teach_and_it_gets_the_seed_but_no_labels(pairs: PairedFeatures) -> None:
    Spy.given.clear()
    labelled = PairedFeatures(pairs.image, pairs.text, np.eye(len(pairs), dtype=bool))
    small(teacher=Spy(n_bits=8), seed=6).fit(labelled)
    ((teacher, given),) = Spy.given
    assert (teacher.seed, teacher.n_bits) == (6, 8)
    assert given.labels is None


@pytest.mark.parametrize(
    "teacher", [RandomProjection(n_bits=8), small(n_bits=8, epochs=1)], ids=["random projection", "a student"]
)
def test_other_teachers(pairs: PairedFeatures, teacher: Method) -> None:
    assert small(teacher=teacher, epochs=1).fit(pairs).n_bits == 16


def test_a_supervised_teacher_is_refused(pairs: PairedFeatures) -> None:
    labelled = PairedFeatures(pairs.image, pairs.text, np.ones((len(pairs), 2), dtype=bool))
    for given in (pairs, labelled):
        with pytest.raises(SettingsError, match="kdcmh is unsupervised; its teacher dcmh needs labels"):
            small(teacher=DCMH()).fit(given)


@pytest.mark.parametrize(("guide", "expected"), [(True, (0.6 * 0.75, 0.6 * 0.25)), (False, (0.5, 0.1))])
def test_a_jdsh_teacher_is_guided_by_the_trust_in_modalities(
    pairs: PairedFeatures, guide: bool, expected: tuple[float, float]
) -> None:
    teacher = small(image_weight=0.75, guide_teacher=guide).fit_teacher(pairs)
    settings = teacher.settings
    assert (settings["weight_image"], settings["weight_text"]) == pytest.approx(expected)
    assert settings["weight_cross"] == 0.4


def test_the_trust_is_as_set_or_found_and_in_the_report(pairs: PairedFeatures) -> None:
    assert small(image_weight=0.2).trust(pairs) == 0.2
    method = small()
    hasher = method.fit(pairs)
    assert 0 < hasher.report["image_weight"] == method.trust(pairs) < 1
    assert hasher.settings["image_weight"] is None, "as set, so that the settings make the method again"


def test_the_report_tells_the_agreement_with_the_teacher(pairs: PairedFeatures) -> None:
    method = small()
    teacher = method.fit_teacher(pairs)
    hasher = method.fit(pairs)
    assert hasher.report["teacher_agreement"] == pytest.approx(teacher_agreement(hasher, teacher, pairs))
    assert 0 < hasher.report["teacher_agreement"] < 1


@dataclass(frozen=True, kw_only=True)
class Elsewhere(CCAITQ):
    """A teacher that learns on a device of its own, unless told otherwise."""

    name: ClassVar[str] = "elsewhere"
    paper: ClassVar[Paper] = Paper("Nobody", "Nothing", "Nowhere", 2021, reconstruction=True)
    device: str = "another"


def test_a_teacher_learns_on_the_students_device(pairs: PairedFeatures) -> None:
    assert small(teacher=Elsewhere(n_bits=8)).fit_teacher(pairs).settings["device"] == "cpu"


def test_the_teachers_share_decides_whose_similarity_is_diffused(pairs: PairedFeatures) -> None:
    one, other = (RandomProjection(n_bits=8, seed=seed).fit(pairs) for seed in (0, 1))
    raw = small(teacher_share=0.0)
    torch.testing.assert_close(raw.distil(pairs, one).values, raw.distil(pairs, other).values)
    taught = small(teacher_share=1.0)
    assert not torch.allclose(taught.distil(pairs, one).values, taught.distil(pairs, other).values)
    trusting = taught.with_settings({"image_weight": 0.9})
    torch.testing.assert_close(taught.distil(pairs, one).values, trusting.distil(pairs, one).values, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("distillation", "values", "weighted"),
    [("diffused", None, False), ("real", None, False), ("distribution", {0, 1}, True), ("neighbours", {0, 1}, False)],
)
@pytest.mark.parametrize("loss", ["cosine", "likelihood"])
def test_every_distillation_with_every_loss(
    pairs: PairedFeatures, distillation: Any, values: set[int] | None, weighted: bool, loss: Any
) -> None:
    method = small(distillation=distillation, loss=loss, spread_left=0.5, spread_right=1.0, epochs=1)
    teacher = method.fit_teacher(pairs)
    target = method.distil(pairs, teacher)
    n = len(pairs)
    assert target.values.shape == (n, n)
    assert target.values.abs().max() <= 1
    assert (target.weights is not None) is weighted
    assert values is None or set(target.values.unique().tolist()) == values
    assert method.fit_student(pairs, teacher).n_bits == 16


def test_with_landmarks_the_student_learns_nearly_as_well(world: PlantedWorld) -> None:
    method = small(n_bits=32, epochs=15, hidden=64, teacher=JDSH(n_bits=32, epochs=8, hidden=64))
    floor = score(RandomProjection(n_bits=32).fit(world.train), world)
    whole = score(method.fit(world.train), world)
    hasher, steps = told(method.with_settings({"whole_up_to": 50, "n_landmarks": 64}), world.train)
    assert ("similarity columns", 64) in steps
    assert score(hasher, world) > floor + 0.7 * (whole - floor) > floor + 0.2
    codes = hasher.encode_images(world.pairs.image).bits()
    assert (codes.any(axis=0) & ~codes.all(axis=0)).mean() > 0.9, "bits that never vary"


def test_it_learns_from_its_teacher_what_the_features_alone_do_not_say(world: PlantedWorld) -> None:
    """A teacher that was told to see two kinds where the features show six: the student sees two as well."""
    kinds = np.stack([world.labels[:, :3].any(axis=1), world.labels[:, 3:].any(axis=1)], axis=1)
    retold = dataclasses.replace(world, labels=kinds, pairs=PairedFeatures(world.pairs.image, world.pairs.text, kinds))
    train = world.train
    knowing = DCMH(n_bits=32, epochs=40, hidden=64).fit(retold.train)
    ignorant = RandomProjection(n_bits=32).fit(train)
    method = small(n_bits=32, epochs=20, hidden=64, teacher_share=1.0)
    taught, not_taught = (score(method.fit_student(train, teacher), retold) for teacher in (knowing, ignorant))
    assert taught > not_taught + 0.05


@pytest.mark.parametrize("n", [2, 3, 5])
def test_hardly_any_pairs(pairs: PairedFeatures, n: int) -> None:
    assert small(epochs=1).fit(pairs[np.arange(n)]).report["pairs"] == n


def test_seeds_differ_and_the_same_seed_agrees(pairs: PairedFeatures) -> None:
    one, same, other = (small(seed=seed).fit(pairs) for seed in (0, 0, 1))
    assert one.fingerprint() == same.fingerprint()
    assert one.encode_images(pairs.image) != other.encode_images(pairs.image)


# Schedules and settings


def test_one_cycle_goes_up_and_down() -> None:
    factors = [KDCMH().rate_factor(progress) for progress in (0, 0.15, 0.3, 0.65, 1)]
    assert factors == pytest.approx([1e-3, 0.5, 1, 0.5, 1e-3])
    assert [KDCMH().alpha(epoch) for epoch in (0, 10)] == [1, 2]


def test_plain_is_the_published_kind_and_learns(world: PlantedWorld) -> None:
    plain = KDCMH.plain(n_bits=32)
    assert isinstance(plain.teacher, JDSH)
    assert plain.teacher.n_bits == 32
    assert (plain.distillation, plain.loss, plain.mu, plain.contrast) == ("real", "cosine", 1.4, 0.0)
    assert plain.teacher_weights == (0.4, 0.2, 0.4)
    assert [plain.rate_factor(progress) for progress in (0, 0.5, 1)] == [1, 1, 1]
    assert [plain.alpha(epoch) for epoch in (0, 3)] == [1, 2]
    teacher = JDSH(n_bits=32, epochs=10, hidden=64)
    hasher = KDCMH.plain(n_bits=32, teacher=teacher, epochs=15, hidden=64).fit(world.train)
    assert [layer.activation for layer in hasher.image.layers] == ["linear"]
    assert [layer.activation for layer in hasher.text.layers] == ["relu", "linear"]
    assert score(hasher, world) > score(RandomProjection(n_bits=32).fit(world.train), world) + 0.1


def test_settings_hold_the_teacher_as_a_table_and_come_back_from_a_file() -> None:
    method = small(teacher=JDSH(n_bits=24, push=0.3), teacher_weights=(0.5, 0.2, 0.3), image_weight=0.4)
    settings = method.settings()
    assert settings["teacher"]["method"] == "jdsh"
    assert (settings["teacher"]["n_bits"], settings["teacher"]["push"]) == (24, 0.3)
    assert settings["teacher_weights"] == [0.5, 0.2, 0.3]
    assert settings_from_toml(KDCMH, settings_to_toml(settings)) == method
    assert method.with_settings({"teacher_weights": [0.5, 0.2, 0.3]}) == method, "a list, as files have it"


def test_a_teacher_is_changed_by_its_own_settings() -> None:
    method = small()
    other = method.with_settings({"teacher": method.teacher.with_settings({"epochs": 7})})
    assert other.settings()["teacher"]["epochs"] == 7
    assert method.settings()["teacher"]["epochs"] == 4
    with pytest.raises(SettingsError, match="jdsh has no setting walk"):
        method.teacher.with_settings({"walk": 0.5})


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_weight": 1.5},
        {"walk": 1.0},
        {"walk": 0.0},
        {"distillation": "diffuse"},
        {"loss": "likelyhood"},
        {"compare": "all"},
        {"networks_as": "plain"},
        {"batch_size": 1},
        {"temperature": 0.0},
        {"neighbours": 0},
        {"n_landmarks": 0},
        {"dropout": 1.0},
    ],
)
def test_settings_out_of_range(wrong: dict[str, Any]) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(SettingsError, match=f"{name} .*got {value!r}"):
        small(**wrong)


# Kills


def broken_off(pairs: PairedFeatures, folder: Path, stage: str, at: int) -> None:
    def stop(step: Step) -> None:
        if (step.stage, step.done) == (stage, at):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small().fit(pairs, progress=stop, checkpoint=folder)


@pytest.mark.parametrize(
    ("stage", "at", "left"),
    [
        ("jdsh epochs", 2, epochs("jdsh", 3, 4) + epochs("kdcmh", 1, 4)),
        ("jdsh epochs", 4, epochs("kdcmh", 1, 4)),
        ("kdcmh epochs", 1, epochs("kdcmh", 2, 4)),
        ("kdcmh epochs", 4, []),
    ],
)
def test_nothing_is_learned_twice_after_a_break(
    pairs: PairedFeatures, tmp_path: Path, stage: str, at: int, left: list[tuple[str, int]]
) -> None:
    broken_off(pairs, tmp_path, stage, at)
    hasher, steps = told(small(), pairs, tmp_path)
    assert steps == left
    assert hasher.fingerprint() == small().fit(pairs).fingerprint()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_teacher_is_learned_again(pairs: PairedFeatures, tmp_path: Path) -> None:
    broken_off(pairs, tmp_path, "kdcmh epochs", 1)
    (kept,) = tmp_path.glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    (tmp_path / f".{kept.name}.0badcafe.part").write_bytes(b"of a kill while it was written")
    hasher, steps = told(small(), pairs, tmp_path)
    assert steps[0] == ("jdsh epochs", 1)
    assert hasher.fingerprint() == small().fit(pairs).fingerprint()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"seed": 1}, {"teacher": dataclasses.replace(TEACHER, mu=1.0)}])
def test_a_teacher_of_other_settings_is_not_taken(
    pairs: PairedFeatures, tmp_path: Path, change: dict[str, Any]
) -> None:
    broken_off(pairs, tmp_path, "kdcmh epochs", 1)
    hasher, steps = told(small(**change), pairs, tmp_path)
    assert steps == epochs("jdsh", 1, 4) + epochs("kdcmh", 1, 4)
    assert hasher.fingerprint() == small(**change).fit(pairs).fingerprint()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_kdcmh import small
from crossbit.testing import planted_pairs

replace, left = os.replace, [{after}]

def kill_before_the_last(*arguments):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*arguments)

os.replace = kill_before_the_last
small().fit(planted_pairs(seed=4, n=72).train.without_labels(), checkpoint=Path({folder!r}))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_kill_9_in_the_teacher_and_in_the_student(pairs: PairedFeatures, tmp_path: Path) -> None:
    """Killed twice while a checkpoint is being written, the worst moment; the third run ends as if nothing was.

    Files are written in this order: four epochs of the teacher, the teacher, four epochs of the student.
    """
    folder = tmp_path / "checkpoint"
    for after in (3, 5):
        script = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder), after=after)
        run = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=120)
        assert run.returncode == -signal.SIGKILL, run.stderr
        assert list(folder.glob(".*.part")), "the kill was to leave a half-written file"
    hasher, steps = told(small(), pairs, folder)
    # The first run saved two epochs of the teacher, the second one two more, the teacher and one of the student.
    assert steps == epochs("kdcmh", 2, 4)
    assert hasher.fingerprint() == small().fit(pairs, progress=silent).fingerprint()
    assert list(folder.iterdir()) == []
