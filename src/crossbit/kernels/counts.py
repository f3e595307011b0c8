"""Counts per distance, for the evaluation: no (queries, items) matrix, and no sort."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossbit.kernels.compilation import Counts, Words, compiled
from crossbit.kernels.words import distance, share

BLOCK = 4096  # items a block: 32 KiB of 64-bit codes, the size of a first-level cache


@compiled
def count_distances(
    queries: Words, items: Words, query_labels: Words, item_labels: Words, n_bits: int
) -> tuple[Counts, Counts]:
    """For each query, the items at each distance 0 to n_bits: all of them, and those that share a label with it.

    All take codes as rows of 64-bit words (`code_words`) and sets of labels as rows of 64-bit words (`label_words`).
    """
    # One count a comparison: entry 2 d counts items at distance d that share no label, 2 d + 1 those that do.
    counts = np.zeros((len(queries), 2 * (n_bits + 1)), dtype=np.int64)
    for start in range(0, len(items), BLOCK):
        stop = min(start + BLOCK, len(items))
        for query in range(len(queries)):
            for item in range(start, stop):
                place = 2 * distance(queries, query, items, item)
                counts[query, place + share(query_labels, query, item_labels, item)] += 1
    relevant = counts[:, 1::2].copy()
    return counts[:, ::2] + relevant, relevant


@compiled
def count_relevant(query_labels: Words, item_labels: Words) -> Counts:
    """For each query, the items that share a label with it."""
    relevant = np.zeros(len(query_labels), dtype=np.int64)
    for query in range(len(query_labels)):
        for item in range(len(item_labels)):
            relevant[query] += share(query_labels, query, item_labels, item)
    return relevant


@compiled
def count_nearer(queries: Words, items: Words, rows: NDArray[np.int64]) -> tuple[Counts, Counts]:
    """For each query i, the items nearer than items[rows[i]], and the items exactly as near (itself included)."""
    nearer = np.zeros(len(queries), dtype=np.int64)
    equal = np.zeros(len(queries), dtype=np.int64)
    for query in range(len(queries)):
        own = distance(queries, query, items, rows[query])
        for item in range(len(items)):
            other = distance(queries, query, items, item)
            nearer[query] += other < own
            equal[query] += other == own
    return nearer, equal
