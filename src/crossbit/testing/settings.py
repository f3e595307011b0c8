"""Settings through a TOML file and back, as an experiment file keeps them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from crossbit.method import Method
from crossbit.methods import load_method


def settings_to_toml(settings: Mapping[str, Any]) -> str:
    """Plain settings as TOML: numbers, strings, truth values, lists and nested settings; None is left out."""
    given = {key: value for key, value in settings.items() if value is not None}
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items() if not isinstance(value, Mapping)]
    return "\n".join(lines) + "\n" + "".join(_table(key, given[key]) for key in given if key not in _plain(given))


def settings_from_toml(method_class: type[Method], text: str) -> Method:
    """The method of that class with the settings in the TOML text; nested methods are built by their name."""
    return method_class().with_settings({key: _value(value) for key, value in tomllib.loads(text).items()})


def _plain(settings: Mapping[str, Any]) -> set[str]:
    return {key for key, value in settings.items() if not isinstance(value, Mapping)}


def _table(name: str, settings: Mapping[str, Any]) -> str:
    given = {key: value for key, value in settings.items() if value is not None}
    lines = [f"[{name}]"] + [f"{key} = {json.dumps(given[key])}" for key in given if key in _plain(given)]
    nested = "".join(_table(f"{name}.{key}", given[key]) for key in given if key not in _plain(given))
    return "\n".join(lines) + "\n" + nested


def _value(value: Any) -> Any:
    if isinstance(value, Mapping) and "method" in value:
        settings = {key: _value(inner) for key, inner in value.items() if key != "method"}
        return load_method(value["method"])().with_settings(settings)
    return tuple(_value(inner) for inner in value) if isinstance(value, list) else value
