"""Measure encoding at size: speed against a plain loop, memory at 1,000 and 100,000 pictures, and kill -9.

    python benchmarks/speed/encode.py            all of it (about 15 minutes on two cores), written to encode.json
    python benchmarks/speed/encode.py --quick    the same on fewer pictures, printed and not stored

Pictures are made from their row number, the same in every run. Speeds are compared within a run, in turns.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossbit.encoders import EfficientNetLite0, Encoded, EncodedStore, Preparation, encode_stream, open_picture
from crossbit.encoders.encoder import encode_pictures
from crossbit.experiment.run import machine, peak_memory_mib, versions
from crossbit.files import write_whole
from crossbit.progress import Step
from crossbit.sources import Record

HERE = Path(__file__).resolve().parent
SQUASH = Preparation(side=32, fit="squash")
SIDE_BY_SIDE = "a loop on each core, in processes"


@dataclass(frozen=True)
class Made:
    """n pictures made from their row numbers: a coarse random pattern, enlarged, as JPEG. side: of the picture."""

    n: int
    side: tuple[int, int]
    name: str = "made"

    def count(self) -> int:
        return self.n

    def fingerprint(self) -> str:
        return f"{self.n}-{self.side}"

    def records(self, start: int = 0) -> Iterator[Record]:
        return (Record(str(row), self.picture(row)) for row in range(start, self.n))

    def picture(self, row: int) -> bytes:
        coarse = np.random.default_rng(row).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        content = io.BytesIO()
        Image.fromarray(coarse).resize(self.side, Image.Resampling.BICUBIC).save(content, "JPEG", quality=90)
        return content.getvalue()


@dataclass(frozen=True)
class Small:
    """A cheap encoder for the runs that are about memory and kills: 64 random projections of the 32 x 32 pixels."""

    batch: int = 64
    width: int = 64
    preparation: Preparation = SQUASH

    def fingerprint(self) -> str:
        return "random-projection-of-32x32"

    def encode(self, items: Any) -> Encoded:
        return encode_pictures(self, items)

    def encode_prepared(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        projection = np.random.default_rng(0).normal(size=(3 * 32 * 32, 64)).astype(np.float32)
        return pixels.reshape(len(pixels), -1).astype(np.float32) @ projection


def speed(n: int, rounds: int) -> dict[str, Any]:
    """Pictures of 640 x 480 a second: one at a time on one and on all of torch's threads, and in a stream."""
    import torch

    cores = os.cpu_count() or 1
    pictures = [Made(n, (640, 480)).picture(row) for row in range(n)]
    listed = [Record(str(row), picture) for row, picture in enumerate(pictures)]
    encoder = EfficientNetLite0()
    encoder.encode(pictures[:1])  # load the weights
    ways = {"loop, one torch thread": 1, "stream": 1}
    if os.getloadavg()[0] < cores:  # among other programs torch's threads wait for each other without end
        ways[f"loop, {cores} torch threads"] = cores
    rates: dict[str, list[float]] = {way: [] for way in ways}
    used: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        for way, threads in list(ways.items())[:: 1 if number % 2 else -1]:
            torch.set_num_threads(threads)
            counted = n if threads == 1 else max(1, n // 4)  # a part tells as much
            began, cpu = time.perf_counter(), cpu_seconds()
            if way == "stream":
                with tempfile.TemporaryDirectory() as folder:
                    encode_stream(listed, {"image": encoder}, folder, lanes=cores, workers=cores)
            else:
                for picture in pictures[:counted]:
                    encoder.encode([picture])
            rates[way].append(counted / (time.perf_counter() - began))
            used[way].append((cpu_seconds() - cpu) / counted)
            print(f"{way}: {rates[way][-1]:.1f} pictures/s", flush=True)
        rates.setdefault(SIDE_BY_SIDE, []).append(side_by_side(n, cores))
        print(f"{SIDE_BY_SIDE}: {rates[SIDE_BY_SIDE][-1]:.1f} pictures/s", flush=True)
    best_loop = [max(rates[way][number] for way in ways if way != "stream") for number in range(rounds)]
    one = [stream / loop for stream, loop in zip(rates["stream"], rates["loop, one torch thread"], strict=True)]
    best = [stream / loop for stream, loop in zip(rates["stream"], best_loop, strict=True)]
    several = [all_ / loop for all_, loop in zip(rates[SIDE_BY_SIDE], rates["loop, one torch thread"], strict=True)]
    return {
        "encoder": encoder.fingerprint(),
        "pictures": f"{n} JPEG files of 640 x 480 pixels, made from their numbers",
        "rounds": rounds,
        "lanes": cores,
        "workers": cores,
        "pictures_per_second": {way: round(statistics.median(found), 2) for way, found in rates.items()},
        "cpu_seconds_a_picture": {way: round(statistics.median(found), 4) for way, found in used.items()},
        "each_round": {way: [round(rate, 2) for rate in found] for way, found in rates.items()},
        "stream_to_loop_one_thread": _spread(one),
        "stream_to_best_loop": _spread(best),
        "loops_side_by_side_to_one_loop": _spread(several),
        "milliseconds_of_one_picture_on_one_thread": steps(encoder, pictures[:64]),
    }


def side_by_side(n: int, cores: int) -> float:
    """Pictures a second of as many plain loops as cores, each in a process of its own: what the cores can give."""
    command = [sys.executable, "-c", f"import encode; encode.loop_when_told({n}, {cores})"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    loops = [subprocess.Popen(command, cwd=HERE, text=True, **pipes) for _ in range(cores)]
    for loop in loops:
        loop.stdout.readline()
    began = time.perf_counter()
    for loop in loops:
        loop.stdin.write("\n")
        loop.stdin.flush()
    for loop in loops:
        loop.stdout.readline()
    seconds = time.perf_counter() - began
    for loop in loops:
        loop.communicate()
    return n // cores * cores / seconds


def loop_when_told(n: int, parts: int) -> None:
    """A plain loop over a part of n pictures, begun by a line on stdin: called in a process of its own."""
    import torch

    torch.set_num_threads(1)
    pictures = [Made(n, (640, 480)).picture(row) for row in range(n // parts)]
    encoder = EfficientNetLite0()
    encoder.encode(pictures[:1])
    print("ready", flush=True)
    sys.stdin.readline()
    for picture in pictures:
        encoder.encode([picture])
    print("done", flush=True)


def steps(encoder: EfficientNetLite0, pictures: list[bytes]) -> dict[str, float]:
    """What a picture takes in each step, on one thread with nothing beside it: the least of three goes."""
    import torch

    torch.set_num_threads(1)
    prepared = np.stack([encoder.preparation(open_picture(picture)) for picture in pictures])

    def network(batch: int) -> None:
        for start in range(0, len(prepared), batch):
            encoder.encode_prepared(prepared[start : start + batch])

    goes: dict[str, Callable[[], object]] = {
        "open": lambda: [open_picture(picture) for picture in pictures],
        "open and prepare": lambda: [encoder.preparation(open_picture(picture)) for picture in pictures],
        "network, one at a time": lambda: network(1),
        f"network, {encoder.batch} at a time": lambda: network(encoder.batch),
    }
    found = {}
    for what, go in goes.items():
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            go()
            taken.append(time.perf_counter() - began)
        found[what] = round(1000 * min(taken) / len(pictures), 2)
    return found


def cpu_seconds() -> float:
    """Processor time of this process and of those it has begun and that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _spread(ratios: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(ratios), 3), "min": round(min(ratios), 3), "max": round(max(ratios), 3)}


def memory(n: int, encoder: str) -> dict[str, Any]:
    """Peak resident memory of an encoding in a process of its own, and of the largest of its workers."""
    with tempfile.TemporaryDirectory() as folder:
        code = f"import encode; encode.encode_and_tell({n}, {encoder!r}, {folder + '/e'!r})"
        told = subprocess.run([sys.executable, "-c", code], cwd=HERE, check=True, capture_output=True, text=True).stdout
    print(told, flush=True)
    return {"encoder": encoder, **json.loads(told)}


def encode_and_tell(n: int, encoder: str, folder: str) -> None:
    """Encode n pictures, and print what it took: called in a process of its own."""
    began = time.perf_counter()
    painter = Small() if encoder == "small" else EfficientNetLite0()
    peaks = [0]

    def look(step: Step) -> None:
        if step.done % 1024 == 0 or step.done == n:
            peaks.append(worker_peak())

    store = encode_stream(Made(n, (64, 64)), {"image": painter}, folder, progress=look)
    seconds = time.perf_counter() - began
    found = {"pictures": len(store), "peak_mib": round(peak_memory_mib()), "largest_worker_peak_mib": max(peaks)}
    print(json.dumps(found | {"seconds": round(seconds, 1)}))


def worker_peak() -> int:
    """The peak memory in MiB of the largest process that opens pictures for this one; 0 where /proc does not tell."""
    peaks = [0]
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            status = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            if int(status["PPid"]) == os.getpid():
                peaks.append(int(status["VmHWM"].split()[0]) // 1024)
        except (OSError, KeyError, ValueError):
            continue
    return max(peaks)


@dataclass(frozen=True)
class Killing:
    """An encoding that is killed. longest: the seconds after its first item within which a kill comes."""

    encoder: str
    n: int
    side: tuple[int, int]
    shard: int
    times: int
    longest: float

    def begun(self, folder: Path, told: Path) -> tuple[subprocess.Popen[bytes], float, float]:
        """Begin it in a process of its own; when that was, and after how many seconds the first item was done."""
        told.write_text("")
        call = f"encode_telling({self.n}, {self.encoder!r}, {self.side}, {self.shard}, {str(folder)!r}, {str(told)!r})"
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", f"import encode; encode.{call}"], cwd=HERE)
        while not told.read_text() and process.poll() is None:
            time.sleep(0.005)
        return process, began, time.perf_counter() - began


def kills(how: Killing) -> dict[str, Any]:
    """Kill an encoding with SIGKILL again and again; tell what was done twice and what it cost; compare the outcome."""
    moments, again, waits = random.Random(0), [], []
    spent = 0.0
    with tempfile.TemporaryDirectory() as place:
        whole, folder, told = (Path(place) / name for name in ("whole", "killed", "told"))
        process, began, first = how.begun(whole, told)
        process.wait()
        in_one_go = time.perf_counter() - began
        for kill in range(how.times + 1):
            process, began, wait = how.begun(folder, told)
            waits.append(wait)
            if kill < how.times:
                time.sleep(moments.uniform(0, how.longest))
                process.send_signal(signal.SIGKILL)
            process.wait()
            spent += time.perf_counter() - began
            stored = len(list(folder.glob("shard-*"))) * how.shard
            again.append(max(0, int((told.read_text().split() or ["0"])[-1]) - stored))
        store, rows = EncodedStore.open(folder), EncodedStore.open(whole).features("image")[:]
        same = np.array_equal(store.features("image")[:], rows)
        verified = len(list(store.shards(verify=True)))
    rate = how.n / (in_one_go - first)
    return {
        "encoder": how.encoder,
        "pictures": how.n,
        "shard_size": how.shard,
        "kills": how.times,
        "encoded_again_each": again[:-1],
        "encoded_again_most": max(again[:-1]),
        "pictures_per_second": round(rate, 1),
        "seconds_in_one_go": round(in_one_go, 2),
        "seconds_with_all_kills": round(spent, 2),
        "seconds_more_each_kill": round((spent - in_one_go) / how.times, 2),
        "of_these_encoding_again": round(sum(again[:-1]) / how.times / rate, 2),
        "seconds_to_first_item_at_first": round(first, 3),
        "seconds_to_first_item_after_a_kill": round(statistics.median(waits[1:]), 3),
        "same_features_as_in_one_go": bool(same),
        "shards_verified": verified,
    }


def encode_telling(n: int, encoder: str, side: tuple[int, int], shard: int, folder: str, told: str) -> None:
    """Encode, and write down how far it is: called in a process of its own that is killed."""
    painter = Small() if encoder == "small" else EfficientNetLite0()
    with Path(told).open("a") as file:

        def note(step: Step) -> None:
            file.write(f"{step.done}\n")
            file.flush()

        encode_stream(Made(n, side), {"image": painter}, folder, shard_size=shard, progress=note)


def main() -> int:
    """Measure and store."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="fewer pictures; print and do not store")
    options.add_argument("--only", nargs="*", default=["speed", "memory", "kills"], help="of speed, memory, kills")
    given = options.parse_args()
    quick, path = given.quick, HERE / "encode.json"
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes begun below: lanes take the cores
    scale = 20 if quick else 1
    found = {} if quick or not path.is_file() else json.loads(path.read_text())
    details = {"machine": machine(), "versions": versions(), "date": time.strftime("%Y-%m-%d", time.gmtime())}
    sizes = ((1000, "small"), (100_000, "small"), (1000, "efficientnet-lite0"))
    for part in given.only:
        if part == "speed":
            found[part] = speed(600 // scale, 1 if quick else 3)
        elif part == "memory":
            found[part] = {"runs": [memory(n // scale, encoder) for n, encoder in sizes]}
        else:
            small = Killing("small", 20_000 // scale, (64, 64), 512, 2 if quick else 12, 1.5)
            real = Killing("efficientnet-lite0", 1000 // scale, (640, 480), 256, 2 if quick else 3, 4.0)
            found[part] = {"runs": [kills(small), kills(real)]}
        found[part] |= {"load_average": [round(load, 2) for load in os.getloadavg()], **details}
    print(json.dumps(found, indent=1))
    if not quick:
        write_whole(path, (json.dumps(found, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
