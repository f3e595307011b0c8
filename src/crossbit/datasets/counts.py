"""Counts by which a download is known to be whole: what a data set is said to hold, and what was found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from crossbit.errors import CountsError

ALL = "all"


@dataclass
class Tally:
    """What was counted while a data set was read, by what it counts."""

    found: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, n: int) -> None:
        """Keep a count."""
        self.found[what] = int(n)


@dataclass(frozen=True)
class Count:
    """One count. expected: as the record says, or None where there is no record. allowed: whether it may differ.

    evidence: how the record is known, "" without one.
    """

    what: str
    expected: int | None
    found: int
    allowed: bool = False
    evidence: str = ""

    @property
    def differs(self) -> bool:
        """Whether it is not as the record says."""
        return self.expected is not None and self.expected != self.found


def check_counts(
    title: str,
    found: Mapping[str, int],
    expected: Mapping[str, int],
    allowed: Collection[str] = (),
    recalled: Collection[str] = (),
) -> tuple[Count, ...]:
    """Every count beside its record; those that differ must be allowed by name, or all by "all".

    recalled: counts whose record no file that was open to us confirms; a message says so.

    Raises CountsError naming every count that differs, with what is expected and what was found, and for
    an allowed name that is no count.
    """
    names = [*found, *(what for what in expected if what not in found)]
    unknown = sorted(set(allowed) - {*names, ALL})
    if unknown:
        raise CountsError(f"{title} has no count {', '.join(unknown)}; there are {', '.join(names)}, or {ALL}.")
    counts = tuple(
        Count(what, expected.get(what), found.get(what, 0), allowed=what in allowed or ALL in allowed) for what in names
    )
    wrong = [count for count in counts if count.differs and not count.allowed]
    if wrong:
        told = "; ".join(
            f"{count.what}: expected {count.expected:,}"
            f"{' (recalled, not confirmed)' * (count.what in recalled)}, found {count.found:,}"
            for count in wrong
        )
        raise CountsError(
            f"{title} is not what papers measure on: {told}. Restore the files that this counts, or allow it to "
            f"differ with --allow-counts {wrong[0].what!r} (repeatable; {ALL!r} for every count); the output then "
            "says so."
        )
    return counts
