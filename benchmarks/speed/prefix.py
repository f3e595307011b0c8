"""Measure coarse to fine: recall and time of a search by the first bits, ranked again by all, against a whole search.

    python benchmarks/speed/prefix.py        1 minute on one thread; written to prefix.json

1 million clustered codes of 128 bits, signs of random projections, so any bits are as good as any others. CPU seconds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from clustered import clustered_codes  # noqa: E402  # beside this file
from search import fastest, store  # noqa: E402

from crossbit.codes import Codes  # noqa: E402
from crossbit.index import ExactIndex, PrefixSearch  # noqa: E402
from crossbit.testing.index import recall_of  # noqa: E402

N, K = 1_000_000, 10


def main() -> int:
    """Measure, print and store."""
    packed, asked = clustered_codes(N, 1000)
    codes, queries = Codes(packed, 128), Codes(asked, 128)
    whole = ExactIndex.over(codes, threads=1)
    exact = whole.search(queries, K)
    told = []
    for prefix_bits in (32, 64):
        for candidates in (100, 1000):
            coarse = PrefixSearch(codes, prefix_bits, candidates=candidates, threads=1)
            recall = recall_of(coarse.search(queries, K), exact)
            seconds, against = fastest(lambda c=coarse: c.search(queries, K), lambda: whole.search(queries, K), times=2)
            told.append({"what": "prefix", "codes": "1 M clustered", "n": N, "n_bits": 128, "k": K,
                         "prefix_bits": prefix_bits, "candidates": candidates, "recall": round(recall, 4),
                         "time_to_whole": round(seconds / against, 3)})  # fmt: skip
            print(json.dumps(told[-1]), flush=True)
    store(told, "prefix.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
