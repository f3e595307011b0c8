"""What is checked with a real Milvus. Run by test_milvus.py inside a network of its own, where nobody else listens."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from milvus import MilvusServer, MilvusServerConfig

from crossbit.errors import DataError, EngineError, MismatchError, SettingsError
from crossbit.index import milvus
from crossbit.index.milvus import MilvusIndex
from crossbit.testing.index import check_hits, check_random_history, index_checks, random_codes


class Server:
    """The server with its folder; it can be killed and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self) -> None:
        here = Path.cwd()
        config = MilvusServerConfig(data_dir=str(self.folder), proxy_port=19530)
        config.set("proxy.timeTickInterval", 20)  # ms: the clock that strong consistency waits for
        config.set("queryCoord.checkInterval", 100)  # ms: how soon a new collection is served
        config.set("queryCoord.distPullInterval", 50)
        config.set("common.session.ttl", 5)  # s: how soon a server that comes back is believed
        self.running = MilvusServer(config)
        self.running.start()
        os.chdir(here)  # the server's package goes to its own folder

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.running.listen_port}"

    def start_again(self) -> None:
        """The same server on the same folder and port; its package would refuse a port that was in use just now."""
        program = self.folder / "bin" / "milvus"
        names = {"DEPLOY_MODE": "STANDALONE", "METRICS_PORT": str(self.running.webservice_port)}
        names |= {"MILVUS_RUN_DIR": str(self.folder / "run"), "LD_LIBRARY_PATH": str(program.parent)}
        with (self.folder / "logs" / "again.log").open("wb") as log:
            self.running.server_proc = subprocess.Popen(
                [program, "run", "standalone"], cwd=self.folder, env=os.environ | names, stdout=log, stderr=log
            )
        self.running.wait_started()

    def kill(self) -> None:
        """As a power cut would: no time to write anything."""
        process = self.running.server_proc
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        self.running.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("milvus"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def emptied() -> dict[int, list[MilvusIndex]]:
    """Indexes by code length that a check has done with: making a collection takes Milvus seconds, emptying it none."""
    return defaultdict(list)


@pytest.fixture
def make(server: Server, emptied: dict[int, list[MilvusIndex]]) -> Iterator[Callable[..., MilvusIndex]]:
    """Makes empty indexes, which are taken back after the test."""
    plain, named = [], []

    def make_index(n_bits: int, name: str = "", **settings: object) -> MilvusIndex:
        if name or settings:
            name = name or f"codes_{next(numbers)}"
            named.append(MilvusIndex(n_bits, server.uri, name, **settings))  # type: ignore[arg-type]  # as tests give
            return named[-1]
        if not emptied[n_bits]:
            emptied[n_bits].append(MilvusIndex(n_bits, server.uri, f"codes_{next(numbers)}"))
        plain.append(emptied[n_bits].pop())
        return plain[-1]

    yield make_index
    for index in plain:
        index._call(lambda index=index: index._client.delete(index._name, filter="id >= 0 or id < 0"))
        index._removed = True
        emptied[index.n_bits].append(index)
    for index in named:
        index.drop()
        index.close()


numbers = itertools.count()


@pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
def test_the_checks_of_every_index(check: Callable[..., None], make: Callable[..., MilvusIndex]) -> None:
    if check is check_random_history:
        check_random_history(make, steps=25)
    else:
        check(make)


def test_upsert_twice_is_upsert_once(make: Callable[..., MilvusIndex]) -> None:
    index, codes, ids = make(32), random_codes(500, 32, 0), np.arange(500, dtype=np.int64)
    for _ in range(3):
        index.upsert(codes, ids)
    assert len(index) == 500
    check_hits(index.search(codes[:9], 20), codes[:9], codes, ids, 20)


def test_conditions_on_metadata_and_partitions(make: Callable[..., MilvusIndex]) -> None:
    index, codes, ids = make(32), random_codes(300, 32, 1), np.arange(300, dtype=np.int64)
    year, kind = (ids % 10 + 2000).tolist(), ["photo" if one % 3 else "drawing" for one in ids]
    half = {"year": year[:150], "kind": kind[:150]}, {"year": year[150:], "kind": kind[150:]}
    index.upsert(codes[:150], ids[:150], metadata=half[0], partition="early")
    index.upsert(codes[150:], ids[150:], metadata=half[1], partition="late")
    queries = random_codes(5, 32, 2)
    kept = (ids % 10 >= 7) & (ids % 3 == 0)
    hits = index.search(queries, 8, matching='year >= 2007 and kind == "drawing"')
    check_hits(hits, queries, codes[np.flatnonzero(kept)], ids[kept], 8)
    both = kept & (ids < 100)
    hits = index.search(queries, 8, matching='year >= 2007 and kind == "drawing"', where=ids < 100)
    check_hits(hits, queries, codes[np.flatnonzero(both)], ids[both], 8)
    check_hits(index.search(queries, 8, partitions=["late"]), queries, codes[150:], ids[150:], 8)
    assert index.metadata(ids[[3, 299]]) == {
        3: {"year": 2003, "kind": "drawing"},
        299: {"year": 2009, "kind": "photo"},
    }
    with pytest.raises(EngineError, match="failed"):
        index.search(queries, 8, matching="year >=")
    with pytest.raises(DataError, match="column of 2 values"):
        index.upsert(codes[:2], ids[:2], metadata={"year": [1]})


def test_many_queries_at_once(make: Callable[..., MilvusIndex]) -> None:
    index, codes, ids = make(64), random_codes(6000, 64, 3), np.arange(6000, dtype=np.int64)
    index.add(codes, ids)
    queries = random_codes(450, 64, 4)
    check_hits(index.search(queries, 10), queries, codes, ids, 10)


def test_lists_find_nearly_all(make: Callable[..., MilvusIndex]) -> None:
    index, codes, ids = make(64, lists=16, probes=8), random_codes(3000, 64, 5), np.arange(3000, dtype=np.int64)
    index.add(codes, ids)
    assert (index.search(codes[:50], 1).ids[:, 0] == ids[:50]).mean() > 0.9


def test_what_is_stored_is_bound_to_its_hasher(make: Callable[..., MilvusIndex], server: Server) -> None:
    make(16, "bound", hasher="abc")
    again = MilvusIndex(16, server.uri, "bound", hasher="abc")
    again.close()
    with pytest.raises(MismatchError, match=r"16-bit codes of the hasher abc; asked for were 16 bits of other"):
        MilvusIndex(16, server.uri, "bound", hasher="other")
    with pytest.raises(MismatchError, match="24 bits"):
        MilvusIndex(24, server.uri, "bound", hasher="abc")
    with pytest.raises(SettingsError, match="consistency"):
        MilvusIndex(16, server.uri, "bound", consistency="Now")  # type: ignore[arg-type]  # what the error is for


def test_another_client_sees_what_was_written(make: Callable[..., MilvusIndex], server: Server) -> None:
    codes, ids = random_codes(50, 16, 6), np.arange(50, dtype=np.int64)
    writer = make(16, "seen")
    reader = MilvusIndex(16, server.uri, "seen", consistency="Strong")
    for start in (0, 25):
        writer.add(codes[start : start + 25], ids[start : start + 25])
        stop = start + 25
        check_hits(reader.search(codes[:3], 50), codes[:3], codes[:stop], ids[:stop], 50)
    reader.close()


def test_killed_and_come_back_nothing_is_lost(
    make: Callable[..., MilvusIndex], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, codes, ids = make(64), random_codes(20_000, 64, 7), np.arange(20_000, dtype=np.int64)
    index.upsert(codes, ids, metadata={"year": (ids % 50).tolist()})
    index.remove(ids[:100])
    server.kill()
    monkeypatch.setattr(milvus, "_ATTEMPTS", 1)
    with pytest.raises(EngineError, match="failed"):
        len(index)
    monkeypatch.undo()
    server.start_again()
    assert len(index) == 19_900
    queries = random_codes(20, 64, 8)
    check_hits(index.search(queries, 10), queries, codes[100:], ids[100:], 10)
    index.upsert(codes, ids)  # the whole load again, as after a failure half-way
    assert len(index) == 20_000
    check_hits(index.search(queries, 10), queries, codes, ids, 10)
