"""Adding, replacing and removing, against a dictionary; in threads; from two processes."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from crossbit import Codes
from crossbit.collection import Added, Collection, Items, check_collection, writer
from crossbit.errors import BusyError, DataError, SettingsError, WidthError
from small_collections import add, codes_of, hasher_of


@pytest.fixture
def place(tmp_path: Path) -> Collection:
    return Collection.create(tmp_path / "c", hasher_of())


def test_an_empty_collection_can_be_searched_and_filled(place: Collection) -> None:
    assert len(place) == 0
    assert place.search(codes_of(["q"]), among="image") == [[]]
    assert add(place, ["a", "b"]) == Added(2, 0, 0)
    assert [hit.id for hit in place.search(codes_of(["b"]), 1, among="image")[0]] == ["b"]


def test_adding_the_same_again_does_nothing_and_other_content_is_a_choice(place: Collection) -> None:
    add(place, ["a", "b"])
    assert add(place, ["b", "c"]) == Added(1, 0, 1)
    with pytest.raises(DataError, match="already with other content, the first is 'a'"):
        add(place, ["d", "a"], salt=5)
    assert "d" not in place
    assert add(place, ["d", "a"], salt=5, if_exists="keep") == Added(1, 0, 1)
    assert place.get("a").caption == "a 0"
    assert add(place, ["a"], salt=5, if_exists="replace") == Added(0, 1, 0)
    assert place.get("a").caption == "a 5"
    assert place.code("a", "image") == codes_of(["a"], 5)
    assert len(place) == 4
    with pytest.raises(SettingsError, match="if_exists is one of"):
        add(place, ["a"], if_exists="maybe")


def test_removing(place: Collection) -> None:
    add(place, ["a", "b", "c"])
    assert place.remove(["b"]) == 1
    assert {hit.id for hit in place.search(codes_of(["b"]), 9, among="text")[0]} == {"a", "c"}
    with pytest.raises(DataError, match="no item 'b'"):
        place.get("b")
    with pytest.raises(DataError, match="2 of the ids are not in the collection"):
        place.remove(["a", "b", "x"])
    assert place.remove(["a", "b", "x", "a"], missing="ignore") == 1
    with pytest.raises(SettingsError, match="a list of ids"):
        place.remove("c")
    assert list(Collection.open(place.path).ids()) == ["c"]


def test_what_does_not_fit_changes_nothing(place: Collection) -> None:
    add(place, ["a"])
    before = list(place.ids())
    wide = Codes.from_bits(np.zeros((1, 8), np.bool_))
    for error, attempt in (
        (WidthError, lambda: place.add(Items(["x"], [""]), image=wide)),
        (DataError, lambda: place.add(Items(["x"], [""], metadata={"year": ["text"]}), image=codes_of(["x"]))),
        (DataError, lambda: place.add(Items(["x"], [""], metadata={"year": [2.5]}), image=codes_of(["x"]))),
        (DataError, lambda: place.add(Items(["x"], [""], metadata={"new": [[1]]}), image=codes_of(["x"]))),
        (DataError, lambda: place.add(Items(["x"], [""], metadata={"new": [2**70]}), image=codes_of(["x"]))),
        (DataError, lambda: place.add(Items(["x"], [""], metadata={"new": [float("inf")]}), image=codes_of(["x"]))),
        (DataError, lambda: place.add(Items(["x"], [""], metadata={"caption": ["x"]}), image=codes_of(["x"]))),
        (DataError, lambda: place.add(Items([""], [""]), image=codes_of(["x"]))),
        (DataError, lambda: place.add(Items(["\ud800"], [""]), image=codes_of(["x"]))),
        (DataError, lambda: place.add(Items(["x"], ["y" * 30_001]), image=codes_of(["x"]))),
        (DataError, lambda: place.remove(["\ud800"])),
    ):
        with pytest.raises(error):
            attempt()
    assert list(place.ids()) == before
    assert list(Collection.open(place.path).ids()) == before


def test_metadata_of_all_kinds_comes_back(place: Collection) -> None:
    columns = {"t": ["ä", None], "i": [1, -(2**63)], "r": [0.5, 2], "b": [None, True], "none": [None, None]}
    place.add(Items(["x", "y"], ["", ""], metadata=columns), image=codes_of(["x", "y"]))
    place.add(Items(["z"], [""], metadata={"r": [3]}), image=codes_of(["z"]))
    place.compact()
    opened = Collection.open(place.path)
    assert opened.get("y").metadata == {"t": None, "i": -(2**63), "r": 2.0, "b": True}
    assert opened.get("z").metadata == {"t": None, "i": None, "r": 3.0, "b": None}
    assert opened.columns == {"t": "text", "i": "integer", "r": "real", "b": "boolean"}
    assert opened.facets("b") == {None: 2, True: 1}


ENGINES = ["exact", "pruned", "prefix", *(["ivf"] if importlib.util.find_spec("faiss") else [])]


class History(RuleBasedStateMachine):
    """Random changes of a collection and of a dictionary; both must agree, also after opening anew."""

    @initialize(folder=st.none())
    def start(self, folder: None) -> None:
        self.sizes = writer.LOG_ITEMS, writer.SMALL
        writer.LOG_ITEMS, writer.SMALL = 12, 6
        self.folder = Path(os.environ["PYTEST_HISTORY"])
        shutil.rmtree(self.folder, ignore_errors=True)
        self.place = Collection.create(self.folder, hasher_of())
        self.other = Collection.open(self.folder)
        self.model: dict[str, int] = {}

    def teardown(self) -> None:
        if hasattr(self, "sizes"):
            writer.LOG_ITEMS, writer.SMALL = self.sizes

    @rule(
        names=st.lists(st.integers(0, 30), min_size=1, max_size=10, unique=True),
        salt=st.integers(0, 2),
        if_exists=st.sampled_from(["error", "replace", "keep"]),
        which=st.booleans(),
    )
    def add(self, names: list[int], salt: int, if_exists: Any, which: bool) -> None:
        ids = [f"n{name}" for name in names]
        known = {name for name in ids if name in self.model}
        differs = {name for name in known if self.model[name] != salt}
        place = self.place if which else self.other
        if differs and if_exists == "error":
            with pytest.raises(DataError, match="other content"):
                add(place, ids, salt=salt, if_exists=if_exists)
            return
        replaced = differs if if_exists == "replace" else set()
        expected = Added(len(ids) - len(known), len(replaced), len(known) - len(replaced))
        assert add(place, ids, salt=salt, if_exists=if_exists) == expected
        for name in ids:
            if name in replaced:
                del self.model[name]  # it stands behind the others now
            self.model.setdefault(name, salt)

    @rule(names=st.lists(st.integers(0, 30), max_size=15, unique=True), which=st.booleans())
    def remove(self, names: list[int], which: bool) -> None:
        ids = [f"n{name}" for name in names]
        there = [name for name in ids if name in self.model]
        assert (self.place if which else self.other).remove(ids, missing="ignore") == len(there)
        for name in there:
            del self.model[name]

    @rule()
    def compact(self) -> None:
        self.place.compact()

    @rule(engine=st.sampled_from(ENGINES))
    def build_engines(self, engine: Any) -> None:
        built = self.place.build_engines(engine)
        assert {one.engine for one in built} <= {engine}

    @rule()
    def open_anew(self) -> None:
        assert check_collection(self.folder) == []
        self.place = Collection.open(self.folder)

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        for place in (self.place, self.other):
            place.refresh()
            assert len(place) == len(self.model)
            assert sorted(place.ids()) == sorted(self.model)
            ids = list(self.model)
            query = codes_of(["query"])
            hits = place.search(query, 50, among="image")[0]
            bits = [codes_of([name], self.model[name]).bits()[0] for name in ids]
            distances = {name: int((query.bits()[0] != own).sum()) for name, own in zip(ids, bits, strict=True)}
            assert {hit.id: hit.distance for hit in hits} == distances
            assert [hit.distance for hit in hits] == sorted(distances.values())
            assert [hit.caption for hit in hits] == [f"{hit.id} {self.model[hit.id]}" for hit in hits]
            few = place.search(query, 3, among="image")[0]  # an approximate engine may miss one, but finds no others
            assert len(few) == min(3, len(self.model))
            assert all(hit.distance == distances[hit.id] for hit in few)
            if all(one.engine in ("exact", "pruned") for one in place.engines):
                assert few == hits[:3]


def test_random_histories_agree_with_a_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_HISTORY", str(tmp_path / "history"))
    machine = History.TestCase
    machine.settings = settings(max_examples=20, stateful_step_count=20, deadline=None, derandomize=True)
    machine().runTest()


def test_searches_in_threads_see_whole_states_only(place: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LOG_ITEMS", 16)
    stop, wrong = threading.Event(), list[str]()

    def look() -> None:
        while not stop.is_set():
            # Pairs are added and removed together, so every state holds an even number of items.
            hits = place.search(codes_of(["q"]), 500, among="image")[0]
            if len(hits) % 2 or any(hit.id.split("-")[0] not in hit.caption for hit in hits):
                wrong.append(f"{len(hits)} hits")

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(40):
            add(place, [f"{number}-a", f"{number}-b"])
            if number % 3 == 2:
                place.remove([f"{number - 1}-a", f"{number - 1}-b"])
            if number % 10 == 9:
                place.compact()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []


HOLD = """
import sys, time
from crossbit.collection import Collection
opened = Collection.open(sys.argv[1])
with opened._writer.changing("test"):
    print("holding", flush=True)
    time.sleep(600)
