"""How long work tells what it is doing: a callback that gets small records. Methods print nothing themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """One step of long work. stage: what is being done. done, total: how far, in the stage's unit.

    terms: named figures of this step, such as loss terms.
    """

    stage: str
    done: int
    total: int
    terms: Mapping[str, float] = field(default_factory=dict)


Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """The progress of those who do not want any."""
