"""Settings of a method from the command line: name=value, each read as the type its field has."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union

from crossbit.errors import SettingsError
from crossbit.method import Method
from crossbit.methods import METHODS, load_method


def method_with(name: str, assignments: Sequence[str], *, n_bits: int, seed: int) -> Method:
    """The method of a name with its code length, seed and settings given as "name=value".

    A dot reaches into a setting that is a method: "teacher.epochs=10"; "teacher=djsrh" chooses another one. "@FILE"
    stands for the settings of an experiment file of the same method. Settings are applied in the order given. Raises
    SettingsError for what does not fit, saying what was expected.
    """
    method = load_method(name)().with_settings({"n_bits": n_bits, "seed": seed})
    for assignment in assignments:
        if assignment.startswith("@"):
            method = _as_in_file(method, Path(assignment[1:]))
            continue
        path, sign, text = assignment.partition("=")
        if not sign or not path.strip():
            raise SettingsError(f"A setting is given as name=value, such as --set epochs=20; got {assignment!r}.")
        if path.strip() in ("n_bits", "seed"):
            option = {"n_bits": "--bits", "seed": "--seed"}[path.strip()]
            raise SettingsError(f"The setting {path.strip()} has an option of its own: say {option} {text}.")
        method = _changed(method, path.strip().split("."), text.strip())
    return method


def _as_in_file(method: Method, path: Path) -> Method:
    from crossbit.experiment.plan import build_method, read_experiment

    experiment = read_experiment(path)
    if experiment.method != method.name:
        raise SettingsError(
            f"{path} holds settings of {experiment.method}, not of {method.name}; say --method {experiment.method}."
        )
    built = build_method(experiment.method, experiment.settings)
    return method.with_settings({name: getattr(built, name) for name in experiment.settings})


def _changed(method: Method, path: Sequence[str], text: str) -> Method:
    name, *rest = path
    hints = typing.get_type_hints(type(method))
    fields = {field.name for field in dataclasses.fields(method)}
    if name not in fields:
        return method.with_settings({name: text})  # raises, listing the settings there are
    if not rest:
        return method.with_settings({name: parse(text, hints[name], f"{method.name}'s setting {name}")})
    inner = getattr(method, name)
    if not isinstance(inner, Method):
        raise SettingsError(f"{method.name}'s setting {name} is no method, so it has no {'.'.join(rest)}.")
    return method.with_settings({name: _changed(inner, rest, text)})


def parse(text: str, kind: Any, what: str) -> Any:
    """The text as a value of a field's type; raises SettingsError saying what was expected and what was given."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        chosen = [part for part in parts if str(part) == text]
        if not chosen:
            raise SettingsError(f"{what} is one of {', '.join(map(str, parts))}; got {text!r}.")
        return chosen[0]
    if origin in (Union, types.UnionType):
        return _one_of(text, parts, what)
    if origin is tuple:
        texts = [part.strip() for part in text.split(",") if part.strip()]
        kinds = [parts[0]] * len(texts) if parts[-1] is Ellipsis else list(parts)
        if len(kinds) != len(texts):
            raise SettingsError(f"{what} takes {len(kinds)} values parted by commas; got {text!r}.")
        return tuple(parse(part, kind, what) for part, kind in zip(texts, kinds, strict=True))
    if isinstance(kind, type) and issubclass(kind, Method):
        if text not in METHODS:
            raise SettingsError(f"{what} is a method, one of {', '.join(METHODS)}; got {text!r}.")
        return load_method(text)()
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise SettingsError(f"{what} is true or false; got {text!r}.")
        return text.lower() == "true"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise SettingsError(f"{what} is {wanted}; got {text!r}.") from None
    if kind is str:
        return text
    raise SettingsError(f"{what} cannot be given on the command line; set it from Python.")


def _one_of(text: str, kinds: Sequence[Any], what: str) -> Any:
    if type(None) in kinds and text.lower() == "none":
        return None
    problems: list[str] = []
    for kind in (kind for kind in kinds if kind is not type(None)):
        try:
            return parse(text, kind, what)
        except SettingsError as error:
            problems.append(str(error))
    raise SettingsError(problems[0])
