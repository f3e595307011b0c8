"""Measure collections: adding, removing, opening, memory an item, and a million items from features to answers.

    python benchmarks/speed/collection.py [--items 10000000]

Written to collection.json. Rates hang on the disk (every acknowledged change is flushed) and on what else runs: the
ratios say more than the figures. Each opening is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from crossbit import Codes, Hasher, HashFunction
from crossbit.collection import Collection, Items
from crossbit.experiment.run import machine, versions
from crossbit.files import write_whole
from crossbit.hasher import Layer

HERE = Path(__file__).resolve().parent
N_BITS, WIDTH, MILLION = 64, 128, 1_000_000

OPEN = """
import json, sys, time
import crossbit.collection, crossbit.index, pyarrow.ipc
from pathlib import Path
def held(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024
before = held("VmRSS"), held("RssAnon")
began = time.perf_counter()
opened = crossbit.collection.Collection.open(sys.argv[1])
seconds = time.perf_counter() - began
after = held("VmRSS"), held("RssAnon")
began = time.perf_counter()
opened.get("item-123456")
lookup = time.perf_counter() - began
code = opened.code("item-123456", "image")
opened.search(code, 10, among="image")
searched = held("VmRSS"), held("RssAnon")
told = {"n": len(opened), "segments": len(opened.manifest.segments), "open_seconds": seconds}
told |= {"lookup_milliseconds": 1000 * lookup, "open_mib": after[0] - before[0]}
told |= {"searched_mib": searched[0] - before[0], "searched_own_mib": searched[1] - before[1]}
print(json.dumps({name: round(value, 4) for name, value in told.items()}))
"""


def hasher() -> Hasher:
    rng = np.random.default_rng(0)
    sides = [
        HashFunction((Layer(rng.normal(size=(WIDTH, N_BITS)).astype(np.float32), np.zeros(N_BITS, np.float32)),))
        for _ in range(2)
    ]
    return Hasher(sides[0], sides[1], method="random")


def items(start: int, stop: int) -> Items:
    numbers = range(start, stop)
    ids, captions = [f"item-{n}" for n in numbers], [f"a caption of the item number {n}" for n in numbers]
    return Items(ids, captions, metadata={"year": np.arange(start, stop) % 100 + 1920})


def blocks(n: int) -> Iterator[tuple[Items, Codes]]:
    rng = np.random.default_rng(1)
    for start in range(0, n, MILLION):
        stop = min(start + MILLION, n)
        yield items(start, stop), Codes(rng.integers(0, 256, (stop - start, N_BITS // 8), dtype=np.uint8), N_BITS)


def opened(place: Path) -> dict[str, Any]:
    ran = subprocess.run([sys.executable, "-c", OPEN, str(place)], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found | {"codes_mib": round(found["n"] * N_BITS / 8 / 2**20, 1)}


def small_changes(place: Collection, n: int) -> dict[str, float]:
    """Items added and removed one by one and by the hundred, a second."""
    codes = Codes(np.random.default_rng(2).integers(0, 256, (n, N_BITS // 8), dtype=np.uint8), N_BITS)
    rates = {}
    for size in (1, 100):
        ids = [f"{size}-{number}" for number in range(n if size > 1 else n // 10)]
        began = time.perf_counter()
        for start in range(0, len(ids), size):
            part = ids[start : start + size]
            place.add(Items(part, [""] * len(part)), image=codes[slice(start, start + len(part))])
        rates[f"added_by_{size}_per_second"] = len(ids) / (time.perf_counter() - began)
        began = time.perf_counter()
        for start in range(0, len(ids), size):
            place.remove(ids[start : start + size])
        rates[f"removed_by_{size}_per_second"] = len(ids) / (time.perf_counter() - began)
    return {name: round(rate, 1) for name, rate in rates.items()}


def end_to_end(place: Path) -> dict[str, float]:
    """A million items with image and text features: encoded, stored, opened and asked."""
    rng, made = np.random.default_rng(3), hasher()
    image, text = (rng.normal(size=(MILLION, WIDTH)).astype(np.float32) for _ in range(2))
    named = items(0, MILLION)
    began = time.perf_counter()
    collection = Collection.create(place, made, named, image_features=image, text_features=text)
    built = time.perf_counter() - began
    collection.search_texts(text[:1], 10)
    began = time.perf_counter()
    for _ in range(20):
        collection.search_texts(text[:1], 10)
    asked = (time.perf_counter() - began) / 20
    collection.search_texts(text[:1], 10, where="year = 1950")
    began = time.perf_counter()
    for _ in range(20):
        collection.search_texts(text[:1], 10, where="year = 1950")
    filtered = (time.perf_counter() - began) / 20
    began = time.perf_counter()
    collection.facets("year")
    facets = time.perf_counter() - began
    whole = {"build_seconds": built, "search_milliseconds": 1000 * asked, "filtered_milliseconds": 1000 * filtered}
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    return {name: round(value, 3) for name, value in (whole | {"facets_seconds": facets}).items()} | {
        "bytes_an_item_on_disk": round(size / MILLION, 1)
    }


def main() -> int:
    """Measure and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10 * MILLION)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole = end_to_end(Path(folder) / "million")
        print(whole, file=sys.stderr)
        million = opened(Path(folder) / "million")
        changes = small_changes(Collection.open(Path(folder) / "million"), 20_000)
        print(million, changes, file=sys.stderr)
        large = Collection.create(Path(folder) / "large", hasher())
        seconds = 0.0
        for named, codes in blocks(options.items):
            began = time.perf_counter()
            large.add(named, image=codes)
            seconds += time.perf_counter() - began
        rate = round(options.items / seconds, 1)
        found = {"added_by_million_per_second": rate, "several_segments": opened(Path(folder) / "large")}
        print(found, file=sys.stderr)
    result = {"n_bits": N_BITS, "feature_width": WIDTH, "million": whole | million, "changes": changes, "large": found}
    result |= {"machine": machine(), "versions": versions()}
    write_whole(HERE / "collection.json", (json.dumps(result, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
