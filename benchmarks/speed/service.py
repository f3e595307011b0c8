"""Measure the service on loopback: latency, rate, memory, cold start, beside FastAPI over FAISS; and a mixed load.

    python benchmarks/speed/service.py            10 thousand and 1 million items, written to service.json: 5 minutes
    python benchmarks/speed/service.py --quick    10 thousand items, a second each, printed only

64-bit codes of a mixture (clustered.py), searched by code with k = 10 through crossbit and through the least that one
would write over faiss.IndexBinaryFlat (service_faiss.py), in turn in one run; and by words, encoded by the ONNX export
of MiniLM. Both services run on uvicorn with uvloop and httptools. "faiss with metadata" also gives what a page shows of
each hit. Users ask as soon as they are answered. The driver runs on the same machine and takes its share of it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from clustered import clustered_codes, of_bits  # noqa: E402  # beside this file
from loopback import Load, put_under_load, request  # noqa: E402
from mixed_load import mixed_load, wrong_answers  # noqa: E402

from crossbit import Codes, Hasher, HashFunction  # noqa: E402
from crossbit.collection import Collection, Items  # noqa: E402
from crossbit.encoders import MiniLM  # noqa: E402
from crossbit.experiment.run import machine, versions  # noqa: E402
from crossbit.files import write_whole  # noqa: E402
from crossbit.hasher import Layer  # noqa: E402
from crossbit.queries import export_queries  # noqa: E402

TOKEN = "a-token-of-the-speed-run-01"
N_BITS, K, USERS, ROUNDS, SECONDS = 64, 10, (1, 8, 64), 2, 3.0
TEXTS = ("a red boat on the sea", "two dogs", "a house by night", "small green trees", "snow and sun", "an old car")


def make_collection(place: Path, packed: np.ndarray, store: dict[str, Path]) -> None:
    """A collection of these codes whose words are encoded by an export, which is made once."""
    rng = np.random.default_rng(0)
    sides = [
        HashFunction((Layer(rng.normal(size=(width, N_BITS)).astype(np.float32), np.zeros(N_BITS, np.float32)),))
        for width in (4, 384)
    ]
    encoders = {"image": "features from elsewhere", "text": MiniLM().fingerprint()}
    hasher = Hasher(sides[0], sides[1], method="made", encoders=encoders)
    n = len(packed)
    items = Items(
        [f"item-{row}" for row in range(n)],
        [f"the caption of item {row}" for row in range(n)],
        metadata={"year": [2000 + row % 25 for row in range(n)]},
    )
    codes = Codes(packed, N_BITS)
    Collection.create(place, hasher, items, image=codes, text=codes)
    if "query" not in store:
        export_queries(hasher, place / "query")
        store["query"] = place / "query"
    elif not (place / "query").exists():
        (place / "query").symlink_to(store["query"])


@contextmanager
def started(command: list[str], port: int) -> Iterator[tuple[int, float]]:
    """A service's process id and the seconds until it was ready; it is ended with the block."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | {"CROSSBIT_WRITE_TOKEN": TOKEN})
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1).read()
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - began > 120:
                    raise RuntimeError("The service did not start.") from None
                time.sleep(0.01)
        yield process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def memory_mib(process: int) -> float:
    """What a process holds in memory of its own and of mapped files, in MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def measure(n: int, folder: Path, seconds: float, store: dict[str, Path]) -> dict[str, Any]:
    """The figures of one size."""
    packed, queries = (of_bits(some, N_BITS) for some in clustered_codes(n, 500))
    place = folder / f"collection-{n}"
    make_collection(place, packed, store)
    np.save(folder / "codes.npy", packed)
    ports = free_port(), free_port()
    own = [sys.executable, "-c", "from crossbit.cli import main; main()", "serve", str(place)]
    own += ["--port", str(ports[0]), "--log", "none"]
    other = [sys.executable, str(HERE / "service_faiss.py"), str(folder / "codes.npy"), str(ports[1])]
    by_code = [request("/v1/search", {"code": query.tobytes().hex(), "k": K}) for query in queries]
    for_items = [request("/v1/items", {"code": query.tobytes().hex(), "k": K}) for query in queries]
    by_text = [request("/v1/search", {"text": text, "k": K}) for text in TEXTS]
    found: dict[str, Any] = {"items": n}
    with started(own, ports[0]) as (process, cold), started(other, ports[1]):
        found["seconds_to_ready"] = round(cold, 2)
        for port in ports:
            put_under_load(port, by_code, 4, 0.5)
        put_under_load(ports[0], by_text, 4, 0.5)
        memory = [memory_mib(process)]
        for users in USERS:
            loads = {port: Load() for port in ports}
            for _ in range(ROUNDS):  # in turn, so that what else the machine does meets both
                for port in ports:
                    loads[port] = loads[port].joined(put_under_load(port, by_code, users, seconds))
                    memory.append(memory_mib(process))
            text = put_under_load(ports[0], by_text, users, seconds)
            memory.append(memory_mib(process))
            whole = put_under_load(ports[1], for_items, users, seconds)
            figures = {name: loads[port].figures() for name, port in zip(("crossbit", "faiss"), ports, strict=True)}
            found[f"users {users}"] = figures | {
                "crossbit by words": text.figures(),
                "faiss with metadata": whole.figures(),
            }
            print(n, users, json.dumps(found[f"users {users}"]), flush=True)
        found["memory_mib"] = {"after warm-up": round(memory[0], 1), "largest": round(max(memory), 1)}
        found["memory_mib"]["at the end"] = round(memory[-1], 1)
        if n <= 10_000:
            record = mixed_load(f"http://127.0.0.1:{ports[0]}", TOKEN, 3 * seconds, queries)
            wrong = wrong_answers(record, [f"item-{row}" for row in range(n)], packed)
            found["mixed load"] = {"searches": len(record.seen), "adds": record.adds, "deletes": record.deletes}
            found["mixed load"]["answers unlike an exact index"] = wrong
            print(json.dumps(found["mixed load"]), flush=True)
    return found


def main() -> int:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        store: dict[str, Path] = {}
        sizes = (10_000,) if quick else (10_000, 1_000_000)
        runs = [measure(n, Path(folder), 1.0 if quick else SECONDS, store) for n in sizes]
    stored = {
        "protocol": {"n_bits": N_BITS, "k": K, "seconds": SECONDS, "rounds": ROUNDS, "workers": 2},
        "runs": runs,
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "machine": dict(machine()),
        "versions": versions()
        | {name: version(name) for name in ("faiss-cpu", "fastapi", "uvicorn", "uvloop", "httptools")},
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    if not quick:
        write_whole(HERE / "service.json", (json.dumps(stored, indent=1) + "\n").encode())
    return 1 if any(run.get("mixed load", {}).get("answers unlike an exact index") for run in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
