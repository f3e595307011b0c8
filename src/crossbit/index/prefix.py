"""Coarse to fine: search the first bits of all codes, and rank what that finds by the whole codes."""

from __future__ import annotations

import numpy as np

from crossbit.codes import Codes
from crossbit.errors import SettingsError
from crossbit.index.protocol import Hits, check_at_least, check_codes
from crossbit.kernels import all_threads, nearest


class PrefixSearch:
    """A search of codes by their first bits, ranked again by all of them. Not exact: a hit may be missed.

    codes: (n, n_bits); code i has id i. They may be mapped from a file, of which only the candidates are then read.
    prefix_bits: how many of the first bits to search; they are copied into memory. Meant for methods that make the
    first bits a code of their own (KDCMH's `prefixes`). candidates: how many codes of each query are ranked again; more
    find more. threads: None for as many as there are processors.

    Raises WidthError for a prefix longer than the codes, SettingsError for other settings that make no sense.
    """

    def __init__(self, codes: Codes, prefix_bits: int, *, candidates: int = 1000, threads: int | None = None) -> None:
        self._codes = codes
        self._first = codes.prefix(prefix_bits)
        self._candidates = check_at_least("candidates", candidates, 1)
        self._threads = all_threads() if threads is None else check_at_least("threads", threads, 1)

    def search(self, queries: Codes, k: int) -> Hits:
        """About the k nearest of each query by the whole code, at their true distances, ties by lower id.

        Raises WidthError for another code length, SettingsError for k below 1 or more than there are candidates.
        """
        check_codes(queries, self._codes.n_bits, "queries")
        k = check_at_least("k", k, 1)
        if k > self._candidates:
            raise SettingsError(
                f"k = {k} hits cannot be taken from {self._candidates} candidates; ask for more of them."
            )
        first = queries.prefix(self._first.n_bits)
        rows, _ = nearest(first.packed, self._first.packed, self._candidates, threads=self._threads)
        k = min(k, rows.shape[1])
        ids, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.int32)
        for place, (query, some) in enumerate(zip(queries.packed, rows, strict=True)):
            own = np.sort(some)  # in this order ties go to the lower row
            found, far = nearest(query[None], self._codes.packed[own], k)
            ids[place], distances[place] = own[found[0]], far[0]
        return Hits(ids, distances)
