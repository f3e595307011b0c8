"""What is checked with a real Milvus. Run by test_milvus.py inside a network of its own, where nobody else listens."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossbit.cli import main
from crossbit.errors import DataError, EngineError, MismatchError, SettingsError
from crossbit.index import milvus
from crossbit.index.milvus import MilvusIndex
from crossbit.testing.index import check_hits, check_random_history, index_checks, random_codes
from milvus_server import Server
from page_examples import run_example
from small_collections import hasher_of
from source_makers import jsonl, pictures


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


def test_the_example_of_the_page_runs(server: Server) -> None:
    ids = np.arange(100, dtype=np.int64)
    codes, years = random_codes(100, 64, 5), [2019 + one % 2 for one in range(100)]
    names: dict[str, Any] = {"hasher": hasher_of(n_bits=64), "codes": codes, "queries": codes[:3], "ids": ids}
    names |= {"years": years, "kinds": ["photo"] * 100}
    run_example(("scale.md", 0), names, {"http://host:19530": server.uri})
    try:
        check_hits(names["hits"], codes[:3], codes[1::2], ids[1::2], 10)
    finally:
        names["index"].drop()
        names["index"].close()


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


OWN = ("--image-encoder", "own:source_makers:MeanColour", "--text-encoder", "own:source_makers:LetterCounts")
HALF_WAY = """
import time
from crossbit.cli import beside, main
from crossbit.index.milvus import MilvusIndex
beside._AT_ONCE = 8
write = MilvusIndex.upsert
def half(self, *given, **options):
    write(self, *given, **options)
    print("half way", flush=True)
    time.sleep(600)
MilvusIndex.upsert = half
main()
"""


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in an empty folder: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_the_commands_put_items_there_and_find_them(server: Server, command: Run, tmp_path: Path) -> None:
    def told(*words: str) -> Any:
        code, out, err = command(*words, "--json")
        assert code == 0, err
        return json.loads(out)

    texts = [f"x{'a' * (row % 4)}{'e' * (row % 5)} i{'o' * row}" for row in range(20)]
    pictures(tmp_path / "data", *(f"{row:02}.png" for row in range(20)))
    rows = ({"image": f"{row:02}.png", "text": [text], "n": row % 7} for row, text in enumerate(texts))
    jsonl(tmp_path / "data" / "list.jsonl", *rows)
    data, address = "data/list.jsonl", server.uri.replace("http", "milvus") + "/shop"
    for name, bits in (("h", "32"), ("other", "24")):
        fitted = ("fit", data, "--method", "random-projection", "--bits", bits, "--out", f"{name}.safetensors", *OWN)
        assert command(*fitted)[0] == 0
    told("index", "h.safetensors", data, *OWN)
    ask = ("search", address, "--hasher", "h.safetensors", *OWN)
    code, _, err = command(*ask, "xa")
    assert (code, "There are no codes called shop_image at http://127.0.0.1" in err) == (1, True)

    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HALF_WAY, "index", "h.safetensors", data, "--to", address, *OWN],
        stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    ) as killed:  # fmt: skip
        assert killed.stdout is not None
        assert killed.stdout.readline() == "half way\n"
        killed.kill()
    for _ in range(2):  # the same command completes it, and once more changes nothing
        sent = told("index", "h.safetensors", data, "--to", address, *OWN)
        assert (sent["n_image"], sent["n_text"]) == (20, 20)
    for words in ((texts[3],), ("--image", "data/05.png"), (texts[3], "--among", "text"), (texts[3], "-k", "50")):
        there, here = told(*ask, *words)["hits"], told("search", "collection", *words, *OWN)["hits"]
        assert [hit["distance"] for hit in there] == [hit["distance"] for hit in here]
        captions = {
            hit["id"]: hit["caption"] for hit in told("search", "collection", texts[3], "-k", "50", *OWN)["hits"]
        }
        assert all(captions[hit["id"]] == hit["caption"] for hit in there)
    for where in ("n = 3 OR n > 5", "caption LIKE '%ooo' AND NOT n IN (1, 2)", "n > 100"):
        words = (texts[3], "-k", "6", "--where", where)
        there, here = told(*ask, *words)["hits"], told("search", "collection", *words, *OWN)["hits"]
        assert [hit["distance"] for hit in there] == [hit["distance"] for hit in here]
    near = told(*ask, texts[3], "-k", "50", "--max-distance", "9")["hits"]
    assert [hit["distance"] for hit in near] == [d for d in sorted(hit["distance"] for hit in near) if d <= 9]
    wrong = (
        (("search", address, "xa", "--hasher", "other.safetensors", *OWN), "holds 32-bit codes of the hasher"),
        ((*ask, "xa", "--where", "n >"), "filter"),
        ((*ask, "xa", "--min-confidence", "0.5"), "are for collections"),
        ((*ask, "--item", "1"), "words or a picture"),
        (("search", address, "xa", *OWN), "--hasher FILE"),
        (("search", address.replace("19530", "1"), "xa", "--hasher", "h.safetensors", *OWN), "Milvus at http://127.0.0.1:1"),
        (("index", "h.safetensors", data, "--to", "milvus://nowhere", *OWN), "milvus://host:port/name"),
        (("index", "other.safetensors", data, "--to", address, *OWN), "Use its own hasher, or another name"),
        (("index", "h.safetensors", data, "--to", address, "--engine", "ivf", *OWN), "--engine is for a collection"),
    )  # fmt: skip
    for words, message in wrong:
        code, out, err = command(*words)
        assert (code, out, err.count("\n")) == (1, "", 1), err
        assert message in err
