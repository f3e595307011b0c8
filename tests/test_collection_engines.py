"""Engines kept beside a collection: chosen with a reason, right through changes, not trusted when damaged."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from crossbit import Codes, Collection
from crossbit.cli.app import app
from crossbit.collection import Items, check_collection, repair_collection
from crossbit.errors import SettingsError
from crossbit.index import IvfIndex, PrunedIndex
from small_collections import hasher_of

N = 3000


def made(path):
    rng = np.random.default_rng(0)
    hasher = hasher_of(n_bits=64)
    centres = rng.integers(0, 256, (40, -(-hasher.n_bits // 8)), dtype=np.uint8)
    packed = centres[rng.integers(0, 40, N)] ^ (1 << rng.integers(0, 8, (N, 1))).astype(np.uint8)
    codes = Codes(packed, hasher.n_bits)
    items = Items([f"i{n}" for n in range(N)], [""] * N, metadata={"year": np.arange(N) % 7})
    return Collection.create(path, hasher, items, image=codes, without_text=np.arange(N)), codes


def found(place, queries, **options):
    return [[(hit.id, hit.distance) for hit in hits] for hits in place.search(queries, 10, among="image", **options)]


def distances(answer):
    return [[distance for _, distance in hits] for hits in answer]


@pytest.mark.parametrize("engine", ["ivf", "pruned"])
def test_engines_answer_as_a_full_comparison_through_changes(tmp_path, engine):
    if engine == "ivf":
        pytest.importorskip("faiss")
    place, codes = made(tmp_path / "c")
    queries, options = codes[:20], ({}, {"where": "year = 3"}, {"where": "year < 0"})
    before = [distances(found(place, queries, **one)) for one in options]
    built = place.build_engines(engine)
    assert [one.engine for one in built] == [engine, engine]
    assert built[0].reason
    assert built[0].recall == 1
    for opened in (place, Collection.open(place.path)):
        assert [distances(found(opened, queries, **one)) for one in options] == before
        assert isinstance(opened.snapshot.segments[0].index("image"), IvfIndex if engine == "ivf" else PrunedIndex)
    assert check_collection(place.path) == []
    gone = [name for name, _ in found(place, queries[:1])[0]]
    place.remove(gone)
    place.add(Items(["new"], [""]), image=queries[:1], without_text=[0])
    after = found(place, queries[:1])[0]
    assert after[0] == ("new", 0) or ("new", 0) in after
    assert not {name for name, _ in after} & set(gone)
    place.compact()
    assert distances(found(place, queries[:1])) == [[distance for _, distance in after]]
    place.build_engines("exact")
    assert not list((place.path / "engines").iterdir())


def test_a_damaged_engine_is_passed_over_and_told(tmp_path):
    place, codes = made(tmp_path / "c")
    before = found(place, codes[:5])
    place.build_engines("pruned")
    file = next((place.path / "engines").glob("*-image.pruned"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert found(Collection.open(place.path), codes[:5]) == before
    assert [problem.name for problem in check_collection(place.path)] == [f"engines/{file.name}"]
    assert len(repair_collection(place.path)) == 1
    assert check_collection(place.path) == []
    place.build_engines("pruned")
    assert check_collection(place.path) == []


def test_auto_says_why_and_settings_are_checked(tmp_path):
    place, _ = made(tmp_path / "c")
    built = place.build_engines(target_recall=0.9)
    assert {one.engine for one in built} == {"exact"}
    assert "a full comparison is fast enough" in built[0].reason
    with pytest.raises(SettingsError, match="one of auto, exact, ivf, pruned"):
        place.build_engines("hnsw")
    ran = CliRunner().invoke(app, ["compact", str(place.path), "--engine", "pruned", "--json"])
    assert ran.exit_code == 0, ran.output
    assert [one["engine"] for one in json.loads(ran.stdout)["engines"]] == ["pruned", "pruned"]
