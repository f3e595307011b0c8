"""The least that a search must look at for a recall asked for, found on a sample of queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import SettingsError
from crossbit.kernels import nearest

_QUERIES = 500  # that the recall is measured on
_LISTED = 1 << 20  # rows whose numbers may all be listed in order to draw some of them


def check_recall(target_recall: float) -> None:
    """Raise SettingsError unless it is a share that can be asked for."""
    if not 0 < target_recall <= 1:
        raise SettingsError(f"target_recall is a share above 0 and up to 1; got {target_recall!r}.")


def some_rows(n: int, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """About `size` of n rows, ascending, each once, in memory that goes by `size` and not by n."""
    if size >= n:
        return np.arange(n)
    if n <= _LISTED:
        return np.sort(rng.choice(n, size, replace=False))
    return np.unique(rng.integers(0, n, size))  # what is drawn twice counts once: a few less, but n are never listed


@dataclass(frozen=True, eq=False)
class Sample:
    """queries: (s, bytes). k: for how many hits. exact: (s, k + own), the distances of the right ones, as far as there
    are so many codes. own: the queries are codes of the database.

    A code that is searched for finds itself at distance 0, which shows nothing: that hit is left out on both sides.
    """

    queries: NDArray[np.uint8]
    k: int
    exact: NDArray[np.int32]
    own: bool

    @classmethod
    def of(
        cls, packed: NDArray[np.uint8], queries: NDArray[np.uint8] | None, k: int, *, seed: int, threads: int
    ) -> Self:
        """A few hundred of the queries given, or of the codes themselves, with their right answers."""
        own = queries is None
        some = packed if queries is None else queries
        sample = np.ascontiguousarray(some[some_rows(len(some), _QUERIES, np.random.default_rng(seed))])
        k = min(k, max(len(packed) - own, 1))
        _, exact = nearest(sample, packed, min(k + own, len(packed)), threads=threads)
        return cls(sample, k, exact, own)

    @property
    def asked(self) -> int:
        """The number of hits to ask for, a query's own code counted."""
        return int(self.exact.shape[1])

    def recall(self, distances: NDArray[np.int32]) -> float:
        """The share of hits (s, k) as near as the exact k-th; a distance below 0 is no hit."""
        found = ((distances <= self.exact[:, -1:]) & (distances >= 0))[:, self.own :]
        return float(found.mean()) if found.size else 1.0  # a code that is alone has no neighbour to be missed


def fewest(recall: Callable[[int], float], target: float, most: int) -> tuple[int, float]:
    """The fewest, of powers of two and then halfway between them, that reach the target, and what they reach.

    recall: of looking at so many, 1 to `most`. Where not even `most` reaches the target it is `most`.
    """
    measured: dict[int, float] = {}

    def reached(number: int) -> float:
        measured[number] = recall(number)
        return measured[number]

    low, high = 0, 1
    while reached(high) < target and high < most:
        low, high = high, min(2 * high, most)
    while high - low > max(high // 8, 1):
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) >= target else (middle, high)
    return high, measured[high]
