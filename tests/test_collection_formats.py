"""Collections that were written by former versions open for ever: the files in tests/data are never written again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from crossbit.collection import Collection, Items, check_collection
from crossbit.errors import FileFormatError

DATA = Path(__file__).resolve().parent / "data"


@pytest.fixture(params=["collection-v1", "collection-v2"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    shutil.copytree(DATA / request.param, tmp_path / request.param)
    return tmp_path / request.param


def test_version_1_answers_as_it_did() -> None:
    opened = Collection.open(DATA / "collection-v1")
    assert opened.manifest.version == 1
    assert list(opened.ids()) == ["item-0", "item-1", "item-2", "item-3", "ü/5"]
    assert opened.snapshot.codes("image").packed.tolist() == [[56, 209], [73, 172], [73, 172], [38, 82]]
    assert opened.snapshot.codes("text").packed.tolist() == [[194, 84], [255, 255], [212, 161], [218, 16]]
    assert opened.snapshot.rows_with("image").tolist() == [0, 2, 3, 4]
    assert opened.snapshot.rows_with("text").tolist() == [0, 1, 2, 4]
    assert opened.vocabulary is not None
    assert opened.vocabulary.vocabulary == ("apple", "pear", "red", "süß")
    assert (opened.get("item-1").caption, opened.get("ü/5").picture) == ("eine süße Birne", "pictures/4.png")
    assert (opened.thumbnail("item-2"), (opened.thumbnail("item-0") or b"")[:4]) == (None, b"\x89PNG")
    hits = opened.search_texts(opened.vocabulary.encode(["red"]).features, 2)[0]
    assert [(hit.id, hit.distance) for hit in hits] == [("item-0", 7), ("ü/5", 8)]


def test_version_2_answers_as_it_did() -> None:
    opened = Collection.open(DATA / "collection-v2")
    assert list(opened.ids()) == ["item-1", "item-3", "ü/5", "late"]
    assert opened.snapshot.codes("image").packed.tolist() == [[73, 172], [38, 82], [56, 209]]
    assert opened.snapshot.rows_with("image").tolist()[0] == 3
    assert opened.get("late").metadata == {"year": 2026, "tag": None, "sure": True, "score": 0.5}
    assert opened.facets("tag") == {"cat": 1, "dog": 1, "Ä": 1, None: 1}
    assert opened.manifest.widths == {"image": 6, "text": 4}
    assert opened.vocabulary is not None
    hits = opened.search_texts(opened.vocabulary.encode(["red"]).features, 9, where="year < 2020")[0]
    assert [(hit.id, hit.distance) for hit in hits] == [("ü/5", 8), ("item-3", 9)]


def test_reading_changes_nothing(stored: Path) -> None:
    before = {path: path.read_bytes() for path in stored.rglob("*") if path.is_file()}
    opened = Collection.open(stored)
    opened.search_item("ü/5")
    assert check_collection(stored) == []
    assert {path: path.read_bytes() for path in stored.rglob("*") if path.is_file()} == before


def test_the_first_change_writes_the_present_format(stored: Path) -> None:
    opened, reader = Collection.open(stored), Collection.open(stored)
    before = {item.id: (item.caption, item.has_image, item.has_text) for item in map(opened.get, opened.ids())}
    codes = {side: opened.snapshot.codes(side) for side in ("image", "text")}
    removed = "item-1"
    assert opened.remove([removed]) == 1
    assert json.loads((stored / "manifest.json").read_text())["version"] == 2
    assert not list(stored.glob("files-*"))
    assert removed in reader  # it goes on reading what it opened
    reader.refresh()
    for place in (opened, reader, Collection.open(stored)):
        assert {item.id: (item.caption, item.has_image, item.has_text) for item in map(place.get, place.ids())} == {
            name: held for name, held in before.items() if name != removed
        }
        assert place.snapshot.codes("image") == codes["image"]
        assert place.vocabulary is not None
    opened.compact()
    assert check_collection(stored) == []
    assert removed not in Collection.open(stored)


def test_what_stands_in_a_version_1_is_checked(tmp_path: Path) -> None:
    for name in ("hasher.safetensors", "image-codes.npy", "text-codes.npy", "items.parquet", "vocabulary.json"):
        shutil.copytree(DATA / "collection-v1", tmp_path / name)
        path = next((tmp_path / name).glob(f"files-*/{name}"))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=name):
            Collection.open(tmp_path / name)
        assert len(check_collection(tmp_path / name)) == 1


def test_items_of_today_join_those_of_version_1(tmp_path: Path) -> None:
    shutil.copytree(DATA / "collection-v1", tmp_path / "c")
    opened = Collection.open(tmp_path / "c")
    code = opened.code("item-0", "image")
    opened.add(Items(["new"], ["a new one"], metadata={"year": [2026]}), image=code)
    hits = opened.search(code, 2, among="image", by="image")[0]
    assert [(hit.id, hit.distance) for hit in hits] == [("item-0", 0), ("new", 0)]
    assert [hit.metadata for hit in hits] == [{"year": None}, {"year": 2026}]
