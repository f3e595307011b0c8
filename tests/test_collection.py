from __future__ import annotations

import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossbit import Codes, Hasher, HashFunction
from crossbit.collection import Collection, Items, manifest, small_picture, state
from crossbit.collection.build import build_folder
from crossbit.encoders import BagOfWords
from crossbit.errors import (
    DataError,
    FileFormatError,
    MismatchError,
    SettingsError,
    WidthError,
)
from crossbit.hasher import Layer

N, N_BITS = 40, 12


def hasher_of(seed: int, n_bits: int = N_BITS) -> Hasher:
    rng = np.random.default_rng(seed)
    functions = [
        HashFunction((Layer(rng.normal(size=(width, n_bits)).astype(np.float32), np.zeros(n_bits, np.float32)),))
        for width in (6, 4)
    ]
    return Hasher(functions[0], functions[1], method="test")


HASHER = hasher_of(0)
RNG = np.random.default_rng(1)
IMAGE, TEXT = RNG.normal(size=(N, 6)).astype(np.float32), RNG.normal(size=(N, 4)).astype(np.float32)
IMAGE_CODES, TEXT_CODES = HASHER.encode_images(IMAGE), HASHER.encode_texts(TEXT)
ITEMS = Items(
    [f"item-{row}" for row in range(N)],
    [f"caption {row} ä\n<b>" for row in range(N)],
    [f"pictures/{row}.png" for row in range(N)],
    thumbnail=lambda row: None if row == 3 else b"\x89PNG %d" % row,
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Collection.create(tmp_path / "c", HASHER, ITEMS, image=IMAGE_CODES, text=TEXT_CODES)
    return tmp_path / "c"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def brute_force(query: Codes, codes: Codes, k: int) -> list[tuple[int, int]]:
    distances = (query.bits()[0] != codes.bits()).sum(axis=1)
    order = np.argsort(distances, kind="stable")[:k]
    return [(int(row), int(distances[row])) for row in order]


def test_what_was_stored_comes_back(place: Path) -> None:
    opened = Collection.open(place, hasher=HASHER)
    assert len(opened) == N
    assert opened.n_bits == N_BITS
    assert opened.snapshot.codes("image") == IMAGE_CODES
    assert opened.snapshot.codes("text") == TEXT_CODES
    assert opened.hasher.fingerprint() == HASHER.fingerprint()
    assert list(opened.ids()) == list(ITEMS.ids)
    assert opened.get("item-7").caption == "caption 7 ä\n<b>"
    assert opened.get("item-7").picture == "pictures/7.png"
    assert opened.thumbnail("item-7") == b"\x89PNG 7"
    assert opened.thumbnail("item-3") is None
    content = json.loads((place / "manifest.json").read_text())
    assert (content["format"], content["version"]) == ("crossbit-collection", 2)


def test_search_in_both_directions_is_exact_with_ties_by_row(place: Path) -> None:
    opened = Collection.open(place)
    for row in (0, 11):
        hits = opened.search_texts(TEXT[row : row + 1], 7)[0]
        assert [(hit.row, hit.distance) for hit in hits] == brute_force(TEXT_CODES[row : row + 1], IMAGE_CODES, 7)
        hits = opened.search_images(IMAGE[row : row + 1], 7)[0]
        assert [(hit.row, hit.distance) for hit in hits] == brute_force(IMAGE_CODES[row : row + 1], TEXT_CODES, 7)
        assert [hit.rank for hit in hits] == list(range(1, 8))
        assert [hit.id for hit in hits] == [f"item-{hit.row}" for hit in hits]
    same = opened.search_images(IMAGE[5:6], 1, among="image")[0][0]
    assert (same.row, same.distance, same.caption, same.picture) == (5, 0, "caption 5 ä\n<b>", "pictures/5.png")


def test_several_queries_and_more_hits_than_items(place: Path) -> None:
    found = Collection.open(place).search_texts(TEXT[:3], N + 10)
    assert [len(hits) for hits in found] == [N, N, N]


def test_an_item_asks_without_finding_itself(place: Path) -> None:
    opened = Collection.open(place)
    hits = opened.search_item("item-4", 5, by="image", among="image")
    expected = [pair for pair in brute_force(IMAGE_CODES[4:5], IMAGE_CODES, N) if pair[0] != 4][:5]
    assert [(hit.row, hit.distance) for hit in hits] == expected
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
    by_text = opened.search_item("item-4", 5)
    assert by_text == opened.search_item("item-4", 5, by="text", among="image")
    assert len(opened.search_item("item-4", N)) == N - 1
    with pytest.raises(DataError, match="no item 'nobody'"):
        opened.search_item("nobody")


def test_items_may_lack_a_picture_or_a_text(tmp_path: Path) -> None:
    opened = Collection.create(
        tmp_path / "c", HASHER, ITEMS, image=IMAGE_CODES, text=TEXT_CODES, without_image=(0, 2), without_text=(5,)
    )
    assert (opened.n_image, opened.n_text) == (N - 2, N - 1)
    assert {0, 2}.isdisjoint(hit.row for hit in opened.search_texts(TEXT[:1], N)[0])
    assert 5 not in {hit.row for hit in opened.search_images(IMAGE[:1], N)[0]}
    assert opened.search_item("item-5", 3) == opened.search_item("item-5", 3, by="image")
    with pytest.raises(DataError, match="has no text code; ask by its image"):
        opened.search_item("item-5", by="text")


def test_a_collection_of_texts_alone(tmp_path: Path) -> None:
    opened = Collection.create(tmp_path / "c", HASHER, ITEMS, text=TEXT_CODES)
    assert opened.search_texts(TEXT[2:3], 1, among="text")[0][0].row == 2
    with pytest.raises(DataError, match="search the text side"):
        opened.search_texts(TEXT[:1])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": IMAGE_CODES[:-1]}, DataError, "40 items and 39 image codes"),
        ({"image": hasher_of(0, 8).encode_images(IMAGE)}, WidthError, "12-bit codes; the codes given have 8"),
        ({"without_text": (N,)}, DataError, "outside 0 to 39"),
        ({"without_image": (1,), "without_text": (1,)}, DataError, "neither an image nor a text code"),
        ({"image": None, "text": None}, DataError, "40 items have neither"),
    ],
)
def test_parts_that_do_not_fit_build_nothing(tmp_path: Path, change: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Collection.create(tmp_path / "c", HASHER, ITEMS, **{"image": IMAGE_CODES, "text": TEXT_CODES} | change)
    assert list(tmp_path.iterdir()) == []


def test_items_are_checked() -> None:
    with pytest.raises(DataError, match="no items"):
        Items([], [])
    with pytest.raises(DataError, match="2 ids, 1 captions"):
        Items(["a", "b"], ["one"])
    with pytest.raises(DataError, match="'a' is given twice"):
        Items(["a", "a"], ["", ""])


def test_queries_of_another_length_and_bad_k_are_refused(place: Path) -> None:
    opened = Collection.open(place)
    with pytest.raises(WidthError, match="12-bit codes; the queries have 8"):
        opened.search(hasher_of(0, 8).encode_images(IMAGE), among="image")
    with pytest.raises(SettingsError, match="must be 1 or more; got 0"):
        opened.search_texts(TEXT[:1], 0)
    with pytest.raises(SettingsError, match="'image' or 'text'"):
        opened.search(IMAGE_CODES, among="sound")  # type: ignore[arg-type]
    with pytest.raises(WidthError):
        opened.search_texts(IMAGE[:1])


def test_another_hasher_is_refused(place: Path) -> None:
    with pytest.raises(MismatchError, match="its own hasher"):
        Collection.open(place, hasher=hasher_of(9))


FILES = ["items.arrow", "image-codes.npy", "text-codes.npy", "id-hashes.npy", "id-rows.npy"]


@pytest.mark.parametrize("name", ["hasher.safetensors", *FILES])
@pytest.mark.parametrize("damage", ["cut", "remove"])
def test_a_damaged_file_is_named(place: Path, name: str, damage: str) -> None:
    path = next(place.glob(f"*/{name}"))
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-5])
    with pytest.raises(FileFormatError, match=name) as caught:
        Collection.open(place)
    assert re.search(r"crossbit check|Restore a copy|make one with", str(caught.value))


