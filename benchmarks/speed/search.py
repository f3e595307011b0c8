"""Measure search: against FAISS's flat index, filtered, approximate, on other processors, and against the hardware.

    python benchmarks/speed/search.py --quick          1 million codes of 64 bits, k = 10, one thread: within 40 seconds
    python benchmarks/speed/search.py --only 10m-128   one part, put into search.json in place of its older rows
    python benchmarks/speed/search.py                  all parts, one after another: about 15 minutes

Prints one JSON line a row. One-thread figures are CPU seconds, the fastest of several, ours and FAISS's in turn in
one process; figures of two threads are wall time and hang on what else the machine does.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from clustered import clustered_codes, of_bits  # noqa: E402  # beside this file

import crossbit  # noqa: E402
from crossbit.codes import Codes  # noqa: E402
from crossbit.files import write_whole  # noqa: E402
from crossbit.index import ExactIndex, IvfIndex  # noqa: E402
from crossbit.kernels import nearest, warm_up  # noqa: E402
from crossbit.testing.index import recall_of  # noqa: E402

Row = dict[str, Any]
MILLION = 1_000_000
CLUSTERED = "clustered.py, seed 0: clustered codes, 1,000 held-out queries"
AVX2 = (
    "+64bit,+avx,+avx2,+bmi,+bmi2,+cmov,+crc32,+cx16,+cx8,+f16c,+fma,+fxsr,+lzcnt,+mmx,+movbe,+popcnt,"
    "+sse,+sse2,+sse3,+sse4.1,+sse4.2,+ssse3,+xsave"
)


def fastest(*calls: Callable[[], Any], times: int = 3, clock: Callable[[], float] = time.process_time) -> list[float]:
    """Seconds of each call, the fastest of several, the calls in turn."""
    seconds = [float("inf")] * len(calls)
    for _ in range(times):
        for number, call in enumerate(calls):
            begin = clock()
            call()
            seconds[number] = min(seconds[number], clock() - begin)
    return seconds


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


def limit_rows(packed: np.ndarray, rows: list[Row]) -> Iterator[Row]:
    """How near the scans come to reading the codes once, and to comparing and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "limit.so"
        command = ["gcc", "-O3", "-march=native", "-shared", "-fPIC", str(HERE / "limit.c"), "-o", str(built)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            yield {"what": "limit", "left_out": "there is no C compiler"}
            return
        library = ctypes.CDLL(str(built))
    library.stream.restype = library.compare.restype = ctypes.c_uint64
    address = ctypes.c_void_p(packed.ctypes.data)
    (read,) = fastest(lambda: library.stream(address, ctypes.c_size_t(packed.nbytes // 8)), times=5)
    single = next(r for r in rows if r["what"] == "single" and (r["n"], r["n_bits"], r["k"]) == (len(packed), 64, 10))
    yield {
        "what": "limit of reading",
        "n": len(packed),
        "gigabytes_a_second": round(packed.nbytes / read / 1e9, 2),
        "share_reached_by_a_single_query": round(read * 1e3 / single["milliseconds"], 3),
    }
    if not library.can_compare():
        return
    planes, times = np.zeros((16 * 16 * 64 + 64,), np.uint8), 200_000
    for n_bits in (64, 128):
        queries = np.full(8 * 64 * n_bits // 8, 255, np.uint8)
        arguments = (ctypes.c_void_p(planes.ctypes.data), ctypes.c_void_p(queries.ctypes.data))
        sizes = (ctypes.c_size_t(n_bits // 8), ctypes.c_size_t(times))
        (seconds,) = fastest(lambda a=arguments, s=sizes: library.compare(*a, *s), times=5)
        least = seconds / times / 64 / 8 * 1e12
        for row in rows:
            if row["what"] == "exact" and row["n_bits"] == n_bits and row["threads"] == 1:
                yield {
                    "what": "limit of comparing",
                    **{key: row[key] for key in ("n", "n_bits", "k")},
                    "picoseconds_a_comparison": round(least, 1),
                    "share_reached": round(least / row["picoseconds_a_comparison"], 3),
                }


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
    lists, told = index._held.lists, index.settings
    assert told is not None
    yield {"what": "ivf build", **shared, "cpu_seconds": round(build, 1), "n_lists": told.n_lists, "target": 0.9,
           "n_probe": told.n_probe, "recall_told": round(told.recall, 4)}  # fmt: skip
    for n_probe in (4, 8, 16, 32, 64, 128, 256, 512):
        lists.nprobe = n_probe
        recall = recall_of(index.search(asked, k), exact)
        (seconds,) = fastest(lambda: index.search(asked, k))
        yield {"what": "recall", **shared, "engine": "ivf", "n_probe": n_probe, "recall": round(recall, 4),
               "queries_a_second": round(1000 / seconds)}  # fmt: skip


def change_rows(packed: np.ndarray) -> Iterator[Row]:
    """Opening a mapped file, adding and removing; the loops are compiled before."""
    warm_up()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "codes.npy"
        np.save(path, packed)
        begin = time.perf_counter()
        index = ExactIndex.over(Codes(np.load(path, mmap_mode="r"), 8 * packed.shape[1]), threads=1)
        opened = time.perf_counter() - begin
        index.search(Codes(packed[:1], 8 * packed.shape[1]), 10)
        searched = time.perf_counter() - begin
        yield {"what": "open", "n": len(packed), "n_bits": 64, "seconds_to_open": round(opened, 4),
               "seconds_to_first_answer": round(searched, 4)}  # fmt: skip
    some = Codes(packed[:MILLION], 8 * packed.shape[1])
    for batch in (100, 10_000):
        index, n = ExactIndex(some.n_bits, threads=1), min(200 * batch, MILLION)
        begin = time.process_time()
        for start in range(0, n, batch):
            index.add(some[start : start + batch], np.arange(start, start + batch))
        added = time.process_time() - begin
        begin = time.process_time()
        for start in range(0, n // 2, batch):
            index.remove(np.arange(start, start + batch))
        removed = time.process_time() - begin
        yield {"what": "change", "n": n, "n_bits": 64, "batch": batch, "added_a_second": round(n / added),
               "removed_a_second": round(n / 2 / removed)}  # fmt: skip


PROGRAM = """
import sys, time
begin = time.process_time()
import numpy as np
from crossbit import kernels
imported = time.process_time()
kernels.warm_up()
print(round(imported - begin, 3), round(time.process_time() - imported, 3))
"""


def first_call_row() -> Row:
    """CPU seconds of the first calls in a new process, with nothing in the cache of compiled code and with it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        told = [
            subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True, text=True)
            for _ in range(2)
        ]
    cold, warm = ([float(part) for part in one.stdout.split()] for one in told)
    return {"what": "first call", "seconds_to_import": warm[0], "seconds_compiling": cold[1], "seconds_cached": warm[1]}


def without_avx512() -> Iterator[Row]:
    """The quick measurement and 128 bits in a process whose code is made for a processor with AVX2 alone."""
    environment = os.environ | {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": AVX2}
    command = [sys.executable, str(Path(__file__).resolve()), "--avx2"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    yield from (row for line in done.stdout.splitlines() if (row := json.loads(line))["what"] != "single")


def small_rows(what: str, lengths: tuple[int, ...], ks: tuple[int, ...]) -> Iterator[Row]:
    packed, queries = clustered_codes(MILLION, 1000)
    for n_bits in lengths:
        for k in ks:
            yield exact_row(of_bits(packed, n_bits), of_bits(queries, n_bits), k, what, times=3)
            yield {**lone_row(of_bits(packed, n_bits), of_bits(queries, n_bits), k, times=3), "code_for": what}


def scans(n: int, n_bits: int) -> Iterator[Row]:
    """Batches and lone queries of one size and length on one thread, and batches on two."""
    packed, queries = (of_bits(one, n_bits) for one in clustered_codes(n, 1000))
    times = 3 if n == MILLION else 2
    for k in (10, 100):
        yield exact_row(packed, queries, k, "exact", times)
        yield lone_row(packed, queries, k, times)
        if n == MILLION or k == 10:
            yield exact_row(packed, queries, k, "exact", times, threads=2)


def filters() -> Iterator[Row]:
    yield from filter_rows(*(of_bits(one, 64) for one in clustered_codes(MILLION, 1000)))


def lists(n: int) -> Iterator[Row]:
    yield from ivf_rows(*(of_bits(one, 64) for one in clustered_codes(n, 1000)))


def limits() -> Iterator[Row]:
    """The limits of the hardware, and what share of them the scans of 1 million codes reach."""
    packed, queries = clustered_codes(MILLION, 1000)
    rows = [lone_row(of_bits(packed, 64), of_bits(queries, 64), 10, 3)]
    for n_bits in (64, 128):
        rows += [exact_row(of_bits(packed, n_bits), of_bits(queries, n_bits), k, "exact", 3) for k in (10, 100)]
    yield from limit_rows(of_bits(packed, 64), rows)


def changes() -> Iterator[Row]:
    yield from change_rows(of_bits(clustered_codes(10 * MILLION, 1)[0], 64))


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "1m-64": partial(scans, MILLION, 64),
    "1m-128": partial(scans, MILLION, 128),
    "10m-64": partial(scans, 10 * MILLION, 64),
    "10m-128": partial(scans, 10 * MILLION, 128),
    "avx2": without_avx512,
    "filters": filters,
    "lists-1m": partial(lists, MILLION),
    "lists-10m": partial(lists, 10 * MILLION),
    "limits": limits,
    "changes": changes,
    "first-call": lambda: iter([first_call_row()]),
}


def main() -> int:
    """Measure, print, and store the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one ratio, within 40 seconds; nothing is stored")
    parser.add_argument("--only", choices=sorted(PARTS), help="one part alone")
    parser.add_argument("--avx2", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick or options.avx2:
        lengths, ks = ((64,), (10,)) if options.quick else ((64, 128), (10, 100))
        for row in small_rows("exact" if options.quick else "exact without AVX-512", lengths, ks):
            print(json.dumps(row), flush=True)
        return 0
    for part in [options.only] if options.only else PARTS:
        load, rows = os.getloadavg(), []
        for row in PARTS[part]():
            rows.append({**row, "part": part})
            print(json.dumps(rows[-1]), flush=True)
        store_part(part, rows, load)
    return 0


def store_part(part: str, rows: list[Row], load: tuple[float, float, float]) -> None:
    """Put a part's rows into search.json in place of its older ones, and beside them how it was measured."""
    path = HERE / "search.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": []}
    kept = [row for row in before["rows"] if row.get("part") in PARTS and row["part"] != part]
    places = list(PARTS)
    store(sorted(kept + rows, key=lambda row: places.index(row["part"])))  # a stable sort: rows keep their order
    stored = json.loads(path.read_text(encoding="utf-8"))
    own = {key: stored[key] for key in ("machine", "versions", "date")}
    own["load"] = [round(one, 1) for one in load]
    stored["parts"] = before.get("parts", {}) | {part: own}
    write_whole(path, (json.dumps(stored, indent=1) + "\n").encode())


def store(rows: list[Row], file: str = "search.json", data: str = CLUSTERED) -> None:
    """Write rows into a file beside this one, with the data they were measured on, the machine and the versions."""
    import faiss
    import llvmlite
    import numba

    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    versions = {"crossbit": crossbit.__version__, "numpy": np.__version__, "numba": numba.__version__}
    versions |= {"llvmlite": llvmlite.__version__, "faiss": faiss.__version__, "python": platform.python_version()}
    stored = {
        "data": data,
        "machine": {"processor": processor, "cores": os.cpu_count()},
        "versions": versions,
        "date": datetime.now(UTC).date().isoformat(),
        "rows": rows,
    }
    write_whole(HERE / file, (json.dumps(stored, indent=1) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
