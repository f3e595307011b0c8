"""Where the experiment files and the published numbers are, in a checkout and in an installed package alike.

They are kept under benchmarks/ of the repository; a wheel carries them inside the package.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import crossbit
from crossbit.errors import FileFormatError, SettingsError
from crossbit.experiment.plan import Experiment, read_experiment


def shipped_folder() -> Path:
    """The folder with experiments/, reproduce/ and published.toml; raises FileFormatError where there is none."""
    package = Path(crossbit.__file__).parent
    for folder in (package.parents[1] / "benchmarks", package / "experiment" / "files"):
        if (folder / "published.toml").is_file():
            return folder
    raise FileFormatError(f"{package} lacks its experiment files; install crossbit again.")


def experiment_paths(folder: Path | None = None) -> Mapping[str, Path]:
    """The experiment files by name: those of papers' tables on public data first, then those measured here."""
    start = folder or shipped_folder()
    places = [path for part in ("reproduce", "experiments", ".") for path in sorted((start / part).glob("*.toml"))]
    return {path.stem: path for path in reversed(places) if path.name != "published.toml"}


def experiment_named(name: str) -> Experiment:
    """The experiment of a name, or of a .toml file's path; raises SettingsError, naming near ones, for another."""
    if name.endswith(".toml"):
        return read_experiment(Path(name))
    known = experiment_paths()
    if name not in known:
        start = name.split("-")[0]
        near = [other for other in sorted(known) if other.startswith(start)] or sorted(known)
        raise SettingsError(
            f"There is no experiment {name!r}; there are {', '.join(near[:8])}{', ...' if len(near) > 8 else ''} "
            "(crossbit reproduce lists all)."
        )
    return read_experiment(known[name])


@dataclass(frozen=True)
class Published:
    """A row of numbers from the literature.

    method, data: whose and on what. protocol: its rules as the source says them. bits: the code lengths. i2t, t2i: mAP
    at these, 0 to 1. source: where it was read. evidence: "paper" where that is the method's own text or release,
    "quoted" where it is another paper's table, "recalled" where no text confirms it.
    """

    method: str
    data: str
    protocol: str
    bits: tuple[int, ...]
    i2t: tuple[float, ...]
    t2i: tuple[float, ...]
    source: str
    evidence: str

    def at(self, n_bits: int) -> tuple[float, float] | None:
        """Both directions at a code length, or None where the source has none."""
        place = self.bits.index(n_bits) if n_bits in self.bits else -1
        return None if place < 0 else (self.i2t[place], self.t2i[place])


def read_published(path: Path | None = None) -> tuple[Published, ...]:
    """All published numbers; raises FileFormatError for a file that does not hold whole rows."""
    path = path or shipped_folder() / "published.toml"
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8"))["row"]
        return tuple(_published(row) for row in rows)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} is no whole file of published numbers ({error}).") from error


def _published(row: Mapping[str, Any]) -> Published:
    bits, i2t, t2i = (tuple(row[key]) for key in ("bits", "I2T", "T2I"))
    if not len(bits) == len(i2t) == len(t2i):
        raise ValueError(f"{row['method']}: {len(bits)} code lengths need as many numbers of each direction")
    texts = {key: str(row[key]) for key in ("method", "data", "protocol", "source", "evidence")}
    return Published(bits=bits, i2t=i2t, t2i=t2i, **texts)