BAG = BagOfWords(("apple", "pear", "red", "süß"))


def test_a_bag_of_words_is_kept_with_its_collection(tmp_path: Path) -> None:
    hasher = HASHER.with_encoders(image="somewhere", text=BAG.fingerprint())
    create = {"image": IMAGE_CODES, "text": TEXT_CODES}
    made = Collection.create(tmp_path / "c", hasher, ITEMS, **create, vocabulary=BAG)
    assert made.vocabulary == BAG
    shutil.copytree(tmp_path / "c", tmp_path / "copy")
    opened = Collection.open(tmp_path / "copy")
    assert opened.vocabulary == BAG
    features = opened.vocabulary.encode(["a red, red apple"]).features
    assert (
        opened.search_texts(features)[0] == made.search(hasher.encode_texts(np.array([[1, 0, 1, 0]])), among="image")[0]
    )
    assert Collection.create(tmp_path / "none", hasher, ITEMS, **create).vocabulary is None
    with pytest.raises(MismatchError, match="the vocabulary that the hasher was fitted on"):
        Collection.create(tmp_path / "other", hasher, ITEMS, **create, vocabulary=BagOfWords(("plum",)))
    with pytest.raises(MismatchError, match="come from elsewhere"):
        Collection.create(tmp_path / "other", HASHER, ITEMS, **create, vocabulary=BAG)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("damage", ["alter", "remove"])
