"""The splits of the literature as rules: how queries and train pairs are drawn, by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import SplitError
from crossbit.pairs import Labels, Rows, Split


class SplitRule(Protocol):
    """How a split is drawn."""

    @property
    def told(self) -> str:
        """The rule in words."""
        ...

    @property
    def sizes(self) -> tuple[int, int] | None:
        """How many queries and train pairs there must be; None for a rule that fits any number of pairs."""
        ...

    def draw(self, n: int, labels: Labels | None, seed: int) -> Split:
        """The split of n pairs; raises SplitError where there are too few."""
        ...


@dataclass(frozen=True)
class RandomSplit:
    """Queries at random; train at random among the others, which are the database."""

    query: int
    train: int

    @property
    def told(self) -> str:
        """The rule in words."""
        return f"{self.query:,} random queries, {self.train:,} random train pairs of the others, which are the database"

    @property
    def sizes(self) -> tuple[int, int]:
        """Queries and train pairs."""
        return self.query, self.train

    def draw(self, n: int, labels: Labels | None, seed: int) -> Split:
        """The split of n pairs, by seed; labels are not looked at."""
        _enough(n, self.query + self.train)
        order = np.random.default_rng(seed).permutation(n)
        return _split(n, order[: self.query], order[self.query : self.query + self.train])


@dataclass(frozen=True)
class ClassSplit:
    """Queries and train pairs picked class by class, so that labels shape the split, as DJSRH's family does it.

    query, train: how many of each class, among those not picked before; the first class may have numbers of its own.
    total_train: train is filled up to so many at random. scarce_first: begin with the class of fewest pairs instead
    of the first column. A rare class gives fewer than asked for, and the split is then smaller than `sizes`.
    """

    query: int
    train: int
    classes: int
    first: tuple[int, int] | None = None
    total_train: int = 0
    scarce_first: bool = False

    @property
    def told(self) -> str:
        """The rule in words."""
        first = f"{self.first[0]} queries and {self.first[1]} train pairs of the first class, " if self.first else ""
        order = "classes of few pairs first" if self.scarce_first else "classes in the order of their columns"
        return f"{first}{self.query} and {self.train} of each other class, {order}; the rest is the database"

    @property
    def sizes(self) -> tuple[int, int]:
        """Queries and train pairs, where no class is too rare."""
        first = self.first or (self.query, self.train)
        others = self.classes - 1
        return first[0] + self.query * others, max(self.total_train, first[1] + self.train * others)

    def draw(self, n: int, labels: Labels | None, seed: int) -> Split:
        """The split of n pairs by their labels (n, c) and a seed."""
        if labels is None:
            raise SplitError("A split by classes needs labels, and there are none.")
        _enough(n, sum(self.sizes))
        rng = np.random.default_rng(seed)
        free = np.ones(n, dtype=np.bool_)
        query: list[Rows] = []
        train: list[Rows] = []
        columns: Sequence[int] = range(labels.shape[1])
        if self.scarce_first:
            columns = np.argsort(labels.sum(axis=0), kind="stable").tolist()
        for place, column in enumerate(columns):
            wanted = self.first if place == 0 and self.first else (self.query, self.train)
            rows = rng.permutation(np.flatnonzero(labels[:, column] & free))[: sum(wanted)]
            query.append(rows[: wanted[0]])
            train.append(rows[wanted[0] :])
            free[rows] = False
        missing = self.total_train - sum(len(rows) for rows in train)
        if missing > 0:
            train.append(rng.permutation(np.flatnonzero(free))[:missing])
        return _split(n, np.concatenate(query), np.concatenate(train))


@dataclass(frozen=True)
class OrderSplit:
    """The first pairs of the file are queries, the next are train and database; nothing is drawn."""

    query: int
    train: int

    @property
    def told(self) -> str:
        """The rule in words."""
        return f"the first {self.query:,} pairs are queries, the next {self.train:,} are train and database"

    @property
    def sizes(self) -> tuple[int, int]:
        """Queries and train pairs."""
        return self.query, self.train

    def draw(self, n: int, labels: Labels | None, seed: int) -> Split:
        """The split of n pairs in their order."""
        _enough(n, self.query + self.train)
        train = np.arange(self.query, self.query + self.train)
        return Split(train=train, query=np.arange(self.query), database=train)


@dataclass(frozen=True)
class ShareSplit:
    """A tenth of the pairs are queries, and no more than `most`; the others are train and database.

    last: the last pairs of the file, as UCCH takes feature files, and not random ones.
    """

    most: int
    last: bool = False

    @property
    def told(self) -> str:
        """The rule in words."""
        which = "the last" if self.last else "random"
        return f"a tenth of the pairs, {self.most:,} at most, {which} ones, are queries; the others train and database"

    @property
    def sizes(self) -> None:
        """It fits any number of pairs."""
        return

    def draw(self, n: int, labels: Labels | None, seed: int) -> Split:
        """The split of n pairs, by seed unless it is the last ones."""
        _enough(n, 2)
        n_query = min(max(1, n // 10), self.most)
        order = np.arange(n)[::-1] if self.last else np.random.default_rng(seed).permutation(n)
        return _split(n, order[:n_query], order[n_query:])


def _split(n: int, query: NDArray[np.int64], train: NDArray[np.int64]) -> Split:
    return Split(train=np.sort(train), query=np.sort(query), database=np.setdiff1d(np.arange(n), query))


def _enough(n: int, needed: int) -> None:
    if n < needed:
        raise SplitError(f"{needed:,} pairs are needed for its queries and train pairs; there are {n:,}")
