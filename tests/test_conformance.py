"""Every method in METHODS, held to the suite of crossbit.testing; and a look at whether the suite can fail."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from crossbit.codes import Codes
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.methods import METHODS, load_method
from crossbit.methods.cca_itq import CCAITQ
from crossbit.testing import MethodCheck, check_method, method_checks

EXPERIMENTS = Path(__file__).resolve().parents[1] / "benchmarks" / "experiments"

QUICK_SETTINGS: dict[str, dict[str, Any]] = {
    "random-projection": {},
    "cca-sign": {},
    "cca-itq": {},
    "cvh": {},
    "imh": {},
    "pdh": {},
    "cmfh": {},
    "lssh": {"dictionary": 64, "iterations": 8},
    "rfdh": {"iterations": 10},
    "fsh": {"anchors": 60, "iterations": 6},
    "cmsth": {"topic_iterations": 20, "iterations": 10},
    "djsrh": {"epochs": 15, "hidden": 256},
    "jdsh": {"epochs": 15, "hidden": 256},
    "dsah": {"epochs": 30, "hidden": 256},
    "dgcpn": {"epochs": 25, "hidden": 128},
    "cirh": {"epochs": 40, "hidden": 256, "hidden_text": 256, "batch_size": 64, "learning_rate": 1e-3},
    "agch": {"epochs": 30, "hidden": 256, "graph_hidden": (64, 32)},
    "daeh": {"epochs": 20, "hidden": 256},
    "kdcmh": {"epochs": 15, "hidden": 128},
    "sakdh": {"epochs": 15, "hidden": 128},
    "ugach": {"epochs": 12, "pretraining": 8, "hidden": 64, "learning_rate": 0.05, "batch_size": 32},
    "ukd": {"epochs": 40, "hidden": 128, "batch_size": 32, "learning_rate": 1e-3},
    "duch": {"epochs": 15, "hidden": 128, "batch_size": 32, "learning_rate": 1e-3},
    "jmgch": {"epochs": 15, "hidden": 128, "graph_hidden": 64, "batch_size": 32},
    "pldh": {"epochs": 12, "hidden": 128, "batch_size": 32},
    "ucch": {"epochs": 15, "hidden": 128, "batch_size": 32, "n_keys": 256, "learning_rate": 1e-3},
    "kdcmh-labels": {"epochs": 15, "hidden": 128},
    "scm": {},
    "hcsr": {},
    "seph": {},
    "sccmh": {},
    "ssah": {"epochs": 30, "hidden": 128, "features": 64, "batch_size": 32},
    "dadh": {"epochs": 15, "widths": (128, 64), "batch_size": 32, "learning_rate": 1e-3},
    "dmfh": {"epochs": 30, "image_widths": (64, 32), "text_widths": (64, 32), "scale": 32, "batch_size": 32},
    "dcmh": {"epochs": 60, "hidden": 256},
    "shdch": {"epochs": 15, "hidden": 128, "batch_size": 32},
    "hichnet": {"epochs": 10, "hidden": 128, "batch_size": 32},
    "dchmt": {"epochs": 40, "hidden": 64, "batch_size": 32, "learning_rate": 4e-3},
    "dsph": {"epochs": 15, "hidden": 64, "batch_size": 32, "learning_rate": 4e-3},
    "mith": {"epochs": 15, "hidden": 64, "concept_units": 32, "batch_size": 32, "learning_rate": 4e-3},
    "ckdh": {"epochs": 12, "teacher_epochs": 8, "hidden": 64, "batch_size": 32, "learning_rate": 4e-3},
    "dhsl": {"epochs": 15, "hidden": 64, "narrow": 32, "selected_units": 16, "batch_size": 32, "learning_rate": 4e-3},
}
"""Settings with which each method learns the planted world in a second or so."""

QUICK_TEACHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "kdcmh": ("jdsh", {"n_bits": 64, "epochs": 10, "hidden": 128}),
    "sakdh": ("dsah", {"n_bits": 64, "epochs": 10, "hidden": 128}),
    "ukd": ("ugach", {"n_bits": 64, "epochs": 7, "pretraining": 6, "hidden": 64, "learning_rate": 0.05}),
}
"""The same for the teachers of methods that have one; made when needed, so that tests can be listed without torch."""

EXPECTED_FAILURES: dict[str, dict[str, str]] = {
    "random-projection": {"beats_random_projection": "it is random projection, the floor that others must beat"},
}


def quick_settings(name: str) -> dict[str, Any]:
    settings = dict(QUICK_SETTINGS.get(name, {}))
    if name in QUICK_TEACHERS:
        teacher, its_settings = QUICK_TEACHERS[name]
        settings["teacher"] = load_method(teacher)().with_settings(its_settings)
    return settings


@cache
def checks_of(name: str) -> dict[str, MethodCheck]:
    found = check_method(load_method(name), expected_failures=EXPECTED_FAILURES.get(name), **quick_settings(name))
    return {check.name: check for check in found}


@pytest.mark.parametrize("check", method_checks())
@pytest.mark.parametrize("name", METHODS)
def test_method(name: str, check: str) -> None:
    outcome = checks_of(name)[check]()
    if outcome.expected_failure:
        pytest.xfail(outcome.reason)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_listed_rightly(name: str) -> None:
    method_class = load_method(name)
    module, class_name = METHODS[name].split(":")
    assert issubclass(method_class, Method)
    assert method_class.name == name
    assert (method_class.__module__, method_class.__name__) == (module, class_name)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_an_experiment(name: str) -> None:
    assert list(EXPERIMENTS.glob(f"{name}-*.toml")), f"add benchmarks/experiments/{name}-<data>.toml"


def test_the_settings_above_name_only_methods_that_exist() -> None:
    assert set(QUICK_SETTINGS) == set(METHODS)
    assert set(QUICK_TEACHERS) <= set(METHODS)
    assert set(EXPECTED_FAILURES) <= set(METHODS)


def test_every_file_of_a_method_is_listed() -> None:
    """A method that stands in methods/ but not in METHODS would pass no check at all."""
    folder = Path(__file__).resolve().parents[1] / "src" / "crossbit" / "methods"
    defined = {
        f"crossbit.methods.{file.stem}"
        for file in folder.glob("*.py")
        if file.stem != "__init__" and "name: ClassVar[str] = " in file.read_text(encoding="utf-8")
    }
    assert defined == {target.split(":")[0] for target in METHODS.values()}


# From here on the suite itself is tested: methods with one fault each, and the check that must find it.


@dataclass(frozen=True, kw_only=True)
class Faulty(CCAITQ):
    """CCA-ITQ with one fault at a time, to see that the conformance suite finds each of them."""

    name: ClassVar[str] = "faulty"
    paper: ClassVar[Paper] = Paper("Nobody", "Nothing", "Nowhere", 2021, reconstruction=True)


class Collapsed(Faulty):
    """All outputs have one sign."""

    def _fit(self, *arguments: Any) -> Hasher:
        hasher = super()._fit(*arguments)
        layer = hasher.image.layers[0]
        moved = dataclasses.replace(layer, bias=np.full_like(layer.bias, 1e6))
        return dataclasses.replace(hasher, image=dataclasses.replace(hasher.image, layers=(moved,)))


class MovesRandomState(Faulty):
    """Draws from the global generator."""

    def _fit(self, *arguments: Any) -> Hasher:
        np.random.random()  # the fault
        return super()._fit(*arguments)


class Prints(Faulty):
    """Talks on its own."""

    def _fit(self, *arguments: Any) -> Hasher:
        print("fitting")  # noqa: T201  # the fault
        return super()._fit(*arguments)


class Unstable(Faulty):
    """Another rotation at every fit."""

    def _fit(self, *arguments: Any) -> Hasher:
        drawn = int(np.random.default_rng().integers(1 << 30))
        return CCAITQ._fit(dataclasses.replace(self, seed=drawn), *arguments)


class Unaligned(Faulty):
    """Image and text functions that have nothing to do with each other."""

    def _fit(self, *arguments: Any) -> Hasher:
        hasher = super()._fit(*arguments)
        layer = hasher.text.layers[0]
        turned = dataclasses.replace(layer, weight=layer.weight[:, ::-1], bias=layer.bias[::-1])
        return dataclasses.replace(hasher, text=dataclasses.replace(hasher.text, layers=(turned,)))


class Peeks(Faulty):
    """Claims to be unsupervised, but sees the labels."""

    def fit(self, pairs: Any, **options: Any) -> Hasher:
        seed = 0 if pairs.labels is None else int(pairs.labels[::3].sum())
        fitted = Faulty(**{**self.settings(), "seed": seed}).fit(pairs, **options)
        return dataclasses.replace(fitted, settings=self.settings())


class FusedHasher(Hasher):
    """Adds what it saw last of the texts to its images."""

    def encode_texts(self, features: np.ndarray) -> Codes:
        object.__setattr__(self, "seen", self.text(features))
        return super().encode_texts(features)

    def encode_images(self, features: np.ndarray) -> Codes:
        outputs = self.image(features)
        seen = getattr(self, "seen", np.zeros_like(outputs))
        return Codes.from_real(outputs + seen if len(seen) == len(outputs) else outputs)


class Fuses(Faulty):
    """Codes both sides of a pair together, as a released code does."""

    def fit(self, *arguments: Any, **options: Any) -> Hasher:
        found = super().fit(*arguments, **options)
        return FusedHasher(found.image, found.text, found.method, found.settings, report=found.report)


class Litters(Faulty):
    """Writes into the checkpoint folder and leaves it there."""

    def fit(self, pairs: Any, *, checkpoint: Path | None = None, **options: Any) -> Hasher:
        if checkpoint is not None:
            checkpoint.mkdir()
            (checkpoint / "left.bin").write_bytes(b"epoch")
        return super().fit(pairs, **options)


class ResumesElsewhere(Faulty):
    """Goes on from a checkpoint with another seed than it began with."""

    def fit(self, pairs: Any, *, checkpoint: Path | None = None, **options: Any) -> Hasher:
        if checkpoint is None:
            return super().fit(pairs, **options)
        resumed = checkpoint.exists()
        checkpoint.mkdir(exist_ok=True)
        seed = self.seed + 1 if resumed else self.seed
        hasher = Faulty(**{**self.settings(), "seed": seed}).fit(pairs, **options)
        checkpoint.rmdir()
        return dataclasses.replace(hasher, settings=self.settings())


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (Collapsed, "codes_do_not_collapse"),
        (MovesRandomState, "leaves_global_random_state_alone"),
        (Prints, "tells_progress_and_prints_nothing"),
        (Unstable, "same_seed_gives_same_codes"),
        (Unaligned, "beats_random_projection"),
        (Peeks, "uses_labels_only_if_supervised"),
        (Fuses, "other_modality_does_not_change_codes"),
        (Litters, "cleans_up_its_checkpoint"),
        (ResumesElsewhere, "interrupted_fit_ends_the_same"),
    ],
)
def test_the_suite_finds_a_fault(fault: type[Method], check: str) -> None:
    found = {item.name: item for item in check_method(fault)}
    with pytest.raises(AssertionError):
        found[check]()


def test_the_suite_passes_the_method_without_a_fault() -> None:
    for check in check_method(Faulty):
        assert not check().expected_failure


def test_a_declared_failure_that_passes_is_an_error() -> None:
    checks = check_method(Faulty, expected_failures={"gives_8_bits": "out of date"})
    check = next(check for check in checks if check.name == "gives_8_bits")
    with pytest.raises(AssertionError, match="declared to fail"):
        check()


def test_a_declared_failure_needs_a_known_check_and_a_reason() -> None:
    with pytest.raises(ValueError, match="no_such_check"):
        check_method(Faulty, expected_failures={"no_such_check": "because"})
    with pytest.raises(ValueError, match="reason"):
        check_method(Faulty, expected_failures={"gives_8_bits": ""})
