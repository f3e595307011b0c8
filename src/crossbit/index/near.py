"""Small radii: what lies within one is looked up in tables of parts of the codes, where that costs less than a scan."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossbit.kernels import within
from crossbit.kernels.flips import MOST_FLIPS, flips_for, part_edges
from crossbit.kernels.search import as_bytes, flags_of, in_order_of, over_blocks

if TYPE_CHECKING:
    from crossbit.kernels.parts import PartTables

Found = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]

# Seconds on one thread, from benchmarks/speed/radius.py. Only their ratios matter, and those move little.
_SCAN_BYTE = 1e-11  # to compare a byte of a code with one query of several
_SCAN_ONCE = 17  # queries that turning the codes over costs as much as
_CANDIDATE = 45e-9  # to compare a code that a look-up came to
_FLIP = 60e-9  # to look one part up
_BUILD = 60e-9  # to put a part of a code into its table
_FIRST = 0.25  # to load the machine code

_LONGEST = (1 << 31) - 1  # rows that a table can number


class NearTables:
    """The tables of one segment's codes: none at first, made when scans have cost as much as making them would.

    That way never more than about twice the least possible is spent, whatever is asked for later. Safe in threads.
    """

    def __init__(self) -> None:
        self._tables: PartTables | None = None
        self._spent = 0.0
        self._lock = threading.Lock()

    def within(
        self, queries: NDArray[np.uint8], packed: NDArray[np.uint8], radius: int, *, kept: Any, threads: int
    ) -> Found:
        """As `crossbit.kernels.within`, by the tables or by a scan, whichever the estimate says is cheaper."""
        cost = _Cost(len(packed), packed.shape[1], radius)
        if not cost.worth_a_try(len(queries)):
            return within(queries, packed, radius, kept=kept, threads=threads)
        if self._tables is None:
            self._spend(cost, len(queries), packed)
        if self._tables is None:
            return within(queries, packed, radius, kept=kept, threads=threads)
        candidates = self._tables.count(as_bytes(queries), radius)
        scanned = cost.better_scanned(candidates)
        if scanned.all():
            return within(queries, packed, radius, kept=kept, threads=threads)
        found = _looked_up(self._tables, np.flatnonzero(~scanned), queries, packed, radius, kept, candidates, threads)
        if scanned.any():
            numbers = np.flatnonzero(scanned)
            rows, distances, bounds = within(queries[numbers], packed, radius, kept=kept, threads=threads)
            found.append((np.repeat(numbers, np.diff(bounds)), rows, distances))
        return in_order_of(found, len(queries))

    def _spend(self, cost: _Cost, n_queries: int, packed: NDArray[np.uint8]) -> None:
        """Count in what a scan costs now, and make the tables once that is enough."""
        if not self._lock.acquire(blocking=False):  # another thread makes them: this search need not wait
            return
        try:
            self._spent += cost.scan(n_queries)
            if self._tables is None and self._spent > cost.build():
                from crossbit.kernels.parts import PartTables  # noqa: PLC0415 - brings the compiler, slow to import

                self._tables = PartTables.of(as_bytes(packed))
        finally:
            self._lock.release()


@dataclass(frozen=True)
class _Cost:
    """Estimates for n codes of n_bytes bytes and a radius, in seconds on one thread."""

    n: int
    n_bytes: int
    radius: int

    def scan(self, n_queries: int) -> float:
        return (n_queries + _SCAN_ONCE) * self._one_query() if n_queries else 0.0

    def build(self) -> float:
        return _FIRST + _BUILD * self.n * len(self._widths())

    def worth_a_try(self, n_queries: int) -> bool:
        """Whether a look-up could be cheaper, taking the codes to be as spread out as can be."""
        if not 0 < self.n <= _LONGEST or self.radius >= (MOST_FLIPS + 1) * len(self._widths()) or not n_queries:
            return False
        widths, flips = self._widths(), self._flips()
        candidates = sum(self.n * many / 2.0 ** (8 * width) for width, many in zip(widths, flips, strict=True))
        return n_queries * (_FLIP * sum(flips) + _CANDIDATE * candidates) < self.scan(n_queries)

    def better_scanned(self, candidates: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which queries to scan for, all looked up being one way: turning the codes over for a few may not pay."""
        looked_up = _FLIP * sum(self._flips()) + _CANDIDATE * candidates
        dear = looked_up > self._one_query()
        saved = (looked_up[dear] - self._one_query()).sum()
        return dear if saved > _SCAN_ONCE * self._one_query() else np.zeros_like(dear)

    def _one_query(self) -> float:
        return _SCAN_BYTE * self.n * self.n_bytes

    def _widths(self) -> list[int]:
        return [int(width) for width in np.diff(part_edges(self.n_bytes))]

    def _flips(self) -> list[int]:
        return [int(many) for many in np.diff(flips_for(self.n_bytes, self.radius)[1])]


def _looked_up(
    tables: PartTables,
    numbers: NDArray[np.int64],
    queries: NDArray[np.uint8],
    packed: NDArray[np.uint8],
    radius: int,
    kept: Any,
    candidates: NDArray[np.int64],
    threads: int,
) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]]:
    """Query numbers, rows and distances of some of the queries, by the tables."""
    asked, codes, flags = as_bytes(queries[numbers]), as_bytes(packed), flags_of(kept)

    def part(some: slice, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        own, rows, distances = tables.find(asked[some], codes, flags, radius)
        return numbers[own + some.start], rows, distances

    # Told of as many rows as would take a scan as long, at most one piece of them: threads share out queries alone.
    as_rows = min(int(candidates[numbers].mean() * _CANDIDATE / _SCAN_BYTE / packed.shape[1]) + 1, 1 << 18)
    return [one for block in over_blocks(part, len(numbers), as_rows, threads) for one in block]