"""


def test_a_second_writer_is_told_who_writes_and_readers_go_on(place: Collection) -> None:
    add(place, ["a"])
    with subprocess.Popen([sys.executable, "-c", HOLD, str(place.path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        second = Collection.open(place.path, patience=0.1)
        with pytest.raises(BusyError, match=rf"is being changed by process {holder.pid} \(test\)"):
            add(second, ["b"])
        assert [hit.id for hit in second.search(codes_of(["a"]), among="image")[0]] == ["a"]
        holder.kill()
    assert add(second, ["b"]) == Added(1, 0, 0)
    place.refresh()
    assert sorted(place.ids()) == ["a", "b"]


def test_what_the_commands_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from crossbit.cli.app import app

    place = Collection.create(tmp_path / "c", hasher_of())
    add(place, ["a", "b", "c"])
    add(place, ["d"], year=7)

    def run(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(app, [*words, "--json"])
        return done.exit_code, json.loads(done.stdout) if done.stdout else done.exception

    folder = str(tmp_path / "c")
    found = run("search", folder, "--item", "a", "--where", "year = 7", "--max-distance", "12")
    assert [hit["id"] for hit in found[1]["hits"]] == ["d"]
    assert found[1]["hits"][0]["metadata"] == {"year": 7}
    assert run("remove", folder, "a") == (0, {"collection": folder, "removed": 1, "n": 3})
    assert isinstance(run("remove", folder, "a")[1], DataError)
    assert run("remove", folder, "--where", "year < 5")[1]["removed"] == 2
    assert run("compact", folder)[1]["n"] == 1
    code, found = run("check", folder)
    assert (code, found["problems"], found["repaired"]) == (0, [], [])
    assert [(one["modality"], one["engine"]) for one in found["engines"]] == [("image", "exact"), ("text", "exact")]
    assert run("info", folder)[1]["columns"] == {"year": "integer"}
    codes = next((tmp_path / "c").glob("segment-*/image-codes.npy"))
    codes.write_bytes(codes.read_bytes()[:-1] + b"\x00")
    code, found = run("check", folder)
    assert (code, len(found["problems"])) == (1, 1)
    code, found = run("check", folder, "--repair")
    assert (code, found["problems"]) == (0, [])
    assert "its 1 items are lost" in found["repaired"][0]
