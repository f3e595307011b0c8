"""Measure near-duplicates: all codes within a small radius, by tables of parts and by a scan.

    python benchmarks/speed/radius.py        2 to 3 minutes on one thread; written to radius.json

For each size, code length and radius: what 1,000 held-out queries take in one batch and 20 one by one, by a scan and by
tables, whichever the index would take for each query; and what making the tables takes. CPU seconds, one thread.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from clustered import clustered_codes, of_bits  # noqa: E402  # beside this file
from measuring import fastest, store  # noqa: E402

from crossbit.index.near import NearTables  # noqa: E402
from crossbit.kernels import warm_up, within  # noqa: E402
from crossbit.kernels.parts import PartTables  # noqa: E402
from crossbit.kernels.search import as_bytes  # noqa: E402

RADII = range(5)
Row = dict[str, Any]


def rows(n: int) -> Iterator[Row]:
    """All rows of n codes."""
    packed_128, queries_128 = clustered_codes(n, 1000)
    for n_bits in (64, 128):
        packed, queries = of_bits(packed_128, n_bits), of_bits(queries_128, n_bits)
        begin = time.process_time()
        tables = PartTables.of(as_bytes(packed))
        shared = {"n": n, "n_bits": n_bits}
        yield {
            "what": "tables",
            **shared,
            "seconds": round(time.process_time() - begin, 3),
            "bytes_a_code": round((tables.rows.nbytes + tables.starts.nbytes) / n, 1),
        }
        near = NearTables()
        near._tables = tables
        for radius in RADII:
            yield {"what": "radius", **shared, "radius": radius, **compared(near, packed, queries, radius)}


def compared(near: NearTables, packed: np.ndarray, queries: np.ndarray, radius: int) -> Row:
    """A scan and the tables on the same queries; what they find must be equal."""

    def alone(find: Callable[..., Any]) -> None:
        for query in range(20):
            find(queries[query : query + 1], packed, radius, kept=None, threads=1)

    def together(find: Callable[..., Any]) -> Any:
        return find(queries, packed, radius, kept=None, threads=1)

    found, scanned = together(near.within), together(within)
    if not all(np.array_equal(one, other) for one, other in zip(found, scanned, strict=True)):
        raise AssertionError("the tables and the scan found different codes")
    batch = fastest(lambda: together(near.within), lambda: together(within), times=2)
    lone = fastest(lambda: alone(near.within), lambda: alone(within), times=2)
    return {
        "found_a_query": round(len(found[0]) / len(queries), 1),
        "batch_microseconds": round(batch[0] / len(queries) * 1e6, 1),
        "batch_times_faster": round(batch[1] / batch[0], 1),
        "single_microseconds": round(lone[0] / 20 * 1e6, 1),
        "single_times_faster": round(lone[1] / lone[0], 1),
    }


def main() -> int:
    """Measure, print and store."""
    warm_up()
    told = []
    for n in (1_000_000, 10_000_000):
        for row in rows(n):
            print(json.dumps(row), flush=True)
            told.append(row)
    store(told, "radius.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
