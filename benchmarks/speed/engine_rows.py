"""Searches that do not compare everything: filters within the scan, and inverted lists against the exact scan."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from clustered import clustered_codes, of_bits
from measuring import MILLION, Row, fastest

from crossbit.codes import Codes
from crossbit.index import ExactIndex, IvfIndex
from crossbit.testing.index import recall_of


def filters() -> Iterator[Row]:
    yield from filter_rows(*(of_bits(one, 64) for one in clustered_codes(MILLION, 1000)))


def filter_rows(packed: np.ndarray, queries: np.ndarray) -> Iterator[Row]:
    """A filter in the scan, against no filter and against asking for more and leaving out what does not fit."""
    index, codes, k = ExactIndex.over(Codes(packed, 8 * packed.shape[1]), threads=1), Codes(queries, 64), 10
    for share in (0.5, 0.1, 0.01):
        kept = np.random.default_rng(1).random(len(packed)) < share
        (own, without) = fastest(lambda w=kept: index.search(codes, k, where=w), lambda: index.search(codes, k))
        (after,) = fastest(lambda enough=int(1.5 * k / share) + 10: index.search(codes, enough), times=1)
        yield {
            "what": "filter",
            "n": len(packed),
            "n_bits": 64,
            "k": k,
            "share_kept": share,
            "time_to_unfiltered": round(own / without, 3),
            "times_faster_than_post_filtering": round(after / own, 2),
        }


def lists(n: int) -> Iterator[Row]:
    yield from ivf_rows(*(of_bits(one, 64) for one in clustered_codes(n, 1000)))


def ivf_rows(packed: np.ndarray, queries: np.ndarray) -> Iterator[Row]:
    """Recall against speed of the inverted lists; the exact scan is a point on the same plot."""
    codes, asked, k = Codes(packed, 64), Codes(queries, 64), 10
    exact_index = ExactIndex.over(codes, threads=1)
    exact = exact_index.search(asked, k)
    (seconds,) = fastest(lambda: exact_index.search(asked, k))
    shared = {"n": len(packed), "n_bits": 64, "k": k}
    yield {"what": "recall", **shared, "engine": "exact", "recall": 1.0, "queries_a_second": round(1000 / seconds)}
    begin = time.process_time()
    index = IvfIndex.build(codes, target_recall=0.9, queries=Codes(queries[:500], 64), threads=1)
    build = time.process_time() - begin
    lists, told = index._held.built.faiss, index.settings
    assert told is not None
    yield {"what": "ivf build", **shared, "cpu_seconds": round(build, 1), "n_lists": told.n_lists, "target": 0.9,
           "n_probe": told.n_probe, "recall_told": round(told.recall, 4)}  # fmt: skip
    for n_probe in (4, 8, 16, 32, 64, 128, 256, 512):
        lists.nprobe = n_probe
        recall = recall_of(index.search(asked, k), exact)
        (seconds,) = fastest(lambda: index.search(asked, k))
        yield {"what": "recall", **shared, "engine": "ivf", "n_probe": n_probe, "recall": round(recall, 4),
               "queries_a_second": round(1000 / seconds)}  # fmt: skip
