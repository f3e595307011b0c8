"""Where settings are looked for, from the command line: name=low..high or name=a,b,c."""

from __future__ import annotations

import typing
from collections.abc import Sequence

from crossbit.cli.settings import parse
from crossbit.errors import SettingsError
from crossbit.method import Method
from crossbit.tuning.spaces import Choice, Range, Space, value_at

_WIDE = 10  # a range whose ends are so many times apart is tried by its logarithm


def spaces_given(method: Method, texts: Sequence[str]) -> dict[str, Space] | None:
    """The spaces of "name=low..high" and "name=a,b,c", each value read as its field's type; None for no texts.

    Whole numbers stay whole where the field takes whole ones. A range from above 0 to ten times its start or more is
    tried by its logarithm. Raises SettingsError for what does not fit, saying what was expected.
    """
    spaces: dict[str, Space] = {}
    for text in texts:
        name, sign, values = (part.strip() for part in text.partition("="))
        if not sign or not name or not values:
            raise SettingsError(f"A space is given as name=low..high or name=a,b,c; got {text!r}.")
        if name in spaces:
            raise SettingsError(f"The space of {name} is given twice; give all its values in one --space.")
        spaces[name] = _space(method, name, values)
    return spaces or None


def _space(method: Method, name: str, values: str) -> Space:
    owner, _, last = name.rpartition(".")
    part = _part(method, owner, name)
    kind = typing.get_type_hints(type(part)).get(last)
    if kind is None or not hasattr(part, last):
        part.with_settings({last: None})  # raises, listing the settings there are
    what = f"{part.name}'s setting {last}"
    if isinstance(getattr(part, last), Method | tuple):
        raise SettingsError(f"{what} is no single value, so it cannot be looked for; choose it with --set.")
    low, dots, high = values.partition("..")
    if not dots:
        return Choice(tuple(parse(value.strip(), kind, what) for value in values.split(",")))
    ends = [parse(end.strip(), kind, what) for end in (low, high)]
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in ends):
        raise SettingsError(f"{what} takes no numbers, so it has no range; give its values as {last}=a,b,c.")
    return Range(ends[0], ends[1], log=0 < _WIDE * ends[0] <= ends[1], whole=all(isinstance(end, int) for end in ends))


def _part(method: Method, owner: str, name: str) -> Method:
    if not owner:
        return method
    part = value_at(method, owner) if hasattr(method, owner.split(".")[0]) else None
    if not isinstance(part, Method):
        raise SettingsError(f"{method.name}'s setting {owner} is no method, so there is no {name}.")
    return part
