"""Exact search: every code is compared with every query."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, check_n_bits
from crossbit.errors import DataError
from crossbit.index.protocol import Hits, Ids, Where, check_at_least, check_codes, check_ids, kept_by, some_ids
from crossbit.kernels import Words, code_words, nearest, within


class ExactIndex:
    """An index that compares all codes, so that its hits are right by definition. See `Index`.

    n_bits: the code length, 1 to 4096. The codes stand in the order of their ids, packed, n_bits / 8 bytes each
    (rounded up to whole 64-bit words) and 8 bytes an id. Adding and removing copy the codes, so do both in batches.
    A search sees the index as it was when the search began, also while another thread changes it; only one thread
    may change it at a time.
    """

    def __init__(self, n_bits: int) -> None:
        check_n_bits(n_bits)
        self._n_bits = int(n_bits)
        # Both arrays are replaced together and never written to: this is what makes searches safe in threads.
        width = -(-self._n_bits // 64)
        self._rows: tuple[Ids, Words] = np.empty(0, np.int64), np.empty((0, width), np.uint64)

    @property
    def n_bits(self) -> int:
        """The code length of everything in it."""
        return self._n_bits

    def __len__(self) -> int:
        return len(self._rows[0])

    def add(self, codes: Codes, ids: NDArray[np.integer[Any]]) -> None:
        """Take in n codes under n ids; see `Index.add`."""
        check_codes(codes, self._n_bits, "codes")
        new = check_ids(ids, len(codes))
        held, words = self._rows
        known = np.intersect1d(held, new, assume_unique=True)
        if known.size:
            raise DataError(f"Ids that are in the index already: {some_ids(known)}. Remove them first.")
        held, words = np.concatenate([held, new]), np.concatenate([words, code_words(codes.packed)])
        if (held[1:] < held[:-1]).any():
            order = np.argsort(held, kind="stable")
            held, words = held[order], words[order]
        self._rows = held, words

    def remove(self, ids: NDArray[np.integer[Any]]) -> None:
        """Take out the codes of these ids; see `Index.remove`."""
        gone = check_ids(ids)
        held, words = self._rows
        unknown = np.setdiff1d(gone, held, assume_unique=True)
        if unknown.size:
            raise DataError(f"Ids that are not in the index: {some_ids(unknown)}. Nothing was removed.")
        kept = ~np.isin(held, gone, assume_unique=True)
        self._rows = held[kept], words[kept]

    def search(self, queries: Codes, k: int, *, where: Where | None = None) -> Hits:
        """The k nearest codes of each query, nearest first, ties by lower id; see `Index.search`."""
        check_codes(queries, self._n_bits, "queries")
        k = check_at_least("k", k, 1)
        ids, words = self._rows
        if where is not None:
            kept = kept_by(where, ids)
            ids, words = ids[kept], words[kept]
        words = _read_only(words)
        rows, distances = nearest(code_words(queries.packed), words, min(k, len(ids)), self._n_bits)
        return Hits(ids[rows], distances)

    def within(self, queries: Codes, radius: int) -> list[Hits]:
        """All codes within a Hamming radius, for each query Hits of one row; see `Index.within`."""
        check_codes(queries, self._n_bits, "queries")
        radius = min(check_at_least("radius", radius, 0), self._n_bits)
        ids, words = self._rows
        rows, distances, bounds = within(code_words(queries.packed), _read_only(words), radius)
        return [Hits(ids[rows[start:stop]][None], distances[start:stop][None]) for start, stop in pairwise(bounds)]


def _read_only(words: Words) -> Words:
    """The words as the compiled loops expect them: a read-only view, so that each loop is compiled only once."""
    view = words.view()
    view.flags.writeable = False
    return view
