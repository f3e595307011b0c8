"""A study: the settings that were tried, what each was judged at, and the file that it goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crossbit.errors import DataError, FileFormatError, SettingsError
from crossbit.evaluation import CodeProxies
from crossbit.files import write_whole
from crossbit.tuning.spaces import Value

VERSION = 1


@dataclass(frozen=True)
class Trial:
    """One fit of a study. number: 0 is the settings as they were; draws count from 1.

    values: the settings that were drawn, by name; empty for number 0. proxies: what the codes of the held-out pairs
    say, or None where the fit failed. seconds: of the fit. problem: why it failed, or "".
    """

    number: int
    values: Mapping[str, Value]
    proxies: CodeProxies | None
    seconds: float
    problem: str = ""

    def judged(self, proxy: str) -> float | None:
        """The figure that trials are compared by, greater is better; None for a fit that failed."""
        return None if self.proxies is None else self.proxies.judged()[proxy]

    def to_json(self) -> dict[str, Any]:
        """The trial as plain JSON values."""
        proxies = None if self.proxies is None else self.proxies.to_json()
        return {**asdict(self), "values": dict(self.values), "proxies": proxies}


@dataclass(frozen=True)
class Study:
    """What tuning did.

    about: what was asked for: method, settings, spaces, data, proxy, seed. trials: in their order.
    """

    about: Mapping[str, Any]
    trials: tuple[Trial, ...] = ()

    @property
    def proxy(self) -> str:
        """The name of the figure that trials are compared by."""
        return str(self.about["proxy"])

    @property
    def best(self) -> Trial:
        """The trial with the greatest figure, the first of equal ones; raises DataError where every fit failed."""
        judged = [(value, -trial.number) for trial in self.trials if (value := trial.judged(self.proxy)) is not None]
        if not judged:
            told = f"; the first one said: {self.trials[0].problem}" if self.trials else ""
            raise DataError(f"No fit of the study came to its end, so there is nothing to choose from{told}")
        return next(trial for trial in self.trials if trial.number == -max(judged)[1])

    def with_trial(self, trial: Trial) -> Study:
        """The study with one trial more."""
        return Study(self.about, (*self.trials, trial))

    def to_json(self) -> dict[str, Any]:
        """The study as plain JSON values."""
        return {"about": dict(self.about), "trials": [trial.to_json() for trial in self.trials]}

    def write(self, path: Path) -> None:
        """Write the study as JSON, whole or not at all."""
        content = {"format": "crossbit-study", "version": VERSION, **self.to_json()}
        write_whole(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_study(path: Path) -> Study:
    """Read a study; raises FileFormatError for a file that is not a whole study of this version."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if (values["format"], values["version"]) != ("crossbit-study", VERSION):
            raise ValueError(f"it is no study of version {VERSION}")
        trials = tuple(_trial(trial) for trial in values["trials"])
        if [trial.number for trial in trials] != list(range(len(trials))):
            raise ValueError("its trials are not in order")
        return Study({**values["about"], "proxy": values["about"]["proxy"]}, trials)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path} is not a whole study ({error}); delete it to begin again.") from error


def _trial(values: Mapping[str, Any]) -> Trial:
    proxies = values["proxies"]
    return Trial(
        number=int(values["number"]),
        values=dict(values["values"]),
        proxies=None if proxies is None else CodeProxies(**proxies),
        seconds=float(values["seconds"]),
        problem=str(values["problem"]),
    )


def begun(path: Path | None, about: Mapping[str, Any]) -> Study:
    """The study of a file, to go on with, or a new one; raises SettingsError where that file asked something else."""
    plain = json.loads(json.dumps(dict(about)))
    if path is None or not path.exists():
        return Study(plain)
    found = read_study(path)
    other = sorted(key for key in {*plain, *found.about} if plain.get(key) != found.about.get(key))
    if other:
        key = other[0]
        raise SettingsError(
            f"{path} is a study with another {' and another '.join(other)} (there {key} is {found.about.get(key)!r}, "
            f"here {plain.get(key)!r}); ask for the same to go on with it, or write to another place."
        )
    return found