def test_a_damaged_vocabulary_is_named(tmp_path: Path, damage: str) -> None:
    hasher = HASHER.with_encoders(image="somewhere", text=BAG.fingerprint())
    Collection.create(tmp_path / "c", hasher, ITEMS, image=IMAGE_CODES, text=TEXT_CODES, vocabulary=BAG)
    path = next((tmp_path / "c").glob("hasher-*/vocabulary.json"))
    if damage == "remove":
        path.unlink()
    else:
        path.write_text(path.read_text("utf-8").replace("pear", "plum"), "utf-8")
    with pytest.raises(FileFormatError, match=r"vocabulary\.json"):
        Collection.open(tmp_path / "c")


def rewrite(place: Path, **changes: object) -> None:
    content = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(content | changes))


def test_a_damaged_manifest_is_refused(place: Path) -> None:
    rewrite(place, n_bits=N_BITS + 1)
    with pytest.raises(FileFormatError, match="altered"):
        Collection.open(place)
    (place / "manifest.json").write_text("{")
    with pytest.raises(FileFormatError, match=r"manifest\.json cannot be read"):
        Collection.open(place)
    (place / "manifest.json").write_text("[]")
    with pytest.raises(FileFormatError, match="not the manifest of a crossbit collection"):
        Collection.open(place)


def test_an_unknown_version_is_refused_with_what_to_do(place: Path) -> None:
    rewrite(place, version=3)
    with pytest.raises(FileFormatError, match=r"version 3; this crossbit reads versions 1 to 2. Upgrade"):
        Collection.open(place)


def test_what_is_no_collection_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="is not a collection"):
        Collection.open(tmp_path / "absent")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileFormatError, match="is not a collection"):
        Collection.open(tmp_path / "file")


