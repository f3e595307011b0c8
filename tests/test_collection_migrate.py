"""Giving a collection another hasher: from stored features, from given ones, from a source on the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossbit import Collection, Hasher
from crossbit.collection import Item, Items, Modality, check_collection
from crossbit.errors import BusyError, DataError, MismatchError
from small_collections import hasher_of

N = 40
RNG = np.random.default_rng(0)
IMAGE, TEXT = (RNG.normal(size=(N, 5)).astype(np.float32) for _ in range(2))
IDS = [f"n{row}" for row in range(N)]
OLD, NEW = hasher_of(0), hasher_of(1, 20)


def made(place: Path, *, store: bool) -> Collection:
    collection = Collection.create(place, OLD, store_features=store)
    for rows in (slice(0, 25), slice(25, N)):
        items = Items(IDS[rows], IDS[rows], metadata={"year": list(range(N))[rows]})
        without = (0,) if rows.start == 0 else ()
        collection.add(items, image_features=IMAGE[rows], text_features=TEXT[rows], without_text=without)
        collection._writer.flush()
    collection.remove(["n3"])
    collection.add(Items(["late"], ["late"]), image_features=IMAGE[:1])
    return collection


def features(items: Sequence[Item], modality: Modality) -> Any:
    rows = [0 if item.id == "late" else int(item.id[1:]) for item in items]
    return (IMAGE if modality == "image" else TEXT)[rows]


def check_migrated(collection: Collection, hasher: Hasher) -> None:
    assert (collection.manifest.hasher, collection.n_bits) == (hasher.fingerprint(), hasher.n_bits)
    assert list(collection.ids()) == [name for name in IDS if name != "n3"] + ["late"]
    rows = [row for row in range(N) if row != 3]
    assert collection.snapshot.codes("image") == hasher.encode_images(IMAGE[[*rows, 0]])
    assert collection.snapshot.codes("text") == hasher.encode_texts(TEXT[[row for row in rows if row != 0]])
    assert collection.get("n9").metadata == {"year": 9}
    assert check_collection(collection.path) == []


@pytest.mark.parametrize("store", [True, False])
def test_all_items_get_codes_of_the_new_hasher(tmp_path: Path, store: bool) -> None:
    collection = made(tmp_path / "c", store=store)
    (tmp_path / "c" / "query").mkdir()
    (tmp_path / "c" / "query" / "text.onnx").write_bytes(b"x")
    reader = Collection.open(tmp_path / "c")
    done = collection.migrate(NEW, features=None if store else features)
    assert (done.n, done.dropped_query) == (N, True)
    assert not (tmp_path / "c" / "query").exists()
    check_migrated(collection, NEW)
    check_migrated(Collection.open(tmp_path / "c", hasher=NEW), NEW)
    assert reader.search_images(IMAGE[:1], 1, among="image")[0][0].id == "n0"  # with the old hasher, until it looks
    reader.refresh()
    check_migrated(reader, NEW)
    with pytest.raises(MismatchError, match="crossbit migrate"):
        Collection.open(tmp_path / "c", hasher=OLD)
    assert bool(collection.manifest.widths) == store
    if store:
        collection.migrate(OLD)
        check_migrated(collection, OLD)


def test_without_features_nothing_can_be_encoded(tmp_path: Path) -> None:
    collection = made(tmp_path / "c", store=False)
    with pytest.raises(DataError, match="stores no features"):
        collection.migrate(NEW)
    check_migrated(collection, OLD)


def test_stored_features_of_other_encoders_are_refused(tmp_path: Path) -> None:
    collection = made(tmp_path / "c", store=True)
    with pytest.raises(MismatchError, match="The stored image features are 5 values of elsewhere"):
        collection.migrate(NEW.with_encoders(image="other", text="other"))
    check_migrated(collection, OLD)


def test_a_migration_that_fails_leaves_the_old_hasher(tmp_path: Path) -> None:
    collection = made(tmp_path / "c", store=False)
    calls = []

    def failing(items: Sequence[Item], modality: Modality) -> Any:
        calls.append(modality)
        if len(calls) > 2:
            raise RuntimeError("no more")
        return features(items, modality)

    with pytest.raises(RuntimeError):
        collection.migrate(NEW, features=failing)
    check_migrated(collection, OLD)
    check_migrated(Collection.open(tmp_path / "c"), OLD)
    assert len(list((tmp_path / "c").glob("hasher-*"))) == 1


def test_searches_go_on_and_changes_wait_while_it_migrates(tmp_path: Path) -> None:
    collection = made(tmp_path / "c", store=False)
    other = Collection.open(tmp_path / "c", patience=0.05)
    half_way, go_on = threading.Event(), threading.Event()

    def slow(items: Sequence[Item], modality: Modality) -> Any:
        half_way.set()
        assert go_on.wait(60)
        return features(items, modality)

    thread = threading.Thread(target=lambda: collection.migrate(NEW, features=slow))
    thread.start()
    try:
        assert half_way.wait(60)
        for place in (collection, other):
            assert place.search_images(IMAGE[5:6], 1, among="image")[0][0].distance == 0
            assert place.n_bits == OLD.n_bits
        with pytest.raises(BusyError, match="migrate"):
            other.remove(["n1"])
    finally:
        go_on.set()
        thread.join()
    check_migrated(collection, NEW)


def test_the_command_migrates_from_a_source(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from crossbit.cli.app import app

    n = 60
    rng = np.random.default_rng(1)
    image, text = rng.normal(size=(n, 5)).astype(np.float32), rng.normal(size=(n, 5)).astype(np.float32)
    rows = {"train": np.arange(40), "database": np.arange(40), "query": np.arange(40, n)}
    np.savez(tmp_path / "data.npz", image=image, text=text, caption=np.array(["x"] * n), **rows)
    OLD.save(tmp_path / "old.safetensors")
    NEW.save(tmp_path / "new.safetensors")

    def run(*words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(app, [*words, "--json"])
        return done.exit_code, json.loads(done.stdout) if done.stdout else done.exception

    data, folder = str(tmp_path / "data.npz"), str(tmp_path / "c")
    assert run("index", str(tmp_path / "old.safetensors"), data, "--out", folder)[0] == 0
    assert run("add", folder, data)[1]["unchanged"] == n
    code, told = run("migrate", folder, "--hasher", str(tmp_path / "new.safetensors"), "--source", data)
    assert (code, told["n"], told["n_bits"]) == (0, n, 20)
    assert Collection.open(folder).snapshot.codes("image") == NEW.encode_images(image)
    assert isinstance(run("migrate", folder, "--hasher", str(tmp_path / "old.safetensors"))[1], MismatchError)
