"""A method's settings as an experiment file, which `crossbit reproduce` runs and `crossbit fit --set @FILE` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from crossbit.errors import SettingsError
from crossbit.method import Method

PROTOCOLS = ("PALL", "P50")


def experiment_text(method: Method, data: str, *, ablation: str = "tuned", note: str = "") -> str:
    """The experiment file of a method on a data set, at its code length and with its seed.

    Only settings that depart from the method's defaults are written. Raises SettingsError for one that TOML has no
    word for (none, where the default is not none).
    """
    lines = [
        f"method = {json.dumps(method.name)}",
        f"data = {json.dumps(data)}",
        f"protocols = {json.dumps(list(PROTOCOLS))}",
        f"ablation = {json.dumps(ablation)}",
        *([f"note = {json.dumps(note)}"] if note else []),
        "",
        "[plan]",
        f"{method.n_bits} = [{method.seed}]",
    ]
    changed = {name: value for name, value in _changed(method).items() if name not in ("n_bits", "seed")}
    return "\n".join([*lines, *_table("settings", changed)]) + "\n"


def _changed(method: Method) -> dict[str, Any]:
    """The settings that depart from the defaults; of a method among them its name and its departures."""
    usual = type(method)()
    changed: dict[str, Any] = {}
    for name, value in method.settings().items():
        own, standing = getattr(method, name), getattr(usual, name)
        if own == standing:
            continue
        changed[name] = {"method": own.name, **_changed(own)} if isinstance(own, Method) else value
    return changed


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    missing = [key for key, value in values.items() if value is None]
    if missing:
        raise SettingsError(f"{name}.{missing[0]} is none, which an experiment file cannot say; leave it out.")
    plain = [f"{key} = {json.dumps(value)}" for key, value in values.items() if not isinstance(value, Mapping)]
    inner = [_table(f"{name}.{key}", value) for key, value in values.items() if isinstance(value, Mapping)]
    return ["", f"[{name}]", *plain, *(line for lines in inner for line in lines)]
