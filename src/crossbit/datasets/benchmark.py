"""What a public data set is to crossbit: where it comes from, how it is read, and the record it is checked against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from crossbit.datasets.counts import Tally
from crossbit.datasets.drawing import SplitRule
from crossbit.datasets.originals import Originals
from crossbit.pairs import Labels, Rows

Evidence = Literal["code", "readme", "page", "recalled"]


@dataclass(frozen=True)
class BenchmarkItem:
    """One pair. id: its name, different from all others. image: its picture's path below the folder, "" for none.

    captions: its texts. tags: single words; of these the bag of words is made where there is a vocabulary.
    """

    id: str
    image: str = ""
    captions: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class NamedSplit:
    """The rows of a split that a data set ships or that is drawn. told: by which rule. sizes: what it should give."""

    train: Rows
    query: Rows
    database: Rows
    told: str


@dataclass(frozen=True, eq=False)
class BenchmarkItems:
    """A data set as read from its files: n pairs and what belongs to them, in the order of the files.

    labels: (n, c) bool with their names, or None. coarse: a coarser labelling with its names. words: the named
    vocabulary, with which text (n, d) is a sparse matrix of 0 and 1. max_words: without one, the size of the
    vocabulary that is fitted on the train captions of a split. splits: those that the data set ships. image_features,
    text_features: rows that it ships. pixels: pictures that lie in an array, (height, width, 3) each, in the order of
    the items; they become files.
    """

    items: tuple[BenchmarkItem, ...]
    labels: Labels | None = None
    label_names: tuple[str, ...] = ()
    coarse: Labels | None = None
    coarse_names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    text: scipy.sparse.csr_matrix | None = None
    max_words: int = 0
    splits: Mapping[str, NamedSplit] = field(default_factory=dict)
    image_features: NDArray[np.float32] | None = None
    text_features: NDArray[np.float32] | None = None
    pixels: Iterable[NDArray[np.uint8]] | None = None

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Record:
    """What a data set is known to hold, and how it is split.

    counts: by what they count. recalled: those counts that no file open to us confirms. splits: rules by name, the
    first is the usual one. used_by: which papers use a split. evidence: how a count is known where that is not code
    that others ran on the real files; where_noted: counts that only some layouts of the files give, checked where the
    reader noted them.
    """

    counts: Mapping[str, int]
    splits: Mapping[str, SplitRule] = field(default_factory=dict)
    recalled: tuple[str, ...] = ()
    used_by: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    where_noted: Mapping[str, int] = field(default_factory=dict)

    def evidence_of(self, what: str) -> Evidence:
        """How a count is known: "code" that others ran on the real files, a "readme", a "page", or "recalled"."""
        return "recalled" if what in self.recalled else self.evidence.get(what, "code")


Reader = Callable[[Originals, str, Tally, bool], BenchmarkItems]
"""Reads a data set: its files, the variant's name, where counts go, and whether pictures must be there."""


@dataclass(frozen=True)
class Benchmark:
    """A public data set. name: as in commands. page: its official page. files: what is read, for a person.

    variants: by name what each is; the first is the usual one. records: what each variant must hold.
    """

    name: str
    title: str
    page: str
    files: tuple[str, ...]
    variants: Mapping[str, str]
    records: Mapping[str, Record]
    read: Reader
    licence: str = ""


def multi_hot(rows: NDArray[np.int64], columns: NDArray[np.int64], n: int, width: int) -> scipy.sparse.csr_matrix:
    """A sparse (n, width) matrix with a 1 at each place given, also where it is given twice."""
    matrix = scipy.sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(n, width))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
