"""Opening, adding and removing, and what the first calls in a new process cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from clustered import clustered_codes, of_bits
from measuring import MILLION, Row

from crossbit.codes import Codes
from crossbit.index import ExactIndex
from crossbit.kernels import warm_up


def changes() -> Iterator[Row]:
    yield from change_rows(of_bits(clustered_codes(10 * MILLION, 1)[0], 64))


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
