"""Measure evaluation: mAP@all with ties averaged, against the usual loop of a sort and cumulative sums a query.

    python benchmarks/speed/evaluation.py --quick     2,000 x 20,015 at 64 bits on one thread: within 40 seconds
    python benchmarks/speed/evaluation.py             everything, written to evaluation.json: about 2 minutes

Prints one JSON line a row. One-thread figures are CPU seconds, the fastest of several, ours and the loop's in turn in
one process. The loop is written here as the released codes have it: a product of signs, NumPy's argsort, a cumulative
sum. Over 186,577 items it runs for 200 of the queries, and its time is told for all 2,000. The sizes are those of
MIRFLICKR-25K and NUS-WIDE; labels and codes are drawn: 24 classes, 4.6 labels an item, codes that depend on them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from measuring import fastest, store  # noqa: E402  # beside this file

from crossbit.codes import Codes  # noqa: E402
from crossbit.evaluation import PALL, evaluate_codes, mean_average_precision  # noqa: E402
from crossbit.experiment.run import peak_memory_mib  # noqa: E402

Row = dict[str, Any]
QUERIES, MIRFLICKR, NUS_WIDE, MILLION = 2000, 20_015, 186_577, 1_000_000
LENGTHS = (16, 32, 64, 128)
CLASSES, LABELS_AN_ITEM = 24, 4.64
BLOCK = 1 << 14  # items whose codes are drawn at a time


class World:
    """Queries and a database of one size: their labels, and codes of any length."""

    def __init__(self, n: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        often = 1 / (1 + np.arange(CLASSES) / 6)
        labels = rng.random((QUERIES + n, CLASSES), dtype=np.float32) < LABELS_AN_ITEM * often / often.sum()
        self.n, self.queries, self.database = n, labels[:QUERIES], labels[QUERIES:]

    def codes(self, n_bits: int) -> tuple[Codes, Codes]:
        """The codes of queries and database."""
        rng = np.random.default_rng(n_bits)
        weights = rng.normal(size=(CLASSES, n_bits)).astype(np.float32)

        def drawn(labels: np.ndarray) -> np.ndarray:
            noise = 2 * rng.standard_normal((len(labels), n_bits), dtype=np.float32)
            return np.asarray((labels.astype(np.float32) - LABELS_AN_ITEM / CLASSES) @ weights + noise)

        blocks = [Codes.from_real(drawn(self.database[at : at + BLOCK])).packed for at in range(0, self.n, BLOCK)]
        return Codes.from_real(drawn(self.queries)), Codes(np.concatenate(blocks), n_bits)


def usual_loop(
    query_signs: np.ndarray,
    signs: np.ndarray,
    query_labels: np.ndarray,
    labels: np.ndarray,
    kind: str | None = None,
) -> float:
    """mAP@all as the released codes compute it: all arrays float32, codes in {-1, +1}."""
    total, n_bits = 0.0, signs.shape[1]
    for query in range(len(query_signs)):
        shared = query_labels[query] @ labels.T > 0
        if not shared.any():
            continue
        distances = 0.5 * (n_bits - query_signs[query] @ signs.T)
        ranked = shared[np.argsort(distances, kind=kind)]
        places = np.flatnonzero(ranked)
        total += float((np.cumsum(ranked)[places] / (places + 1)).mean())
    return total / len(query_signs)


def map_row(world: World, n_bits: int, loop_queries: int, times: int) -> Row:
    """Ours and the loop on one thread."""
    queries, database = world.codes(n_bits)
    some = slice(0, loop_queries)
    labels = (world.queries[some].astype(np.float32), world.database.astype(np.float32))
    arrays = (queries.signs()[some], database.signs(), *labels)
    values: dict[str, float] = {}

    def own() -> None:
        values["own"] = mean_average_precision(queries, database, world.queries, world.database, threads=1)

    def loop() -> None:
        values["loop"] = usual_loop(*arrays)

    seconds, loop_seconds = fastest(own, loop, times=times)
    loop_seconds *= QUERIES / loop_queries
    return {
        "what": "mAP@all",
        "queries": QUERIES,
        "n": world.n,
        "n_bits": n_bits,
        "threads": 1,
        "seconds": round(seconds, 4),
        "loop_seconds": round(loop_seconds, 2),
        "loop_queries": loop_queries,
        "ratio_to_loop": round(loop_seconds / seconds, 1),
        "picoseconds_a_comparison": round(seconds / QUERIES / world.n * 1e12, 1),
        "value": round(values["own"], 6),
        "loop_value": round(values["loop"], 6),
    }


def same_row(world: World) -> Row:
    """The values of both where nothing ties, and where ties are put in the order of the database in both."""
    rng, apart = np.random.default_rng(5), 0.0
    for n_bits in (16, 64, 128):
        for _ in range(50):
            far = rng.permutation(n_bits + 1)  # one item at every distance
            bits = np.arange(n_bits)[None] < far[:, None]
            query, items = Codes.from_bits(np.zeros((1, n_bits), dtype=bool)), Codes.from_bits(bits)
            labels = rng.random((n_bits + 2, 3)) < 0.3
            own = mean_average_precision(query, items, labels[:1], labels[1:])
            loop = usual_loop(query.signs(), items.signs(), *(a.astype(np.float32) for a in (labels[:1], labels[1:])))
            apart = max(apart, abs(own - loop))
    queries, database = world.codes(64)
    queries, wanted = queries[:100], world.queries[:100]
    by_id = mean_average_precision(queries, database, wanted, world.database, replace(PALL, ties="id"))
    signs = (queries.signs(), database.signs(), wanted.astype(np.float32), world.database.astype(np.float32))
    ordered = abs(by_id - usual_loop(*signs, kind="stable"))
    if max(apart, ordered) > 1e-9:
        raise AssertionError(f"ours and the loop differ by {apart} without ties and {ordered} in the order of rows")
    return {"what": "same value", "largest_difference_without_ties": apart, "difference_in_order_of_rows": ordered}


def threads_row(world: World, n_bits: int, threads: int) -> Row:
    """Wall time of one thread and of several."""
    queries, database = world.codes(n_bits)
    calls = [
        lambda t=t: mean_average_precision(queries, database, world.queries, world.database, threads=t)
        for t in (1, threads)
    ]
    one, several = fastest(*calls, times=3, clock=time.perf_counter)
    shared = {"queries": QUERIES, "n": world.n, "n_bits": n_bits, "threads": threads}
    ratio = round(one / several, 2)
    return {"what": "threads", **shared, "wall_seconds": round(several, 4), "ratio_to_one_thread": ratio}


def whole_row(world: World, n_bits: int) -> Row:
    """The whole evaluation: both directions, two protocols, curves, monitors and the random floor."""
    queries, database = world.codes(n_bits)
    (seconds,) = fastest(
        lambda: evaluate_codes(queries, queries, database, database, world.queries, world.database, threads=1)
    )
    shared = {"queries": QUERIES, "n": world.n, "n_bits": n_bits, "threads": 1}
    return {"what": "whole evaluation, both directions", **shared, "seconds": round(seconds, 3)}


def million_row(n_bits: int) -> Row:
    """2,000 queries over a million items, and the memory it takes beyond the codes and labels themselves."""
    world = World(MILLION)
    queries, database = world.codes(n_bits)
    mean_average_precision(queries[:10], database[:1000], world.queries[:10], world.database[:1000], threads=1)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts again from what is held now
    before, begin = peak_memory_mib(), time.process_time()
    value = mean_average_precision(queries, database, world.queries, world.database, threads=1)
    seconds = time.process_time() - begin
    shared = {"queries": QUERIES, "n": MILLION, "n_bits": n_bits, "threads": 1}
    added = round(peak_memory_mib() - before)
    return {
        "what": "million",
        **shared,
        "seconds": round(seconds, 2),
        "peak_mib_added": added,
        "value": round(value, 6),
    }


def all_rows() -> Iterator[Row]:
    for n, loop_queries, times in ((MIRFLICKR, QUERIES, 2), (NUS_WIDE, 200, 2)):
        world = World(n)
        for n_bits in LENGTHS:
            yield map_row(world, n_bits, loop_queries, times)
        yield threads_row(world, 64, 2)
        yield whole_row(world, 64)
    yield same_row(World(MIRFLICKR))
    for n_bits in (64, 128):  # each in a process of its own, so that memory is told of it alone
        command = [sys.executable, str(Path(__file__).resolve()), "--million", str(n_bits)]
        yield json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def main() -> int:
    """Measure, print, and store the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one ratio, within 40 seconds; nothing is stored")
    parser.add_argument("--million", type=int, metavar="BITS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.million:
        print(json.dumps(million_row(options.million)))
        return 0
    rows: list[Row] = []
    for row in [map_row(World(MIRFLICKR), 64, QUERIES, times=3)] if options.quick else all_rows():
        rows.append(row)
        print(json.dumps(row), flush=True)
    if not options.quick:
        store(rows, "evaluation.json", data="drawn by evaluation.py: labels with seed 0, codes with the length as seed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
