"""Codes by many workers: the bytes of one process, whatever is killed on the way."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossbit import distributed
from crossbit.distributed import BLOCK, CODES, Work, bounds, encode_codes, encode_shard, open_rows
from crossbit.errors import (
    DataError,
    EngineError,
    FileFormatError,
    MismatchError,
    MissingExtraError,
    SettingsError,
    WidthError,
)
from crossbit.hasher import Hasher, HashFunction, Layer

ROWS, WIDTH, N_BITS = 9 * BLOCK + 17, 24, 20
HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With hasher.safetensors and features.npy there."""
    folder = tmp_path_factory.mktemp("distributed")
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((WIDTH, N_BITS)).astype(np.float32)
    function = HashFunction((Layer(weight, np.zeros(N_BITS, dtype=np.float32)),), normalise=True)
    Hasher(function, function, "made-up").save(folder / "hasher.safetensors")
    np.save(folder / "features.npy", rng.standard_normal((ROWS, WIDTH)).astype(np.float16))
    return folder


@pytest.fixture(scope="module")
def alone(folder: Path) -> np.ndarray:
    """The codes that one process makes."""
    hasher = Hasher.load(folder / "hasher.safetensors")
    return hasher.encode_texts(np.load(folder / "features.npy")).packed


def run(folder: Path, out: Path, **settings: object) -> np.ndarray:
    given: dict[str, object] = {"modality": "text", **settings}
    return encode_codes(folder / "hasher.safetensors", folder / "features.npy", out, **given).packed  # type: ignore[arg-type]  # as the tests give


@pytest.mark.parametrize(("shards", "workers"), [(1, 1), (3, 2), (40, 2)])
def test_the_bytes_are_those_of_one_process(
    folder: Path, alone: np.ndarray, tmp_path: Path, shards: int, workers: int
) -> None:
    codes = run(folder, tmp_path / "out", shards=shards, workers=workers)
    np.testing.assert_array_equal(codes, alone)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [CODES, "work.json"]
    np.testing.assert_array_equal(np.load(tmp_path / "out" / CODES), alone)


@pytest.mark.parametrize("rows", [0, 1, BLOCK, BLOCK + 1, 100 * BLOCK + 5])
@pytest.mark.parametrize("shards", [1, 2, 7, 300])
def test_shards_cover_every_row_once(rows: int, shards: int) -> None:
    parts = [bounds(rows, shards, number) for number in range(shards)]
    assert parts[0][0] == 0
    assert parts[-1][1] == rows
    assert all(first[1] == second[0] for first, second in pairwise(parts))
    assert all(start % BLOCK == 0 or start == rows for start, _ in parts)


def test_any_worker_can_do_any_shard_in_any_order(folder: Path, alone: np.ndarray, tmp_path: Path) -> None:
    work = Work(str(folder / "hasher.safetensors"), str(folder / "features.npy"), "text", str(tmp_path / "out"), 4)
    for number in (2, 0, 3, 1, 2):
        part = encode_shard(number, work)
        start, stop = bounds(ROWS, 4, number)
        np.testing.assert_array_equal(np.load(part), alone[start:stop])
    with pytest.raises(SettingsError, match="from 0 to 3"):
        encode_shard(4, work)


