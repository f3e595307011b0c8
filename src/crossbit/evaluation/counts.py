"""Items per Hamming distance: the one pass over the database from which every measure of codes is computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.errors import DataError, LabelError, WidthError
from crossbit.kernels import Counts, all_threads, code_words, count_distances, label_words, nearest
from crossbit.pairs import Labels, array_fingerprint, check_labels

_COUNTED_AT_ONCE = 1 << 20  # counts held at a time, 8 MiB of each kind


@dataclass(frozen=True, eq=False)
class TiedGroups:
    """A block of rankings as groups of tied items, best group first.

    start: the number of the block's first query. found, relevant: (b, groups) int64, the items in each group, and
    those of them that are relevant. For codes group g holds the items at Hamming distance g.
    """

    start: int
    found: Counts
    relevant: Counts


def check_sides(
    query_codes: Codes, database_codes: Codes, query_labels: Labels, database_labels: Labels
) -> tuple[Labels, Labels]:
    """The labels as booleans; raises WidthError, DataError or LabelError where the four do not fit each other."""
    if query_codes.n_bits != database_codes.n_bits:
        raise WidthError(
            f"Queries and database need one code length; got {query_codes.n_bits} and {database_codes.n_bits} bits."
        )
    if not len(query_codes) or not len(database_codes):
        raise DataError(
            f"An evaluation needs queries and a database; got {len(query_codes)} and {len(database_codes)} codes."
        )
    return check_label_sides(query_labels, database_labels, len(query_codes), len(database_codes))


def check_label_sides(
    query_labels: Labels, database_labels: Labels, n_queries: int, n_database: int
) -> tuple[Labels, Labels]:
    """The labels as booleans; raises LabelError unless each query and each item has a row of the same classes."""
    query_labels, database_labels = check_labels(query_labels, n_queries), check_labels(database_labels, n_database)
    if query_labels.shape[1] != database_labels.shape[1]:
        raise LabelError(
            f"Queries and database need the same classes; got {query_labels.shape[1]} and {database_labels.shape[1]}."
        )
    return query_labels, database_labels


def relevance_rule(query_labels: Labels, database_labels: Labels) -> str:
    """The rule by which items are relevant, with a hash of the very labels: coarse and fine labels are two rules."""
    return f"shared label of {array_fingerprint(query_labels, database_labels)}"


def groups_by_distance(
    query_codes: Codes,
    database_codes: Codes,
    query_labels: Labels,
    database_labels: Labels,
    *,
    threads: int | None = None,
) -> Iterator[TiedGroups]:
    """The counts per distance, queries in blocks, so that memory stays bounded whatever their number.

    An item is relevant to a query when they share at least one label. threads: how many count; all processors without.
    """
    queries, items = code_words(query_codes.packed), code_words(database_codes.packed)
    query_sets, item_sets = label_words(query_labels), label_words(database_labels)
    n_bits = query_codes.n_bits
    block = max(1, _COUNTED_AT_ONCE // (n_bits + 1))
    for start in range(0, len(queries), block):
        rows = slice(start, start + block)
        found, relevant = count_distances(
            queries[rows], items, query_sets[rows], item_sets, n_bits, threads=threads or all_threads()
        )
        yield TiedGroups(start, found, relevant)


def groups_by_id(
    query_codes: Codes,
    database_codes: Codes,
    query_labels: Labels,
    database_labels: Labels,
    *,
    threads: int | None = None,
) -> Iterator[TiedGroups]:
    """The rankings by distance and, within a distance, by database row: one item a group."""
    queries, items = code_words(query_codes.packed), code_words(database_codes.packed)
    block = max(1, _COUNTED_AT_ONCE // len(items))
    for start in range(0, len(queries), block):
        rows = slice(start, start + block)
        order, _ = nearest(queries[rows], items, len(items), threads=threads or all_threads())
        relevant = np.take_along_axis(share_label(query_labels[rows], database_labels), order, axis=1)
        yield TiedGroups(start, np.ones(relevant.shape, dtype=np.int64), relevant.astype(np.int64))


def share_label(query_labels: Labels, database_labels: Labels) -> NDArray[np.bool_]:
    """Whether each query and each item share at least one label, (q, n) bool; for blocks of queries."""
    shared: NDArray[np.float32] = query_labels.astype(np.float32) @ database_labels.astype(np.float32).T
    return shared > 0
