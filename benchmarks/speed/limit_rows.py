"""How near the scans come to the limits of the hardware, by a small C kernel (limit.c)."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from clustered import clustered_codes, of_bits
from measuring import MILLION, Row, fastest
from scan_rows import exact_row, lone_row

HERE = Path(__file__).resolve().parent


def limits() -> Iterator[Row]:
    """The limits of the hardware, and what share of them the scans of 1 million codes reach."""
    packed, queries = clustered_codes(MILLION, 1000)
    rows = [lone_row(of_bits(packed, 64), of_bits(queries, 64), 10, 3)]
    for n_bits in (64, 128):
        rows += [exact_row(of_bits(packed, n_bits), of_bits(queries, n_bits), k, "exact", 3) for k in (10, 100)]
    yield from limit_rows(of_bits(packed, 64), rows)


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