def test_shards_that_are_there_are_not_done_again(
    folder: Path, alone: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was killed as a whole goes on: here after three of six shards."""
    work = Work(str(folder / "hasher.safetensors"), str(folder / "features.npy"), "text", str(tmp_path / "out"), 6)
    times = {number: encode_shard(number, work).stat().st_mtime_ns for number in (0, 2, 5)}
    seen: dict[int, int] = {}
    join = distributed._join

    def watched(work: Work, rows: int, n_bits: int) -> None:
        seen.update({number: distributed._part(work, number).stat().st_mtime_ns for number in times})
        join(work, rows, n_bits)

    monkeypatch.setattr(distributed, "_join", watched)
    np.testing.assert_array_equal(run(folder, tmp_path / "out", shards=6, workers=1), alone)
    assert seen == times


def kill_one_child(stop: threading.Event, killed: list[int]) -> None:
    """Kill a worker process of this one as soon as the first shard is done."""
    while not stop.is_set():
        children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        workers = [int(pid) for path in children for pid in path.read_text().split()]
        workers = [pid for pid in workers if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        if workers:
            os.kill(workers[0], signal.SIGKILL)
            killed.append(workers[0])
            return
        time.sleep(0.005)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the workers are found in /proc, which is not here")
def test_a_killed_worker_loses_nothing(folder: Path, alone: np.ndarray, tmp_path: Path) -> None:
    stop, killed = threading.Event(), list[int]()
    watcher = threading.Thread(target=kill_one_child, args=(stop, killed))
    watcher.start()
    try:
        codes = run(folder, tmp_path / "out", shards=10, workers=2)
    finally:
        stop.set()
        watcher.join()
    assert len(killed) == 1
    np.testing.assert_array_equal(codes, alone)


def test_a_worker_that_is_killed_while_others_start_loses_nothing(
    folder: Path, alone: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = ProcessPoolExecutor.submit, list[object]()

    def broken_once(pool: ProcessPoolExecutor, /, *given: Any, **more: Any) -> Any:
        asked.append(given[1])
        if len(asked) == 2:
            raise OSError("handle is closed")  # what the pool says when its pipes were closed meanwhile
        return real(pool, *given, **more)

    monkeypatch.setattr(ProcessPoolExecutor, "submit", broken_once)
    np.testing.assert_array_equal(run(folder, tmp_path / "out", shards=3, workers=1), alone)
    assert len(asked) > 3


def test_workers_that_always_die_are_given_up(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_ROUNDS", 1)
    monkeypatch.setattr(distributed, "encode_shard", dies)
    with pytest.raises(EngineError, match="Workers were killed 1 times and no shard was done"):
        run(folder, tmp_path / "out", shards=2, workers=1)


def dies(number: int, work: Work) -> Path:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def test_another_hasher_or_other_features_are_refused(folder: Path, tmp_path: Path) -> None:
    work = Work(str(folder / "hasher.safetensors"), str(folder / "features.npy"), "text", str(tmp_path / "out"), 2)
    run(folder, tmp_path / "out", shards=2, workers=1)
    assert len(list((tmp_path / "out").iterdir())) == 2
    np.save(tmp_path / "features.npy", np.ones((5, WIDTH), dtype=np.float32))
    with pytest.raises(MismatchError, match="another rows, bytes"):
        encode_codes(work.hasher, tmp_path / "features.npy", tmp_path / "out", modality="text")
    other = Hasher.load(work.hasher).with_encoders(image="a", text="b")
    other.save(tmp_path / "other.safetensors")
    with pytest.raises(MismatchError, match="another hasher"):
        encode_codes(tmp_path / "other.safetensors", work.features, tmp_path / "out", modality="text")
    with pytest.raises(MismatchError, match="another modality"):
        encode_codes(work.hasher, work.features, tmp_path / "out", modality="image")


def test_what_cannot_be_encoded(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.ones(5))
    np.save(tmp_path / "wide.npy", np.ones((5, WIDTH + 1)))
    (tmp_path / "cut.npy").write_bytes((folder / "features.npy").read_bytes()[:1000])
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    hasher = folder / "hasher.safetensors"
    for name, error in (
        ("flat", DataError),
        ("cut", FileFormatError),
        ("objects", FileFormatError),
        ("none", FileFormatError),
        ("wide", WidthError),
    ):
        with pytest.raises(error):
            encode_codes(hasher, tmp_path / f"{name}.npy", tmp_path / name, modality="text", shards=2, workers=1)
        assert not (tmp_path / name / CODES).exists()
    for bad in ({"workers": 0}, {"shards": -1}, {"modality": "sound"}, {"by": "magic"}):
        with pytest.raises(SettingsError):
            run(folder, tmp_path / "out", **bad)


def test_features_of_encoded_items(folder: Path, tmp_path: Path) -> None:
    """What `encode_stream` leaves on disk is encoded as if it were one array."""
    from crossbit.encoders import EncodedStore
    from crossbit.encoders.shards import Shard, shard_path, write_shard
    from crossbit.encoders.store import Manifest

    features = np.load(folder / "features.npy")[:50].astype(np.float32)
    store = tmp_path / "store"
    store.mkdir()
    for number in range(5):
        part = slice(10 * number, 10 * number + 10)
        ids = tuple(str(row) for row in range(part.start, part.stop))
        write_shard(
            shard_path(store, number), Shard(part.start, ids, {"text": features[part]}, {"text": np.arange(10)})
        )
    Manifest({"text": "made-up"}, {"text": WIDTH}, "made-up", "", 10, 50).write(store)
    assert len(open_rows(store, "text")) == len(EncodedStore.open(store)) == 50
    hasher = Hasher.load(folder / "hasher.safetensors")
    codes = encode_codes(folder / "hasher.safetensors", store, tmp_path / "out", modality="text", workers=1)
    assert codes == hasher.encode_texts(features)


def test_without_ray_the_extra_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"crossbit\[distributed\]"):
        run(folder, tmp_path / "out", by="ray")


ONE_DIES = """
import os, signal, sys
from pathlib import Path
from typing import Any
from crossbit import distributed
from crossbit.distributed import encode_codes
folder, out, flag = map(Path, sys.argv[1:])
encode = distributed.encode_shard
def dies_once(number, work):
    if number == 3 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(number, work)
distributed.encode_shard = dies_once
encode_codes(folder / "hasher.safetensors", folder / "features.npy", out, modality="text", shards=6, by="ray")
assert flag.exists()
"""


def test_tasks_of_ray_and_one_whose_worker_is_killed(folder: Path, alone: np.ndarray, tmp_path: Path) -> None:
    """Ray opens ports, so it runs in a network of its own."""
    alone_there = ("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is missing: pip install 'crossbit[distributed]'")
    if sys.platform != "linux" or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("a network of its own needs Linux with unshare and ip")
    tried = subprocess.run([*alone_there, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no network of its own can be made here: {tried.stderr.strip()}")
    places = [str(folder), str(tmp_path / "out"), str(tmp_path / "flag")]
    done = subprocess.run(
        [*alone_there, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, "-c", ONE_DIES, *places],
        env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,  # the end of a cluster that hangs
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    np.testing.assert_array_equal(np.load(tmp_path / "out" / CODES), alone)
