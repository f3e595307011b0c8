from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import pytest

from crossbit import Hasher, PairedFeatures
from crossbit.cli.settings import method_with, parse
from crossbit.errors import SettingsError
from crossbit.method import Method, Paper
from crossbit.methods import METHODS
from crossbit.methods.cca_itq import CCAITQ
from crossbit.methods.cca_sign import CCASign
from crossbit.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Student(Method):
    name: ClassVar[str] = "student"
    paper: ClassVar[Paper] = Paper("A", "T", "V", 2000)

    teacher: Method = field(default_factory=CCAITQ)
    hidden: tuple[int, ...] = (64,)
    span: tuple[float, float] = (0.0, 1.0)
    rate: float = 0.1
    early: bool = False
    mode: Literal["plain", "sharp"] = "plain"
    weight: float | None = None
    target: Literal["auto"] | float = "auto"

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "student", f"{__name__}:Student")


def made(*assignments: str) -> Student:
    method = method_with("student", assignments, n_bits=16, seed=3)
    assert isinstance(method, Student)
    return method


@pytest.mark.parametrize(
    ("assignment", "name", "value"),
    [
        ("rate=0.5", "rate", 0.5),
        ("rate=1e-3", "rate", 0.001),
        (" rate = 2 ", "rate", 2.0),
        ("early=True", "early", True),
        ("early=false", "early", False),
        ("mode=sharp", "mode", "sharp"),
        ("weight=none", "weight", None),
        ("weight=0.25", "weight", 0.25),
        ("target=auto", "target", "auto"),
        ("target=0.5", "target", 0.5),
        ("hidden=512, 256", "hidden", (512, 256)),
        ("hidden=", "hidden", ()),
        ("span=0.1,0.9", "span", (0.1, 0.9)),
        ("teacher=cca-sign", "teacher", CCASign()),
        ("teacher.iterations=7", "teacher", CCAITQ(iterations=7)),
    ],
)
def test_a_setting_is_read_as_its_type(assignment: str, name: str, value: object) -> None:
    method = made(assignment)
    assert getattr(method, name) == value
    assert type(getattr(method, name)) is type(value)
    assert (method.n_bits, method.seed) == (16, 3)


def test_settings_are_applied_in_order() -> None:
    assert made("teacher=cca-sign", "teacher.ridge=0.5", "rate=1", "rate=2").settings()["teacher"]["ridge"] == 0.5
    assert made("rate=1", "rate=2").rate == 2.0


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("rate", "name=value"),
        ("=3", "name=value"),
        ("rate=fast", "student's setting rate is a number; got 'fast'"),
        ("hidden=1.5", "hidden is a whole number; got '1.5'"),
        ("span=1", "takes 2 values parted by commas"),
        ("early=perhaps", "early is true or false; got 'perhaps'"),
        ("mode=soft", "mode is one of plain, sharp; got 'soft'"),
        ("weight=heavy", "weight is a number; got 'heavy'"),
        ("teacher=magic", "teacher is a method, one of .*; got 'magic'"),
        ("teacher.speed=1", "cca-itq has no setting speed; it has"),
        ("rate.speed=1", "setting rate is no method"),
        ("speed=1", "student has no setting speed; it has"),
        ("n_bits=8", "say --bits 8"),
        ("seed=8", "say --seed 8"),
    ],
)
def test_a_wrong_setting_says_what_was_expected(assignment: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        made(assignment)


def test_a_type_that_text_cannot_give_is_named() -> None:
    with pytest.raises(SettingsError, match="set it from Python"):
        parse("x", dict, "a setting")
