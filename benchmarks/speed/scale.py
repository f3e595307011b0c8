"""Measure what docs/scale.md sizes from: encoding by workers, exact search, and engines beside crossbit.

    python benchmarks/speed/scale.py            written to scale.json; some minutes
    python benchmarks/speed/scale.py --engine milvus URI     one engine at an address, as one JSON line

Figures of one process are CPU seconds, so that they hold on a machine with other work. Those of several processes and
of servers are wall seconds in one run, and hang on what else the machine does: the load is stored with them.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from crossbit.codes import Codes
from crossbit.distributed import encode_codes
from crossbit.experiment.run import machine, versions
from crossbit.files import write_whole
from crossbit.hasher import Hasher, HashFunction, Layer
from crossbit.index import ExactIndex
from crossbit.testing.index import random_codes

HERE = Path(__file__).resolve().parent
OUT = HERE / "scale.json"
ROWS, WIDTH, HIDDEN, N_BITS = 200_000, 512, 1024, 64
HELD, ASKED, K = 100_000, 200, 10
Row = dict[str, Any]


def timed(call: Callable[[], Any], clock: Callable[[], float], times: int = 1) -> float:
    """The fewest seconds of several calls."""
    seconds = []
    for _ in range(times):
        begin = clock()
        call()
        seconds.append(clock() - begin)
    return min(seconds)


def encoding(folder: Path) -> list[Row]:
    """Rows a second of a linear hasher and of a small network: alone, by processes, by Ray."""
    rng = np.random.default_rng(0)
    np.save(folder / "features.npy", rng.standard_normal((ROWS, WIDTH), dtype=np.float32))
    rows = []
    for kind, widths in (("linear", (WIDTH, N_BITS)), ("one hidden layer", (WIDTH, HIDDEN, N_BITS))):
        layers = tuple(
            Layer(
                rng.standard_normal((a, b)).astype(np.float32),
                np.zeros(b, np.float32),
                "relu" if b == HIDDEN else "linear",
            )
            for a, b in pairwise(widths)
        )
        hasher = Hasher(HashFunction(layers), HashFunction(layers))
        hasher.save(folder / "hasher.safetensors")
        features = np.load(folder / "features.npy", mmap_mode="r")
        hasher.encode_images(features[:5000])
        cpu = timed(lambda h=hasher, f=features: h.encode_images(f), time.process_time)
        rows.append({"what": "encode", "hasher": kind, "by": "one process", "rows_per_cpu_second": round(ROWS / cpu)})
        for by in ("processes", "ray"):
            with tempfile.TemporaryDirectory() as out:
                wall = timed(
                    lambda b=by, o=out: encode_codes(
                        folder / "hasher.safetensors", folder / "features.npy", o, modality="image", workers=2, by=b
                    ),
                    time.perf_counter,
                )
            rows.append({"what": "encode", "hasher": kind, "by": f"2 workers, {by}", "wall_seconds": round(wall, 2)})
    return rows


def searching() -> list[Row]:
    """Exact search on one thread: a lone query, and a query of a batch."""
    rows = []
    for n in (1_000_000, 10_000_000):
        for n_bits in (64, 128):
            packed = np.random.default_rng(1).integers(0, 256, (n, n_bits // 8), dtype=np.uint8)
            index, queries = ExactIndex.over(Codes(packed, n_bits), threads=1), random_codes(ASKED, n_bits, 2)
            index.search(queries[:2], K)
            lone = timed(lambda i=index, q=queries: i.search(q[:1], K), time.process_time, 5)
            batch = timed(lambda i=index, q=queries: i.search(q, K), time.process_time, 2) / ASKED
            rows.append(
                {"what": "exact", "n": n, "n_bits": n_bits, "k": K, "batch": ASKED}
                | {"lone_milliseconds": round(lone * 1e3, 3), "batch_milliseconds": round(batch * 1e3, 3)}
            )
    return rows


def engine(kind: str, place: str) -> Row:
    """One engine: rows written a second, a lone query, a query of a batch. The hits are those of the exact scan."""
    if kind == "milvus":
        from crossbit.index.milvus import MilvusIndex as Engine
    else:
        from crossbit.index.postgres import PostgresIndex as Engine
    codes, ids, queries = random_codes(HELD, N_BITS, 3), np.arange(HELD), random_codes(ASKED, N_BITS, 4)
    index, exact = Engine(N_BITS, place, "measured"), ExactIndex(N_BITS)
    exact.add(codes, ids)
    written = timed(lambda: index.upsert(codes, ids), time.perf_counter)
    found, right = index.search(queries, K), exact.search(queries, K)
    assert np.array_equal(found.ids, right.ids), "the engine's hits are not those of the exact scan"
    some = 20 if kind == "milvus" else 5
    lone = timed(lambda: [index.search(queries[i : i + 1], K) for i in range(some)], time.perf_counter, 3) / some
    asked = ASKED if kind == "milvus" else 20
    batch = timed(lambda: index.search(queries[:asked], K), time.perf_counter, 3) / asked
    own = timed(lambda: exact.search(queries, K), time.perf_counter, 3) / ASKED
    index.drop()
    index.close()
    return {
        "what": "engine",
        "engine": kind,
        "n": HELD,
        "n_bits": N_BITS,
        "k": K,
        "rows_written_per_second": round(HELD / written),
        "lone_milliseconds": round(lone * 1e3, 2),
        "batch": asked,
        "batch_milliseconds": round(batch * 1e3, 3),
        "batch_milliseconds_of_exact_index": round(own * 1e3, 3),
    }


ALONE = ("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
SERVE = """
import sys, subprocess; from pathlib import Path
sys.path.insert(0, sys.argv[1])
import milvus
server = milvus.MilvusServer(milvus.MilvusServerConfig(data_dir=sys.argv[2]))
server.start()
done = subprocess.run([sys.executable, sys.argv[3], "--engine", "milvus", f"http://127.0.0.1:{server.listen_port}"])
server.stop()
sys.exit(done.returncode)
"""


def engines() -> list[Row]:
    """Milvus in a network of its own, PostgreSQL on a socket file; those that cannot run here are left out."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        inner = [sys.executable, "-c", SERVE, str(HERE), folder, str(Path(__file__).resolve())]
        done = subprocess.run(
            [*ALONE, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *inner],
            capture_output=True,
            text=True,
            check=False,
        )
        rows.append(_told(done, "milvus"))
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    from test_postgres import Server, binaries

    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = Server(binaries(), folder)
    try:
        rows.append(engine("postgresql", server.database))
    finally:
        server.stop()
        subprocess.run(["rm", "-r", str(folder)], check=True)
    return rows


def _told(done: subprocess.CompletedProcess[str], name: str) -> Row:
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"what"')]
    return json.loads(lines[-1]) if lines else {"what": "engine", "engine": name, "left_out": done.stderr[-300:]}


def main() -> int:
    """Measure all and store it, or one engine and print it."""
    if sys.argv[1:2] == ["--engine"]:
        print(json.dumps(engine(sys.argv[2], sys.argv[3])))
        return 0
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for part in (lambda: encoding(Path(folder)), searching, engines):
            rows += part()
            print(*map(json.dumps, rows), sep="\n")
    about = {"date": datetime.date.today().isoformat(), "machine": dict(machine()), "versions": versions()}
    about |= {"load": [round(load, 1) for load in os.getloadavg()], "rows_encoded": ROWS, "width": WIDTH}
    write_whole(OUT, (json.dumps({**about, "rows": rows}, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
