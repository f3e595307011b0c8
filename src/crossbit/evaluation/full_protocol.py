"""All that decides a score as one value, and the rule that only scores under one id stand in one column."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossbit.errors import FileFormatError, MismatchError
from crossbit.evaluation.protocol import EvaluationProtocol
from crossbit.files import write_whole

FORMAT, VERSION = "crossbit-protocol", 1


@dataclass(frozen=True)
class FullProtocol:
    """All that decides a score but the codes themselves.

    rules: cutoff, divisor, ties, and queries with nothing relevant. split: the split's id. relevance: the rule by
    which items are relevant, with a hash of the labels. data: the revision of the data, the fingerprint of its
    features; "" where only codes are known.
    """

    rules: EvaluationProtocol
    split: str
    relevance: str
    data: str = ""

    @property
    def id(self) -> str:
        """The protocol id that is printed beside every number."""
        return self.rules.id(self.split, self.relevance, self.data)

    def parts(self) -> dict[str, str | int | None]:
        """Every part by its name: what the id is a hash of."""
        return {"data": self.data, "split": self.split, "relevance": self.relevance, **self.rules.rules()}

    def differences(self, other: FullProtocol) -> list[str]:
        """Where two protocols differ, in words."""
        own, others = self.parts(), other.parts()
        return [f"{name} {_told(own[name])} and {_told(others[name])}" for name in own if own[name] != others[name]]

    def write(self, path: Path) -> None:
        """Write the protocol as JSON, whole or not at all: what is published beside a number."""
        content = {"format": FORMAT, "version": VERSION, "id": self.id, "name": self.rules.name, **self.parts()}
        write_whole(path, (json.dumps(content, indent=1) + "\n").encode())


def read_protocol(path: Path) -> FullProtocol:
    """A protocol from its file; raises FileFormatError for one that is damaged or whose parts do not give its id."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (FORMAT, VERSION):
            raise FileFormatError(f"{path} is no protocol of version {VERSION}; look for one that crossbit wrote.")
        names = ("name", "cutoff", "divide_by", "ties", "without_relevant")
        rules = EvaluationProtocol(**{name: content[name] for name in names})
        read = FullProtocol(rules, content["split"], content["relevance"], content["data"])
        if read.id != content["id"]:
            raise FileFormatError(f"{path} says {content['id']}, but its parts give {read.id}; it was altered.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path} is no whole protocol file ({error}); restore a copy.") from error
    return read


def one_protocol(named: Mapping[str, FullProtocol | str]) -> str:
    """The one protocol id of scores that are to stand side by side, given by what each is called.

    Raises MismatchError if there are two, saying whose they are and, for whole protocols, where they differ; and
    for no scores at all.
    """
    found: dict[str, str] = {}
    for name, protocol in named.items():
        found.setdefault(protocol if isinstance(protocol, str) else protocol.id, name)
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise MismatchError("There are no scores to stand side by side; give one or more.")
    told = ", ".join(f"{key} ({name})" for key, name in found.items())
    first, *others = (named[name] for name in found.values())
    apart = [
        one for other in others if isinstance(first, FullProtocol) and isinstance(other, FullProtocol)
        for one in first.differences(other)
    ]  # fmt: skip
    where = f" They differ in {'; '.join(dict.fromkeys(apart))}." if apart else ""
    raise MismatchError(f"Results under {len(found)} protocol ids cannot share a column: {told}.{where} Measure again.")


def _told(value: str | int | None) -> str:
    return "none" if value in (None, "") else str(value)
