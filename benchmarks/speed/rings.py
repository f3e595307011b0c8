"""Measure exact search by clusters and rings against a scan: 1 and 10 million codes, alone and in batches.

    python benchmarks/speed/rings.py            6 minutes on one thread; written to rings.json
    python benchmarks/speed/rings.py --quick    1 million of 64 bits alone; nothing is stored

CPU seconds, one thread. Hits of both are compared and must be equal. Spread evenly means random codes: the worst case.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from clustered import clustered_codes, of_bits  # noqa: E402  # beside this file
from measuring import fastest, store  # noqa: E402

from crossbit.codes import Codes  # noqa: E402
from crossbit.index import ExactIndex, PrunedIndex  # noqa: E402

Row = dict[str, Any]


def rows(packed: np.ndarray, asked: np.ndarray, codes_are: str) -> Iterator[Row]:
    """The build, and searches of one kind of codes."""
    n_bits = 8 * packed.shape[1]
    codes, queries = Codes(packed, n_bits), Codes(asked, n_bits)
    shared = {"codes": codes_are, "n": len(packed), "n_bits": n_bits}
    PrunedIndex.build(codes[:1000], threads=1).search(queries[:1], 1)  # compiles
    begin = time.process_time()
    own, scan = PrunedIndex.build(codes, threads=1), ExactIndex.over(codes, threads=1)
    seconds = round(time.process_time() - begin, 1)
    yield {"what": "build", **shared, "seconds": seconds}
    for k in (10, 100):
        first, second = own.search(queries, k), scan.search(queries, k)
        if not (np.array_equal(first.ids, second.ids) and np.array_equal(first.distances, second.distances)):
            raise AssertionError("rings and scan found different codes")
        batch = fastest(lambda k=k: own.search(queries, k), lambda k=k: scan.search(queries, k), times=2)
        lone = fastest(
            lambda k=k: [own.search(queries[i : i + 1], k) for i in range(20)],
            lambda k=k: [scan.search(queries[i : i + 1], k) for i in range(20)],
            times=2,
        )
        yield {
            "what": "rings",
            **shared,
            "k": k,
            "batch_microseconds": round(batch[0] / len(queries) * 1e6, 1),
            "batch_times_faster": round(batch[1] / batch[0], 2),
            "single_microseconds": round(lone[0] / 20 * 1e6, 1),
            "single_times_faster": round(lone[1] / lone[0], 2),
        }


def every_row(quick: bool) -> Iterator[Row]:
    for n in (1_000_000,) if quick else (1_000_000, 10_000_000):
        packed, queries = clustered_codes(n, 1000)
        for n_bits in (64,) if quick else (64, 128):
            yield from rows(of_bits(packed, n_bits), of_bits(queries, n_bits), "clustered")
    rng = np.random.default_rng(0)
    yield from rows(*(rng.integers(0, 256, (n, 8), dtype=np.uint8) for n in (1_000_000, 1000)), "spread evenly")


def main() -> int:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 million codes of 64 bits; nothing is stored")
    options = parser.parse_args()
    told = []
    for row in every_row(options.quick):
        print(json.dumps(row), flush=True)
        told.append(row)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # kibibytes on Linux
    told.append({"what": "memory", "most_megabytes": megabytes})
    if not options.quick:
        store(told, "rings.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
