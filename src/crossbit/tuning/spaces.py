"""Where settings are looked for: ranges and choices, declared for some methods, read off the fields of all others."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from crossbit.errors import SettingsError
from crossbit.method import Method

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included. log: tried by their logarithm. whole: whole numbers only.

    Raises SettingsError for ends that are not finite or not in order, for log with low at 0 or below, and for whole
    with ends that are not whole.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)) or self.low >= self.high:
            raise SettingsError(f"A range goes from a number up to a greater one; got {self.low!r}..{self.high!r}.")
        if self.log and self.low <= 0:
            raise SettingsError(f"A range tried by its logarithm starts above 0; got {self.low!r}..{self.high!r}.")
        if self.whole and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise SettingsError(f"A range of whole numbers has whole ends; got {self.low!r}..{self.high!r}.")

    def __contains__(self, value: object) -> bool:
        """Whether a setting's value lies in the range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def to_json(self) -> dict[str, Any]:
        """The range as plain JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Choice:
    """One of these values; raises SettingsError for fewer than two or for the same one twice."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        told = [repr(value) for value in self.values]
        if len(told) < 2 or len(set(told)) < len(told):
            raise SettingsError(f"A choice has two or more different values; got {', '.join(told) or 'none'}.")

    def __contains__(self, value: object) -> bool:
        """Whether a setting's value is one of them."""
        return any(value == own and isinstance(value, bool) == isinstance(own, bool) for own in self.values)

    def to_json(self) -> dict[str, Any]:
        """The choice as plain JSON values."""
        return {"values": list(self.values)}


Space = Range | Choice
Spaces = Mapping[str, Space]

_RIDGE = Range(1e-3, 1.0, log=True)
DECLARED: Mapping[str, Spaces] = MappingProxyType(
    {
        "cca-sign": {"ridge": _RIDGE},
        "cca-itq": {"ridge": _RIDGE, "power": Range(0.0, 8.0)},
        "cvh": {"ridge": Range(1e-6, 1.0, log=True), "centre": Choice((True, False))},
        "imh": {
            "smoothness": Range(0.01, 100.0, log=True),
            "beta": Range(0.01, 100.0, log=True),
            "neighbours": Range(1, 20, log=True, whole=True),
        },
        "cmfh": {
            "image_share": Range(0.1, 0.9),
            "mu": Range(1.0, 1000.0, log=True),
            "gamma": Range(1e-3, 1.0, log=True),
            "ridge": _RIDGE,
        },
        "fsh": {
            "anchors": Range(100, 1000, log=True, whole=True),
            "neighbours": Range(2, 50, log=True, whole=True),
            "fit_weight": Range(1e-3, 1.0, log=True),
            "ridge": _RIDGE,
        },
        "djsrh": {
            "beta": Range(0.1, 0.95),
            "eta": Range(0.0, 0.8),
            "mu": Range(1.0, 2.0),
            "lambda_image": Range(0.01, 1.0, log=True),
            "lambda_text": Range(0.01, 1.0, log=True),
            "learning_rate_image": Range(1e-4, 1e-2, log=True),
            "learning_rate_text": Range(1e-3, 0.05, log=True),
        },
        "kdcmh": {
            "teacher_share": Range(0.1, 0.9),
            "teacher_slope": Range(1.0, 10.0, log=True),
            "neighbours": Range(20, 200, log=True, whole=True),
            "edge_power": Range(1.0, 12.0),
            "walk": Range(0.8, 0.995),
            "emphasis": Range(0.0, 10.0),
            "contrast": Range(0.0, 0.4),
            "temperature": Range(0.1, 0.5, log=True),
            "learning_rate": Range(1e-3, 8e-3, log=True),
            "input_dropout": Range(0.0, 0.4),
            "dropout": Range(0.0, 0.5),
        },
    }
)
"""The spaces of methods that have some of their own; the work of a fit is nowhere part of them."""

# Settings that a search leaves as they are: they tell how long to learn, or are not the method's own.
_LEFT = {"weight_decay", "momentum", "largest_gradient", "alpha_growth", "alpha_limit", "bank_momentum"}


def spaces_of(method: Method) -> dict[str, Space]:
    """Where the settings of a method are looked for: as declared, or around the values that it has.

    Without a declaration the fields tell: a learning rate from an eighth to eight times its value, a dropout from 0 to
    .6, a share from .05 or less to .95 or more, a ridge from .001 to 1, and every other positive number that is no
    whole one from a quarter to four times its value. An end that the method refuses is drawn in to the value as it
    stands. Words, whole numbers and settings at 0 are left as they are.
    """
    declared = DECLARED.get(method.name)
    if declared is not None:
        return dict(declared)
    values = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}
    found = {name: _settable(method, name, _around(name, value)) for name, value in values.items() if name not in _LEFT}
    return {name: space for name, space in found.items() if space is not None}


def _settable(method: Method, name: str, space: Range | None) -> Space | None:
    if space is None:
        return None
    value = getattr(method, name)
    low, high = (end if _can_be_set(method, name, end) else value for end in (space.low, space.high))
    return Range(min(low, value), max(high, value), space.log) if low < high else None


def _can_be_set(method: Method, name: str, value: float) -> bool:
    try:
        method.with_settings({name: value})
    except SettingsError:
        return False
    return True


def _around(name: str, value: object) -> Range | None:
    if not isinstance(value, float) or value <= 0:
        return None
    if name.startswith("learning_rate"):
        return Range(value / 8, value * 8, log=True)
    if name.endswith("dropout"):
        return Range(0.0, 0.6)
    if name.endswith("_share"):
        return Range(min(0.05, value / 4), max(0.95, (1 + value) / 2))
    if name == "ridge":
        return _RIDGE
    return Range(value / 4, value * 4, log=True)


def check_spaces(method: Method, spaces: Spaces) -> None:
    """Raise SettingsError unless each space is of a setting that the method has, and its ends can be set.

    "teacher.epochs" is the setting of a setting that is a method. The code length and the seed are not looked for.
    """
    if not spaces:
        raise SettingsError(
            f"{method.name} has no setting to look for; name one with its values, such as --space ridge=0.01..1."
        )
    for name, space in spaces.items():
        if name.split(".")[-1] in ("n_bits", "seed", "device"):
            raise SettingsError(f"{name} is no setting to look for; it is the same in every trial.")
        ends = space.values if isinstance(space, Choice) else (space.low, space.high)
        for value in ends:
            with_values(method, {name: int(value) if isinstance(space, Range) and space.whole else value})  # type: ignore[arg-type]  # a whole range's ends are numbers


def with_values(method: Method, values: Mapping[str, Value]) -> Method:
    """The method with some settings changed, "teacher.epochs" in its teacher; raises SettingsError where it cannot."""
    for name, value in values.items():
        outer, _, inner = name.partition(".")
        if not inner:
            method = method.with_settings({outer: value})
            continue
        part = getattr(method, outer, None)
        if not isinstance(part, Method):
            raise SettingsError(f"{method.name} has no method {outer!r} in its settings, so there is no {name}.")
        method = method.with_settings({outer: with_values(part, {inner: value})})
    return method


def value_at(method: Method, name: str) -> Value:
    """The value of a setting as it stands, "teacher.epochs" in the teacher."""
    outer, _, inner = name.partition(".")
    found = getattr(method, outer)
    return value_at(found, inner) if inner else found
