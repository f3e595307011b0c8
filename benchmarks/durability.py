"""Kill a process that changes a collection with SIGKILL at random moments, and look at what is there afterwards.

    python benchmarks/durability.py                  200 kills, stored in durability.json
    python benchmarks/durability.py --kills 40 --out -    fewer, printed

The process adds, replaces, removes, compacts, migrates and builds engines at random and tells each change before it
begins and after it was acknowledged. After each kill the collection is opened and checked in full: every acknowledged
change must be there, no removed item may be back, and the one change that was under way must be there whole or not at
all. What the engine that stands there finds must be there, at its true distance.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from crossbit import Codes, Hasher, HashFunction
from crossbit.collection import Collection, Items, check_collection, writer
from crossbit.files import write_whole
from crossbit.hasher import Layer
from crossbit.index import IvfIndex, PrefixIndex, PrunedIndex

HERE = Path(__file__).resolve().parent
Content = tuple[str, int]  # an item's caption and year
Model = dict[str, Content]
KINDS = ("add", "bulk", "remove", "compact", "migrate", "engine")
ENGINES = ("ivf", "pruned", "prefix")


def hasher_of(seed: int) -> Hasher:
    rng = np.random.default_rng(seed)
    sides = [
        HashFunction((Layer(rng.normal(size=(8, 16)).astype(np.float32), np.zeros(16, np.float32)),)) for _ in range(2)
    ]
    return Hasher(sides[0], sides[1], method="random")


def features_of(ids: list[str]) -> Any:
    return np.stack([np.random.default_rng(int(name)).normal(size=8).astype(np.float32) for name in ids])


def items_of(content: Model) -> tuple[Items, Any]:
    ids = list(content)
    captions, years = [content[name][0] for name in ids], [content[name][1] for name in ids]
    return Items(ids, captions, metadata={"year": years}), features_of(ids)


def change(kind: str, model: Model, draw: random.Random) -> Any:
    """A random change of a kind, as plain values."""
    if kind in ("add", "bulk"):
        n = draw.randint(1, 6) if kind == "add" else draw.randint(25, 60)
        return {str(draw.randrange(400)): (f"caption {draw.random()}", draw.randrange(100)) for _ in range(n)}
    if kind == "remove":
        return draw.sample(sorted(model), min(len(model), draw.choice((1, 3, 20))))
    return draw.choice(ENGINES) if kind == "engine" else draw.randrange(1_000_000)


def applied(model: Model, kind: str, what: Any) -> Model:
    if kind in ("add", "bulk"):
        return model | what
    return {name: held for name, held in model.items() if name not in what} if kind == "remove" else model


def warm() -> None:
    """Import and load what the first changes would, so that the kills land on the changes themselves."""
    pyarrow.array([1])
    codes = Codes(np.random.default_rng(0).integers(0, 256, (60, 2), dtype=np.uint8), 16)
    for kind in (IvfIndex, PrunedIndex, PrefixIndex):
        kind.build(codes).search(codes, 1)


def work(place: str, seed: int, model: Model, told: Connection) -> None:
    """What the process does until it is killed."""
    writer.LOG_ITEMS, writer.SMALL = 64, 20  # so that segments are written and put together often
    draw = random.Random(seed)
    opened = Collection.open(place)
    warm()
    told.send("ready")
    while True:
        kind = draw.choices(KINDS, weights=(10, 2, 6, 1, 1, 1))[0]
        what = change(kind, model, draw)
        told.send(("begun", kind, what))
        if kind in ("add", "bulk"):
            items, features = items_of(what)
            opened.add(items, image_features=features, text_features=features, if_exists="replace")
        elif kind == "remove":
            opened.remove(what)
        elif kind == "compact":
            opened.compact()
        elif kind == "engine":
            opened.build_engines(what)
        else:
            opened.migrate(hasher_of(what % 2))
        model = applied(model, kind, what)
        told.send(("done", kind, what))


def kill_once(place: Path, seed: int, model: Model, context: Any) -> tuple[Model, str, Counter[str]]:
    """One process, killed. Returns what is there, what was under way, and what was acknowledged, by kind."""
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(str(place), seed, model, there))
    process.start()
    there.close()
    assert here.recv() == "ready"
    time.sleep(random.Random(seed).random() * 0.4)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"the process ended by itself with {process.exitcode}"
    pending, done = ("", None), Counter[str]()
    try:
        while True:
            state, kind, what = here.recv()
            if state == "done":
                model, pending = applied(model, kind, what), ("", None)
                done[kind] += 1
            else:
                pending = (kind, what)
    except EOFError:
        pass
    found = contents(place)
    after = applied(model, *pending) if pending[0] else model
    if found not in (model, after):
        lost = {name: held for name, held in model.items() if found.get(name) != held and after.get(name) == held}
        raise AssertionError(f"After a kill during {pending[0] or 'nothing'}: {len(lost)} acknowledged items differ.")
    return found, pending[0], done


def contents(place: Path) -> Model:
    """All that stands in a collection, which must be in order and find each item by its own code."""
    problems = check_collection(place)
    assert not problems, problems
    opened = Collection.open(place)
    found = {item.id: (item.caption, item.metadata["year"]) for item in map(opened.get, opened.ids())}
    if found:
        ids = list(found)
        codes = opened.hasher.encode_images(features_of(ids))
        assert all(opened.code(name, "image") == codes[row : row + 1] for row, name in enumerate(ids))
        distances = (codes.bits()[:, None] != codes.bits()[None]).sum(axis=2)
        for row, hits in enumerate(opened.search(codes, 5, among="image")):  # by whatever engine stands there
            assert len(hits) == min(5, len(ids))
            assert all(hit.distance == distances[row, ids.index(hit.id)] for hit in hits)
    return found


def run(kills: int, seed: int, tell: Callable[[str], None] = lambda line: None) -> dict[str, Any]:
    """Kill so many times; raises AssertionError at the first loss."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "crossbit.collection", "faiss", "pandas"])
    during, acknowledged = Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "collection"
        Collection.create(place, hasher_of(0), store_features=True)
        model: Model = {}
        for number in range(kills):
            model, pending, done = kill_once(place, seed * 100_000 + number, model, context)
            during[pending or "nothing"] += 1
            acknowledged += done
            tell(f"{number + 1}/{kills}: killed during {pending or 'nothing'}, {len(model)} items")
    return {"kills": kills, "seed": seed, "killed_during": dict(during), "acknowledged": dict(acknowledged), "lost": 0}


def main() -> int:
    """Run and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=str(HERE / "durability.json"))
    options = parser.parse_args()
    result = run(options.kills, options.seed, lambda line: print(line, file=sys.stderr))
    if options.out == "-":
        print(json.dumps(result))
    else:
        from crossbit.experiment.run import machine, versions  # here, so that the processes that are killed start fast

        stored = result | {"machine": machine(), "versions": versions()}
        write_whole(Path(options.out), (json.dumps(stored, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
