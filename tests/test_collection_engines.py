"""Engines kept beside a collection: chosen with a reason, right through changes, not trusted when damaged."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from crossbit import Codes, Collection
from crossbit.cli.app import app
from crossbit.collection import Items, check_collection, repair_collection
from crossbit.errors import MissingExtraError, SettingsError
from crossbit.index import IvfIndex, PrefixIndex, PrunedIndex
from small_collections import hasher_of

N = 3000
KINDS = {"ivf": IvfIndex, "pruned": PrunedIndex, "prefix": PrefixIndex}


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


@pytest.mark.parametrize("engine", ["ivf", "pruned", "prefix"])
def test_engines_answer_as_a_full_comparison_through_changes(tmp_path, engine):
    if engine == "ivf":
        pytest.importorskip("faiss")
    place, codes = made(tmp_path / "c")
    queries, options = codes[:20], ({}, {"where": "year = 3"}, {"where": "year < 0"})
    before = [distances(found(place, queries, **one)) for one in options]
    built = place.build_engines(engine, target_recall=1.0)
    assert [one.engine for one in built] == [engine, engine]
    assert built[0].reason
    assert built[0].recall >= 0.95
    for opened in (place, Collection.open(place.path)):
        assert [distances(found(opened, queries, **one)) for one in options] == before
        assert isinstance(opened.snapshot.segments[0].index("image"), KINDS[engine])
    assert check_collection(place.path) == []
    gone = [name for name, _ in found(place, queries[:1])[0]]
    place.remove(gone)
    place.add(Items(["new"], [""]), image=queries[:1], without_text=[0])
    after = found(place, queries[:1])[0]
    assert after[0] == ("new", 0) or ("new", 0) in after
    assert not {name for name, _ in after} & set(gone)
    place.compact()
    assert not list((place.path / "engines").iterdir())  # they were of segments that are no more
    assert distances(found(place, queries[:1])) == [[distance for _, distance in after]]
    place.build_engines(engine)
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
    with pytest.raises(SettingsError, match="one of auto, exact, ivf, pruned, prefix"):
        place.build_engines("hnsw")
    ran = CliRunner().invoke(app, ["compact", str(place.path), "--engine", "pruned", "--json"])
    assert ran.exit_code == 0, ran.output
    assert [one["engine"] for one in json.loads(ran.stdout)["engines"]] == ["pruned", "pruned"]


def test_what_was_built_is_told_wherever_the_collection_is_opened(tmp_path):
    place, codes = made(tmp_path / "c")
    assert [(one.engine, one.recall) for one in place.engines] == [("exact", 1.0)]
    (built, _) = place.build_engines("prefix", target_recall=0.9)
    opened = Collection.open(place.path)
    assert opened.engines == (built,)
    assert 0.9 <= built.recall <= 1
    assert "candidates a query by the first 32 bits, which the method did not make a code" in built.reason
    opened.add(Items(["new"], [""]), image=codes[:1], without_text=[0])
    assert [(one.n, one.engine) for one in opened.engines] == [(N, "prefix"), (1, "exact")]
    for words in (["info", str(place.path)], ["check", str(place.path)], ["search", str(place.path), "--item", "i1"]):
        ran = CliRunner().invoke(
            app, [*words, "--among", "image", "--json"] if words[0] == "search" else [*words, "--json"]
        )
        told = json.loads(ran.stdout)["engines"][0]
        assert (told["engine"], told["recall"], told["reason"]) == ("prefix", built.recall, built.reason)


def test_learned_prefixes_are_searched_and_the_hasher_tells_them(tmp_path):
    rng = np.random.default_rng(1)
    hasher = dataclasses.replace(hasher_of(n_bits=64), settings={"prefixes": [16, 32, 64, "x"]})
    codes = Codes(rng.integers(0, 256, (N, 8), dtype=np.uint8), 64)
    items = Items([f"i{n}" for n in range(N)], [""] * N)
    place = Collection.create(tmp_path / "c", hasher, items, image=codes, without_text=np.arange(N))
    assert place.build_engines("prefix", target_recall=0.5)[0].reason.endswith((" 16 bits", " 32 bits"))


def test_an_engine_is_chosen_for_one_search(tmp_path):
    place, codes = made(tmp_path / "c")
    exact = found(place, codes[:30])
    with pytest.raises(SettingsError, match="No engine prefix is built over the image codes, but exact"):
        found(place, codes[:1], engine="prefix")
    place.build_engines("prefix", target_recall=0.1)
    some = found(place, codes[:30])
    assert found(place, codes[:30], engine="prefix") == some != exact
    assert found(place, codes[:30], engine="exact") == exact
    with pytest.raises(SettingsError, match="one of auto"):
        found(place, codes[:1], engine="hnsw")
    words = ["search", str(place.path), "--item", "i1", "--among", "image", "--engine"]
    told = [json.loads(CliRunner().invoke(app, [*words, name, "--json"]).stdout) for name in ("exact", "auto")]
    assert [[one["engine"] for one in answer["engines"]] for answer in told] == [["exact"], ["prefix"]]
    shown = CliRunner().invoke(app, [*words, "auto"]).stdout
    assert "3,000 image codes: prefix, recall" in shown


def test_what_a_killed_build_left_goes_with_the_next_change(tmp_path):
    place, _ = made(tmp_path / "c")
    place.build_engines("pruned")
    left = place.path / "engines" / ".segment-00000001-0a0a0a0a-image.ivf.0a0a0a0a.part"
    left.write_bytes(b"half")
    assert check_collection(place.path) == []
    place.build_engines("pruned")
    assert not left.exists()


def test_without_the_package_lists_are_refused_and_passed_over(tmp_path, monkeypatch):
    pytest.importorskip("faiss")
    place, codes = made(tmp_path / "c")
    before = distances(found(place, codes[:3]))
    place.build_engines("ivf")
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert distances(found(Collection.open(place.path), codes[:3])) == before
    assert check_collection(place.path) == []
    with pytest.raises(MissingExtraError, match=r"crossbit\[ann\]"):
        place.build_engines("ivf")


def test_the_disk_is_full_while_an_engine_is_built(tmp_path, monkeypatch):
    place, codes = made(tmp_path / "c")
    place.build_engines("prefix", target_recall=0.5)
    before = found(place, codes[:3])

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(OSError, match="No space"):
            place.build_engines("pruned")
    opened = Collection.open(place.path)
    assert [one.engine for one in opened.engines] == ["prefix"]
    assert found(opened, codes[:3]) == before
    assert not list((place.path / "engines").glob(".*"))
