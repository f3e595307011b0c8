"""Kill the service under load again and again: is everything that it acknowledged there afterwards?

    python benchmarks/service_durability.py            50 times kill -9, written to service_durability.json: minutes
    python benchmarks/service_durability.py --kills 3  fewer, printed only

Six clients add items and remove some of them; at a random moment the process is killed. After each kill the collection
is opened, and every acknowledged item must be in it and every acknowledged removal must have stayed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from crossbit import Hasher, HashFunction
from crossbit.client import Client, ServiceError, new_item
from crossbit.collection import Collection, check_collection
from crossbit.encoders import BagOfWords
from crossbit.experiment.run import machine, versions
from crossbit.files import write_whole
from crossbit.hasher import Layer

HERE = Path(__file__).resolve().parent
RESULT = HERE / "service_durability.json"
TOKEN = "a-token-of-the-durability-run"
CLIENTS, SEED = 6, 0
WORDS = BagOfWords(("red", "green", "blue", "small", "large", "cat", "dog", "house", "tree", "sea"))


class Told:
    """What the service acknowledged, and what it was asked without an answer."""

    def __init__(self) -> None:
        self.present: set[str] = set()
        self.absent: set[str] = set()
        self.open: set[str] = set()  # asked to remove, no answer: either is right


def start(place: Path, log: Path) -> tuple[subprocess.Popen[str], str]:
    """A service and its address."""
    source = "from crossbit.cli import main; main()"
    command = [sys.executable, "-c", source, "serve", str(place), "--port", "0", "--json", "--log", "none"]
    with log.open("a") as file:
        environment = os.environ | {"CROSSBIT_WRITE_TOKEN": TOKEN}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment)
    assert process.stdout is not None
    text = ""
    while not text.rstrip().endswith("}"):
        line = process.stdout.readline()
        assert line, log.read_text()
        text += line
    return process, json.loads(text)["address"]


def load(address: str, name: str, told: Told) -> None:
    """Add items, and remove every third, until the service is gone."""
    with Client(address, token=TOKEN, timeout=30) as client:
        for row in range(1_000_000):
            item = f"{name}-{row}"
            try:
                client.add(new_item(item, "red tree", metadata={"row": row}))
                told.present.add(item)
                if row % 3 == 2:
                    gone = f"{name}-{row - 1}"
                    told.open.add(gone)
                    client.remove(gone)
                    told.absent.add(gone)
            except ServiceError:
                return


def kill_once(place: Path, number: int, told: Told, moment: float) -> float:
    """Serve, load, kill; the seconds from the start of the process to its first answer."""
    began = time.perf_counter()
    process, address = start(place, place.parent / "service.log")
    with Client(address) as client:
        client.info()
    seconds = time.perf_counter() - began
    threads = [threading.Thread(target=load, args=(address, f"{number}-{worker}", told)) for worker in range(CLIENTS)]
    for thread in threads:
        thread.start()
    before, patience = len(told.present), time.monotonic() + 60
    while len(told.present) == before and time.monotonic() < patience:
        time.sleep(0.01)
    time.sleep(moment)
    process.kill()
    process.wait()
    for thread in threads:
        thread.join()
    return seconds


def lost(place: Path, told: Told) -> tuple[set[str], set[str]]:
    """Acknowledged items that are not there, and acknowledged removals that came back."""
    held = set(Collection.open(place).ids())
    return told.present - told.open - held, told.absent & held


def main() -> int:
    """Kill so many times and store what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    kills = parser.parse_args().kills or 50
    rng = np.random.default_rng(SEED)
    sides = [
        HashFunction((Layer(rng.normal(size=(width, 64)).astype(np.float32), np.zeros(64, np.float32)),))
        for width in (4, WORDS.width)
    ]
    encoders = {"image": "none", "text": WORDS.fingerprint()}
    told, faults, starts = Told(), 0, []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "collection"
        Collection.create(place, Hasher(sides[0], sides[1], method="made", encoders=encoders), vocabulary=WORDS)
        for number in range(kills):
            starts.append(kill_once(place, number, told, float(rng.uniform(0.0, 1.5))))
            missing, returned = lost(place, told)
            faults += len(missing) + len(returned)
            print(f"kill {number + 1}: {len(told.present)} acknowledged, lost {len(missing)}, back {len(returned)}")
        damage = [str(one) for one in check_collection(place)]
    stored = {
        "kills": kills,
        "seed": SEED,
        "clients": CLIENTS,
        "acknowledged_items": len(told.present),
        "acknowledged_removals": len(told.absent),
        "lost_or_returned": faults,
        "damage_found_by_check": damage,
        "median_seconds_to_first_answer": round(float(np.median(starts)), 2),
        "machine": dict(machine()),
        "versions": versions(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    print(json.dumps(stored, indent=1))
    if kills >= 50:
        write_whole(RESULT, (json.dumps(stored, indent=1) + "\n").encode())
    return 1 if faults or damage else 0


if __name__ == "__main__":
    sys.exit(main())
