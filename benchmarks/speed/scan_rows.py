"""The exact scan against FAISS's flat index: batches and lone queries, also on a processor without AVX-512."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from clustered import clustered_codes, of_bits
from measuring import MILLION, Row, fastest

from crossbit.kernels import nearest

AVX2 = (
    "+64bit,+avx,+avx2,+bmi,+bmi2,+cmov,+crc32,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,"
    "+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+xsave"
)


def flat(packed: np.ndarray, threads: int = 1) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexBinaryFlat(8 * packed.shape[1])
    index.add(packed)
    return index


def exact_row(packed: np.ndarray, queries: np.ndarray, k: int, what: str, times: int, threads: int = 1) -> Row:
    """Ours and FAISS's flat index on the same codes; the distances found must be equal."""
    index = flat(packed, threads)
    if not np.array_equal(nearest(queries[:50], packed, k)[1], index.search(queries[:50], k)[0]):
        raise AssertionError("ours and FAISS's distances differ")
    clock = time.process_time if threads == 1 else time.perf_counter
    own, other = fastest(
        lambda: nearest(queries, packed, k, threads=threads),
        lambda: index.search(queries, k),
        times=times,
        clock=clock,
    )
    return {
        "what": what,
        "n": len(packed),
        "n_bits": 8 * packed.shape[1],
        "k": k,
        "queries": len(queries),
        "threads": threads,
        "queries_a_second": round(len(queries) / own, 1),
        "faiss_flat_queries_a_second": round(len(queries) / other, 1),
        "ratio_to_faiss_flat": round(other / own, 2),
        "picoseconds_a_comparison": round(own / len(queries) / len(packed) * 1e12, 1),
    }


def lone_row(packed: np.ndarray, queries: np.ndarray, k: int, times: int) -> Row:
    """The same, one query at a time."""
    index, some = flat(packed), queries[:20]
    own, other = fastest(
        lambda: [nearest(some[i : i + 1], packed, k) for i in range(len(some))],
        lambda: [index.search(some[i : i + 1], k) for i in range(len(some))],
        times=times,
    )
    return {
        "what": "single",
        "n": len(packed),
        "n_bits": 8 * packed.shape[1],
        "k": k,
        "milliseconds": round(own / len(some) * 1e3, 3),
        "faiss_flat_milliseconds": round(other / len(some) * 1e3, 3),
        "ratio_to_faiss_flat": round(other / own, 2),
        "gigabytes_a_second": round(packed.nbytes * len(some) / own / 1e9, 2),
    }


def scans(n: int, n_bits: int) -> Iterator[Row]:
    """Batches and lone queries of one size and length on one thread, and batches on two."""
    packed, queries = (of_bits(one, n_bits) for one in clustered_codes(n, 1000))
    times = 3 if n == MILLION else 2
    for k in (10, 100):
        yield exact_row(packed, queries, k, "exact", times)
        yield lone_row(packed, queries, k, times)
        if n == MILLION or k == 10:
            yield exact_row(packed, queries, k, "exact", times, threads=2)


def small_rows(n: int, what: str, lengths: tuple[int, ...], ks: tuple[int, ...]) -> Iterator[Row]:
    """Batches on one thread, and lone queries at 1 million."""
    packed, queries = clustered_codes(n, 1000)
    for n_bits in lengths:
        for k in ks:
            own, asked = of_bits(packed, n_bits), of_bits(queries, n_bits)
            yield exact_row(own, asked, k, what, times=3 if n == MILLION else 2)
            if n == MILLION:
                yield {**lone_row(own, asked, k, times=3), "code_for": what}


def without_avx512(n: int) -> Iterator[Row]:
    """Batches in a process whose code is made for a processor with AVX2 alone."""
    environment = os.environ | {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": AVX2}
    command = [sys.executable, str(Path(__file__).with_name("search.py")), "--avx2", str(n)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    yield from (row for line in done.stdout.splitlines() if (row := json.loads(line))["what"] != "single")
