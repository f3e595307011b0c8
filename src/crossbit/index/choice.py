"""Which engine for how many codes, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes, bytes_of, check_n_bits
from crossbit.index.exact import ExactIndex
from crossbit.index.ivf import IvfIndex
from crossbit.index.protocol import Index, check_at_least
from crossbit.index.tuning import check_recall

EXACT_BYTES = 320_000_000  # codes up to this size are compared in full: 40 million of 64 bits


def choose_engine(n: int, n_bits: int, *, target_recall: float = 1.0) -> tuple[str, str]:
    """The engine for n codes of n_bits, "exact" or "ivf", and the reason in one sentence.

    target_recall: the share of the nearest codes that must be found; at 1, the default, only the exact engine will do.
    """
    check_n_bits(n_bits)
    size = check_at_least("n", n, 0) * bytes_of(n_bits)
    check_recall(target_recall)
    told = f"{n:,} codes of {n_bits} bits are {f'{size / 1e6:,.0f}' if size >= 1e6 else 'less than 1'} MB"
    if target_recall == 1:
        return "exact", f"{told}; a recall of 1 is asked for, which the exact engine alone gives"
    if size <= EXACT_BYTES:
        return "exact", f"{told}; up to {EXACT_BYTES / 1e6:,.0f} MB a full comparison is fast enough and misses nothing"
    return (
        "ivf",
        f"{told}, more than {EXACT_BYTES / 1e6:,.0f} MB; inverted lists of recall {target_recall:g} are faster",
    )


def choose_index(
    codes: Codes,
    ids: NDArray[np.integer[Any]] | None = None,
    *,
    target_recall: float = 1.0,
    queries: Codes | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> tuple[Index, str]:
    """An index over codes with the engine that `choose_engine` gives for their number, and the reason to be printed.

    See `ExactIndex.over` and `IvfIndex.build` for the arguments.
    """
    engine, reason = choose_engine(len(codes), codes.n_bits, target_recall=target_recall)
    if engine == "exact":
        return ExactIndex.over(codes, ids, threads=threads), reason
    built = IvfIndex.build(codes, ids, target_recall=target_recall, queries=queries, seed=seed, threads=threads)
    if built.settings is not None:
        reason += (
            f"; {built.settings.n_probe} of {built.settings.n_lists} lists a query reached a recall of "
            f"{built.settings.recall:.3f} on {built.settings.n_sample} queries"
        )
    return built, reason