def test_a_collection_is_replaced_only_on_request(place: Path) -> None:
    before = contents(place)
    with pytest.raises(SettingsError, match="overwrite=True"):
        Collection.create(place, HASHER, ITEMS, image=IMAGE_CODES, text=TEXT_CODES)
    assert contents(place) == before
    Collection.create(place, HASHER, ITEMS, text=TEXT_CODES, overwrite=True)
    assert Collection.open(place).n_image == 0
    assert (
        len(list(place.glob("segment-*"))) == len(list(place.glob("hasher-*"))) == len(list(place.glob("log-*"))) == 1
    )
    assert [path.name for path in place.parent.iterdir()] == ["c"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_things_are_never_overwritten(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"precious")
    (tmp_path / "file").write_bytes(b"precious")
    before = contents(tmp_path)
    for name in ("photos", "file"):
        with pytest.raises(FileFormatError, match="is left alone"):
            Collection.create(tmp_path / name, HASHER, ITEMS, text=TEXT_CODES, overwrite=overwrite)
    assert contents(tmp_path) == before


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    assert len(Collection.create(tmp_path / "c", HASHER, ITEMS, text=TEXT_CODES)) == N


@pytest.mark.parametrize("replaces", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_build_that_fails_leaves_what_was_there(tmp_path: Path, replaces: bool, error: type[BaseException]) -> None:
    if replaces:
        Collection.create(tmp_path / "c", HASHER, ITEMS, text=TEXT_CODES)
    before = contents(tmp_path)

    def fail(row: int) -> bytes:
        raise error

    items = Items(ITEMS.ids, ITEMS.captions, thumbnail=fail)
    with pytest.raises(error):
        Collection.create(tmp_path / "c", HASHER, items, text=TEXT_CODES, overwrite=True)
    after = contents(tmp_path)
    after.pop("c/writer.lock", None)
    assert after == before
    assert [path.name for path in tmp_path.iterdir()] == ["c"] * replaces


def test_files_of_a_running_build_are_left_alone_and_of_a_dead_one_removed(place: Path) -> None:
    running, dead = f"{os.getppid()}-0a0a0a0a", "999999999-0a0a0a0a"
    for mark in (running, dead):
        (place.parent / f".c.{mark}.part").mkdir()
    (place / "segment-00000009-0a0a0a0a").mkdir()
    (place / "log-00000009-0a0a0a0a").write_bytes(b"x")
    (place / "query").mkdir()
    (place / "mine.txt").write_text("mine")
    Collection.create(place, HASHER, ITEMS, text=TEXT_CODES, overwrite=True)
    assert (place.parent / f".c.{running}.part").exists()
    assert not (place.parent / f".c.{dead}.part").exists()
    assert not (place / "segment-00000009-0a0a0a0a").exists()
    assert not (place / "log-00000009-0a0a0a0a").exists()
    assert (place / "query").exists()
    assert (place / "mine.txt").exists()


def test_a_collection_may_be_moved_and_copied(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place, tmp_path / "copy")
    assert Collection.open(tmp_path / "copy").search_texts(TEXT[:1]) == Collection.open(place).search_texts(TEXT[:1])


def test_an_open_collection_outlives_its_replacement(place: Path) -> None:
    opened = Collection.open(place)
    Collection.create(place, HASHER, ITEMS, text=TEXT_CODES, overwrite=True)
    assert opened.thumbnail("item-7") == b"\x89PNG 7"
    assert opened.search_texts(TEXT[:1], 1)


def test_opening_while_another_build_takes_the_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = state.open_segment, []

    def replaced_first(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 1:
            Collection.create(place, HASHER, ITEMS, text=TEXT_CODES, overwrite=True)
        return real(*given)

    monkeypatch.setattr(state, "open_segment", replaced_first)
    assert Collection.open(place).n_image == 0


@pytest.mark.parametrize(("field", "name"), [("log", "../elsewhere"), ("hasher_folder", "/etc"), ("log", "query")])
def test_a_manifest_cannot_lead_outside(place: Path, field: str, name: str) -> None:
    content = json.loads((place / "manifest.json").read_text()) | {field: name}
    del content["checksum"]
    (place / "manifest.json").write_text(json.dumps(content | {"checksum": manifest._checksum(content)}))
    with pytest.raises(FileFormatError, match="none of ours"):
        Collection.open(place)


def test_build_folder_refuses_before_writing(place: Path) -> None:
    def never(folder: Path) -> None:
        raise AssertionError("must not be called")

    with pytest.raises(SettingsError):
        build_folder(place, never, overwrite=False)  # type: ignore[arg-type]


def picture_file(size: tuple[int, int], kind: str, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.effect_noise(size, 80).convert(mode).save(out, format=kind)
    return out.getvalue()


def test_large_pictures_become_thumbnails_and_small_ones_stay() -> None:
    small = picture_file((72, 72), "PNG")
    assert small_picture(small) == small
    for large in (
        picture_file((1000, 500), "JPEG"),
        picture_file((1000, 500), "TIFF"),
        picture_file((800, 400), "GIF"),
    ):
        shrunk = small_picture(large)
        assert shrunk is not None
        with Image.open(io.BytesIO(shrunk)) as opened:
            assert (opened.format, opened.size) == ("WEBP", (192, 96))


def test_a_thumbnail_keeps_transparency_and_the_cameras_turn() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (400, 200), (255, 0, 0, 0)).save(out, format="PNG")
    with Image.open(io.BytesIO(small_picture(out.getvalue()) or b"")) as opened:
        assert opened.convert("RGBA").getpixel((5, 5))[3] == 0
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright
    out = io.BytesIO()
    Image.new("RGB", (400, 200)).save(out, format="JPEG", exif=turned)
    with Image.open(io.BytesIO(small_picture(out.getvalue()) or b"")) as opened:
        assert opened.size == (96, 192)


def test_a_broken_picture_has_no_thumbnail() -> None:
    assert small_picture(b"no picture") is None
    assert small_picture(picture_file((1000, 500), "PNG")[:2000]) is None
