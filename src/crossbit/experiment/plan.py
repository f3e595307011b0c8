"""Experiment files: which method on which data, under which protocols, at which code lengths and seeds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossbit.errors import FileFormatError, SettingsError
from crossbit.evaluation import PAIR_PROTOCOLS, PROTOCOLS
from crossbit.experiment.references import REFERENCES
from crossbit.method import Method
from crossbit.methods import METHODS, load_method

_KEYS = {"method", "data", "protocols", "plan", "settings", "ablation", "of", "note"}


@dataclass(frozen=True)
class Job:
    """One fit and its evaluation: an experiment at one code length with one seed."""

    experiment: Experiment
    n_bits: int
    seed: int

    @property
    def name(self) -> str:
        """What it is called on the command line and, with .json, where its result stands."""
        return f"{self.experiment.data}/{self.experiment.row}/{self.n_bits}-{self.seed}"

    def result_path(self, results: Path) -> Path:
        """Where the result stands within the folder of results."""
        return results / f"{self.name}.json"

    def method(self) -> Method | None:
        """The method with all its settings, this code length and this seed; None for a reference without codes."""
        if self.experiment.is_reference:
            return None
        settings = {**self.experiment.settings, "n_bits": self.n_bits, "seed": self.seed}
        return build_method(self.experiment.method, settings)


@dataclass(frozen=True)
class Experiment:
    """One experiment file.

    method: a name from METHODS, or from REFERENCES (random ranking, un-hashed retrieval; these have no code length
    and stand at 0 bits). data: a data set's name. protocols: presets by name. plan: code length -> seeds.
    settings: where the method's settings depart from its defaults. ablation: what this variant is called, "" for the
    method itself. of: the method beside which an ablation stands, where that is another than `method`. note: a
    sentence for the tables.
    """

    method: str
    data: str
    protocols: tuple[str, ...]
    plan: Mapping[int, tuple[int, ...]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    ablation: str = ""
    of: str = ""
    note: str = ""

    @property
    def row(self) -> str:
        """The row of a table that the results belong to: the method, or method@ablation."""
        return f"{self.of or self.method}@{self.ablation}" if self.ablation else self.method

    @property
    def is_reference(self) -> bool:
        """True for random ranking and un-hashed retrieval, which no method fits."""
        return self.method in REFERENCES

    def jobs(self) -> list[Job]:
        """Every code length with each of its seeds."""
        return [Job(self, n_bits, seed) for n_bits, seeds in self.plan.items() for seed in seeds]


def read_experiments(folder: Path) -> list[Experiment]:
    """All experiment files of a folder, by file name.

    Raises FileFormatError or SettingsError naming the file, and FileFormatError when two files claim one result.
    """
    experiments: dict[str, tuple[Path, Experiment]] = {}
    for path in sorted(folder.glob("*.toml")):
        experiment = read_experiment(path)
        key = f"{experiment.data}/{experiment.row}"
        if key in experiments:
            raise FileFormatError(f"{path} and {experiments[key][0]} both are the experiment {key}; keep one.")
        experiments[key] = (path, experiment)
    return [experiment for _, experiment in experiments.values()]


def read_experiment(path: Path) -> Experiment:
    """Read and check one experiment file.

    Raises FileFormatError for a file that is not TOML or whose keys are missing, unknown or of another type, and
    SettingsError for a method that does not exist. Settings are checked when a job's method is built.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileFormatError(f"{path} cannot be read as an experiment file: {error}.") from error
    unknown, missing = sorted(set(values) - _KEYS), sorted({"method", "data", "protocols", "plan"} - set(values))
    if unknown or missing:
        wrong = [f"unknown: {', '.join(unknown)}"] * bool(unknown) + [f"missing: {', '.join(missing)}"] * bool(missing)
        raise FileFormatError(f"{path} has keys that do not fit ({'; '.join(wrong)}); see docs/results.md.")
    if values["method"] not in METHODS and values["method"] not in REFERENCES:
        known = ", ".join([*METHODS, *REFERENCES])
        raise SettingsError(f"{path} names the method {values['method']!r}; there are {known}.")
    if values.get("of") and not values.get("ablation"):
        raise FileFormatError(f"{path} says of = {values['of']!r} without an ablation; name the ablation too.")
    texts = ("data", "ablation", "of", "note")
    if not all(isinstance(values.get(key, ""), str) for key in texts) or not isinstance(
        values.get("settings", {}), dict
    ):
        raise FileFormatError(f"{path}: {', '.join(texts)} must be texts and settings a table.")
    if not _is_list_of(values["protocols"], str) or not set(values["protocols"]) <= {*PROTOCOLS, *PAIR_PROTOCOLS}:
        known = ", ".join([*PROTOCOLS, *PAIR_PROTOCOLS])
        raise FileFormatError(f"{path}: protocols must be a list of presets; there are {known}.")
    if values["method"] in REFERENCES and not set(values["protocols"]) <= set(PROTOCOLS):
        raise SettingsError(
            f"{path}: {values['method']} is scored by labels; its protocols are of {', '.join(PROTOCOLS)}."
        )
    plain = {key: value for key, value in values.items() if key not in ("plan", "protocols")}
    return Experiment(**plain, protocols=tuple(values["protocols"]), plan=_plan(path, values["plan"]))


def _plan(path: Path, plan: Any) -> dict[int, tuple[int, ...]]:
    if not isinstance(plan, dict) or not plan:
        raise FileFormatError(f"{path}: plan must be a table of code lengths and their seeds, such as 64 = [0, 1, 2].")
    checked = {}
    for n_bits, seeds in plan.items():
        if not n_bits.isdecimal() or not _is_list_of(seeds, int):
            raise FileFormatError(f"{path}: the plan's {n_bits} = {seeds!r} is not a code length and a list of seeds.")
        checked[int(n_bits)] = tuple(seeds)
    return checked


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(type(item) is kind for item in value)


def build_method(name: str, settings: Mapping[str, Any]) -> Method:
    """The method of a name with settings as they stand in a file.

    A table with a key "method" becomes that method (a teacher); a list becomes a tuple. Raises SettingsError for a
    name or a setting that does not exist.
    """
    return load_method(name)().with_settings({key: _value(value) for key, value in settings.items()})


def _value(value: Any) -> Any:
    if isinstance(value, Mapping) and "method" in value:
        return build_method(value["method"], {key: item for key, item in value.items() if key != "method"})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_value(item) for item in value)
    return value
