"""Result files: what one job measured, with all that is needed to say what the numbers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crossbit.errors import FileFormatError
from crossbit.evaluation.protocol import with_data
from crossbit.files import write_whole
from crossbit.methods import METHODS, needs_labels

VERSION = 1


@dataclass(frozen=True)
class Result:
    """What one job measured.

    data, row, n_bits, seed: which job. scores: protocol preset -> {"protocol_id", "I2T", "T2I", "mean"}.
    expected: the digests that tell whether the result still holds (see `crossbit.experiment.state`).
    details: everything else: settings, monitors, cost, versions, machine, date.
    """

    data: str
    row: str
    n_bits: int
    seed: int
    scores: Mapping[str, Mapping[str, Any]]
    expected: Mapping[str, str]
    details: Mapping[str, Any]

    @property
    def supervised(self) -> bool:
        """Whether what was measured learned with labels. Older files do not say so; then the method's name tells."""
        if "supervised" in self.details:
            return bool(self.details["supervised"])
        method = str(self.details.get("method", self.row)).split("@")[0]
        return method in METHODS and needs_labels(method)

    def write(self, path: Path) -> None:
        """Write the result as JSON, whole or not at all."""
        content = {"format": "crossbit-result", "version": VERSION, **self.__dict__}
        write_whole(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_result(path: Path) -> Result:
    """Read one result; raises FileFormatError for a file that is not a whole result of this version."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if (values.pop("format"), values.pop("version")) != ("crossbit-result", VERSION):
            raise FileFormatError(f"{path} is not a result of version {VERSION}; delete it and measure again.")
        return _with_data(Result(**values))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path} is not a whole result file ({error}); delete it and measure again.") from error


def _with_data(result: Result) -> Result:
    """The result with the revision of its data in every protocol id, which older files name only once."""

    def named(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        data = result.expected.get("data", "")
        return {
            preset: {**score, "protocol_id": with_data(score["protocol_id"], data)} for preset, score in scores.items()
        }

    prefixes = {n: named(scores) for n, scores in result.details.get("prefixes", {}).items()}
    details = {**result.details, "prefixes": prefixes} if prefixes else result.details
    return replace(result, scores=named(result.scores), details=details)


def read_results(folder: Path) -> list[Result]:
    """All results of a folder and the folders in it, in a fixed order."""
    results = [read_result(path) for path in folder.rglob("*.json")]
    return sorted(results, key=lambda result: (result.data, result.row, result.n_bits, result.seed))
