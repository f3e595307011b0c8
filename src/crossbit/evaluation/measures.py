"""Measures beside mAP, from the same counts: precision@N, the precision-recall curve, lookup, recall of the pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import DataError, WidthError
from crossbit.kernels import Counts, code_words, count_nearer


def precision_at(found: Counts, relevant: Counts, n: int) -> NDArray[np.float64]:
    """The expected precision among the first n items, ties in random order, (q,).

    found, relevant: (q, groups) counts of tied items, best group first. Of the group in which place n falls, the
    mean share is counted. n is divided by, also where there are fewer items.
    """
    before = np.cumsum(found, axis=1) - found
    let_in = np.clip(n - before, 0, found)
    return np.asarray((relevant * (let_in / np.maximum(found, 1))).sum(axis=1) / n, dtype=np.float64)


def precision_within(found: Counts, relevant: Counts, radius: int) -> NDArray[np.float64]:
    """The precision among the items within a Hamming radius of each query, (q,); 0 where there are none."""
    inside = found[:, : radius + 1].sum(axis=1)
    return np.asarray(relevant[:, : radius + 1].sum(axis=1) / np.maximum(inside, 1), dtype=np.float64)


def precision_recall(found: Counts, relevant: Counts) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The precision-recall curve by Hamming radius: precision and recall within radius 0 to n_bits.

    found, relevant: (n_bits + 1,) counts per distance, added up over all queries, so that every returned item weighs
    the same (Liu et al., the `calcPreRecRadius` of the hashing literature). Precision is NaN within a radius that
    holds nothing; recall is 0 where nothing is relevant at all.
    """
    inside, hits = np.cumsum(found), np.cumsum(relevant)
    precision = np.where(inside > 0, hits / np.maximum(inside, 1), np.nan)
    return precision, np.asarray(hits / max(int(hits[-1]), 1), dtype=np.float64)


def pair_recall(query_codes: Codes, database_codes: Codes, rows: NDArray[np.int64], k: Sequence[int]) -> list[float]:
    """The share of queries whose own pair, database row rows[i], is among the first k, for each k.

    Expected over the order of ties: with a nearer items and e as near as the pair (itself included), the pair is
    among the first k with probability (k - a) / e, kept within 0 and 1. Raises WidthError for unequal code lengths,
    DataError unless there is one row a query.
    """
    nearer, equal = pair_places(query_codes, database_codes, rows)
    return [float(np.clip((at - nearer) / equal, 0.0, 1.0).mean()) for at in k]


def pair_places(query_codes: Codes, database_codes: Codes, rows: NDArray[np.int64]) -> tuple[Counts, Counts]:
    """For each query the items nearer than its own pair, and those as near (the pair included); see `pair_recall`."""
    if query_codes.n_bits != database_codes.n_bits:
        raise WidthError(
            f"Queries and database need one code length; got {query_codes.n_bits} and {database_codes.n_bits} bits."
        )
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    if rows.shape != (len(query_codes),) or not len(rows) or rows.min() < 0 or rows.max() >= len(database_codes):
        raise DataError(
            f"Pair recall needs, for each of {len(query_codes)} queries, a row of the {len(database_codes)} database "
            f"codes; got rows of shape {rows.shape}."
        )
    return count_nearer(code_words(query_codes.packed), code_words(database_codes.packed), rows)
