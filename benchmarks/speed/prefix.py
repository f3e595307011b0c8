"""Measure coarse to fine: recall and time of a search by the first bits, ranked again by all, against a whole search.

    python benchmarks/speed/prefix.py        4 minutes on one thread; written to prefix.json

Two kinds of codes. 1 million clustered codes of 128 bits, signs of random projections, so any bits are as good as any
others: recall and CPU seconds. And codes of KDCMH that was told to make its first 32 and 64 bits codes of their own
(128 bits, seed 0, on fashion6k and openclipart5k): text queries over all database pictures, recall alone, for there are
a few thousand. `candidates` is what `PrefixIndex.build` found to be enough on a sample of the codes themselves; the
recall told is that on held-out queries.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))

from clustered import clustered_codes  # noqa: E402  # beside this file
from measuring import CLUSTERED, fastest, store  # noqa: E402

from crossbit.codes import Codes  # noqa: E402
from crossbit.index import ExactIndex, PrefixIndex  # noqa: E402
from crossbit.methods import load_method  # noqa: E402
from crossbit.testing.index import recall_of  # noqa: E402
from run_all import dataset_of  # noqa: E402

N, K, N_BITS = 1_000_000, 10, 128
PREFIXES = (32, 64)
TARGETS = (0.8, 0.95)


def rows_of(name: str, codes: Codes, queries: Codes, *, timed: bool) -> list[dict[str, Any]]:
    """A row for each prefix and target on one set of codes."""
    whole = ExactIndex.over(codes, threads=1)
    exact, told = whole.search(queries, K), []
    for prefix_bits in PREFIXES:
        for target in TARGETS:
            coarse = PrefixIndex.build(codes, prefix_bits=prefix_bits, target_recall=target, k=K, threads=1)
            assert coarse.settings is not None  # there are codes
            recall = recall_of(coarse.search(queries, K), exact)
            row = {"what": "prefix", "codes": name, "n": len(codes), "n_bits": codes.n_bits, "k": K,
                   "prefix_bits": prefix_bits, "target": target, "candidates": coarse.settings.candidates,
                   "recall": round(recall, 4)}  # fmt: skip
            if timed:
                own, against = fastest(lambda c=coarse: c.search(queries, K), lambda: whole.search(queries, K), times=2)
                row["time_to_whole"] = round(own / against, 3)
            told.append(row)
            print(json.dumps(row), flush=True)
    return told


def main() -> int:
    """Measure, print and store."""
    packed, asked = clustered_codes(N, 1000)
    told = rows_of("1 M clustered", Codes(packed, N_BITS), Codes(asked, N_BITS), timed=True)
    for name in ("fashion6k", "openclipart5k"):
        dataset = dataset_of(name)
        if dataset is None:
            raise SystemExit(f"{name}.npz is not there; set CROSSBIT_DATA to the folder it is in.")
        pairs, split = dataset.pairs, dataset.split
        method = load_method("kdcmh")(n_bits=N_BITS).with_settings({"prefixes": PREFIXES})
        hasher = method.fit(pairs[split.train])
        images, texts = hasher.encode_images(pairs.image[split.database]), hasher.encode_texts(pairs.text[split.query])
        told += rows_of(f"{name}, KDCMH with prefixes", images, texts, timed=False)
    store(told, "prefix.json", data=f"{CLUSTERED}; and KDCMH's codes of fashion6k and openclipart5k, seed 0")
    return 0


if __name__ == "__main__":
    sys.exit(main())
