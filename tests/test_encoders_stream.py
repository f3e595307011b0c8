"""Encoding at size: order, bad pictures of every kind, gone on with after kill -9, and bounded memory."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from crossbit.encoders import (
    BagOfWords,
    EfficientNetLite0,
    Encoded,
    EncodedStore,
    Left,
    Preparation,
    encode_stream,
    open_picture,
)
from crossbit.encoders.decoding import PictureReaders
from crossbit.encoders.encoder import encode_pictures
from crossbit.errors import DataError, FileFormatError, MismatchError, SettingsError, WidthError
from crossbit.methods import load_method
from crossbit.progress import Step
from crossbit.sources import Record

SQUASH = Preparation(side=8, fit="squash")
BAG = BagOfWords(("apple", "pear", "red"))


@dataclass(frozen=True)
class Means:
    """A cheap picture encoder in two steps: the mean colour of each quarter."""

    batch: int = 3
    name: str = "means-1"
    width: int = 12
    preparation: Preparation = SQUASH

    def fingerprint(self) -> str:
        return self.name

    def encode(self, items: Any) -> Encoded:
        return encode_pictures(self, items)

    def encode_prepared(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        quarters = pixels.reshape(len(pixels), 2, 4, 2, 4, 3).mean(axis=(2, 4))
        return np.asarray(quarters.reshape(len(pixels), 12), np.float32)


class Plain:
    """The same without the second step, as a person may write it."""

    width = 12

    def fingerprint(self) -> str:
        return "plain-1"

    def encode(self, items: Any) -> Encoded:
        return Means().encode(items)


def picture(seed: int, size: tuple[int, int] = (12, 9), kind: str = "PNG", **settings: Any) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return stored(Image.fromarray(values), kind, **settings)


def stored(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **settings)
    return content.getvalue()


def records(n: int) -> list[Record]:
    return [Record(f"item {row}", picture(row), ("a red apple",) if row % 2 else ("pear",)) for row in range(n)]


@pytest.mark.parametrize("painter", [Means(), Plain()])
def test_features_and_ids_come_in_the_order_of_the_records(painter: Any, tmp_path: Path) -> None:
    steps: list[Step] = []
    given = records(23)
    store = encode_stream(given, {"image": painter, "text": BAG}, tmp_path / "e", shard_size=7, progress=steps.append)
    assert len(store) == 23
    assert store.ids() == tuple(record.id for record in given)
    assert len(store.paths) == 4
    whole = Means().encode([record.picture for record in given]).features
    assert np.array_equal(store.features("image")[:], whole)
    assert np.array_equal(store.features("text")[:], BAG.encode([record.texts[0] for record in given]).features)
    assert np.array_equal(store.rows("image"), np.arange(23))
    assert list(store.skipped()) == []
    assert (tmp_path / "e" / "skipped.jsonl").read_text() == ""
    assert steps[-1].done == steps[-1].total == 23
    assert steps[-1].terms["per second"] > 0
    assert steps[-1].terms["seconds left"] == 0
    assert len(list(store.shards(verify=True))) == 4


def test_rows_are_read_from_the_disk_as_asked_for(tmp_path: Path) -> None:
    given = records(11)
    store = encode_stream(given, {"image": Means()}, tmp_path / "e", shard_size=4)
    rows = store.features("image")
    whole = np.asarray(rows)
    assert rows.shape == whole.shape == (11, 12)
    assert all(isinstance(block, np.memmap) for block in rows.blocks())
    assert np.array_equal(np.concatenate(list(rows.blocks())), whole)
    for chosen in (np.array([9, 0, 0, 5]), slice(3, 9, 2), -1, 4, np.arange(11) % 2 == 0):
        assert np.array_equal(rows[chosen], whole[chosen])
    with pytest.raises(IndexError):
        rows[11]
    with pytest.raises(SettingsError, match="no 'text'"):
        store.features("text")


def bomb() -> bytes:
    """A PNG that says it has 60,000 x 60,000 pixels and brings next to none."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def unusual() -> dict[str, tuple[bytes, Image.Image]]:
    """Pictures that are fine and need care, each with what it shows."""
    base = Image.open(io.BytesIO(picture(3, (16, 8)))).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [base, Image.new("RGB", base.size, "blue")]
    deep = np.asarray(base.convert("L"), np.uint16) * 257
    return {
        "animated": (stored(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True), base),
        "exif": (stored(base, exif=exif), base.rotate(-90, expand=True)),
        "16-bit": (stored(Image.fromarray(deep)), base.convert("L").convert("RGB")),
        "cmyk": (stored(base.convert("CMYK"), "TIFF"), base.convert("CMYK").convert("RGB")),
        "a png named .jpg": (stored(base), base),
    }


def test_bad_pictures_are_named_and_stop_nothing(tmp_path: Path) -> None:
    whole = picture(1, (40, 40))
    named_png = tmp_path / "photo.jpg"
    named_png.write_bytes(unusual()["a png named .jpg"][0])
    (tmp_path / "words.png").write_text("not a picture at all")
    bad: dict[str, tuple[Any, str]] = {
        "cut off": (whole[: len(whole) // 2], "damaged or cut off"),
        "noise": (bytes(range(256)), "not a picture"),
        "empty": (b"", "empty"),
        "bomb": (bomb(), "too large"),
        "missing": (tmp_path / "nowhere.png", "cannot be read"),
        "wrong ending": (tmp_path / "words.png", "not a picture"),
        "a folder": (tmp_path, "cannot be read"),
        "no picture": (3.5, "not as float"),
    }
    given = [Record(name, content, ("red",)) for name, (content, _) in bad.items()]
    good = {name: content for name, (content, _) in unusual().items()} | {"a png named .jpg": named_png}
    given += [Record(name, content) for name, content in good.items()]
    given.append(Record("a problem", picture(0), ("red",), problem="the row has too few columns"))
    given.append(Record("nothing"))
    given.append(Record("only words", None, ("a", "pear"), ("red",)))
    store = encode_stream(given, {"image": Means(), "text": BAG}, tmp_path / "e", shard_size=6, workers=2)
    lines = [json.loads(line) for line in (tmp_path / "e" / "skipped.jsonl").read_text().splitlines()]
    assert [Left(**line) for line in lines] == list(store.skipped())
    reasons = {line["id"]: (line["what"], line["reason"]) for line in lines}
    assert set(reasons) == {*bad, "a problem", "nothing"}
    for name, (_, reason) in bad.items():
        assert reasons[name][0] == "image"
        assert reason in reasons[name][1]
    assert reasons["a problem"] == ("item", "the row has too few columns")
    assert reasons["nothing"][0] == "item"
    expected = [Means().preparation(shown.convert("RGB")) for _, shown in unusual().values()]
    found = store.features("image")[:]
    assert np.abs(found - Means().encode_prepared(np.stack(expected))).max() <= 1.0
    assert np.array_equal(store.rows("image"), np.arange(len(bad), len(bad) + len(good)))
    assert store.rows("text").tolist() == [*range(len(bad)), len(given) - 1]
    assert store.features("text")[-1].tolist() == [0, 1, 1]


def test_a_picture_that_ends_its_process_is_skipped(tmp_path: Path) -> None:
    with PictureReaders(Preparation(side=8), 1) as readers:
        assert isinstance(readers.submit(picture(0)).result(), np.ndarray)
        (reader,) = readers._all
        os.kill(reader._process.pid, signal.SIGKILL)
        assert "ended on it (exit code -9)" in str(readers.submit(picture(0)).result())
        assert isinstance(readers.submit(picture(0)).result(), np.ndarray)


def test_no_torch_in_the_processes_that_open_pictures() -> None:
    code = (
        "import sys, crossbit.encoders.decoding\n"
        "assert not {'torch', 'transformers', 'numba'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_own_encoder_that_lies_about_its_width_is_named(tmp_path: Path) -> None:
    with pytest.raises(WidthError, match="says its features are 5 wide"):
        encode_stream(records(3), {"image": Means(width=5)}, tmp_path / "e")


def test_settings_out_of_range_are_refused(tmp_path: Path) -> None:
    for settings in ({"shard_size": 0}, {"workers": 0}, {"lanes": 0}):
        with pytest.raises(SettingsError, match="1 or more"):
            encode_stream(records(1), {"image": Means()}, tmp_path / "e", **settings)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="image, text or both"):
        encode_stream(records(1), {}, tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_another_encoder_other_records_or_a_strange_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(FileFormatError, match="not empty"):
        encode_stream(records(3), {"image": Means()}, tmp_path / "mine")
    encode_stream(records(3), {"image": Means()}, tmp_path / "e")
    with pytest.raises(MismatchError, match=r"'means-1'.*'means-2'"):
        encode_stream(records(3), {"image": Means(name="means-2")}, tmp_path / "e")
    with pytest.raises(MismatchError, match="shard_size"):
        encode_stream(records(3), {"image": Means()}, tmp_path / "e", shard_size=5)
    with pytest.raises(RuntimeError):
        encode_stream(failing(9), {"image": Means()}, tmp_path / "f", shard_size=3)
    with pytest.raises(FileFormatError, match="not finished"):
        EncodedStore.open(tmp_path / "f")
    with pytest.raises(MismatchError, match="other records"):
        encode_stream(records(20)[1:], {"image": Means()}, tmp_path / "f", shard_size=3)


def failing(after: int) -> Iterator[Record]:
    yield from records(after)
    raise RuntimeError


def test_codes_are_made_only_with_the_encoders_of_the_hasher(tmp_path: Path) -> None:
    store = encode_stream(records(40), {"image": Means(), "text": BAG}, tmp_path / "e", shard_size=16)
    rows, pairs = store.pairs()
    assert rows.tolist() == list(range(40))
    hasher = load_method("random-projection")(n_bits=8).fit(pairs)
    assert store.codes(hasher, "text") == hasher.encode_texts(pairs.text)
    bound = hasher.with_encoders(image="means-1", text=BAG.fingerprint())
    assert store.codes(bound, "image") == hasher.encode_images(pairs.image)
    with pytest.raises(MismatchError, match=r"means-2.*Encode again with the hasher's encoder"):
        store.codes(hasher.with_encoders(image="means-2", text=BAG.fingerprint()), "image")


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "grown"])
def test_a_damaged_shard_is_found(damage: str, tmp_path: Path) -> None:
    store = encode_stream(records(9), {"image": Means()}, tmp_path / "e", shard_size=4)
    content = bytearray(store.paths[1].read_bytes())
    if damage == "flip":
        at = content.index(store.features("image")[4].tobytes())
        content[at] ^= 1
    store.paths[1].write_bytes({"cut": content[:-9], "empty": b"", "grown": content + b"x"}.get(damage, content))
    with pytest.raises(FileFormatError, match="no whole shard"):
        list(EncodedStore.open(tmp_path / "e").shards(verify=True))


SLOW = """
    import sys, time
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from test_encoders_stream import BAG, Means, encode_stream, records

    class Slow(Means):
        def encode_prepared(self, pixels):
            time.sleep(0.01)
            return super().encode_prepared(pixels)

    Path(sys.argv[1] + ".pid").write_text("on its way")
    encode_stream(records(120), {{"image": Slow(), "text": BAG}}, sys.argv[1], shard_size=10, workers=2)
"""


def started(folder: Path) -> subprocess.Popen[bytes]:
    code = textwrap.dedent(SLOW.format(tests=str(Path(__file__).parent)))
    return subprocess.Popen([sys.executable, "-c", code, str(folder)])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the processes are watched in /proc")
def test_after_kill_9_at_any_moment_at_most_one_shard_is_encoded_again(tmp_path: Path) -> None:
    expected = encode_stream(records(120), {"image": Means(), "text": BAG}, tmp_path / "whole", shard_size=10)
    moments = random.Random(7)
    for kill in range(4):
        folder = tmp_path / f"killed {kill}"
        process = started(folder)
        wanted = moments.randrange(0, 11)
        while len(list(folder.glob("shard-*"))) < wanted and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.random() * 0.05)
        workers = [child for thread in Path(f"/proc/{process.pid}/task").iterdir() for child in of_thread(thread)]
        process.kill()
        process.wait()
        kept = len(list(folder.glob("shard-*")))
        seen: list[int] = []
        store = encode_stream(
            counted(records(120), seen, kept * 10), {"image": Means(), "text": BAG}, folder, shard_size=10
        )
        assert len(seen) == 120 - kept * 10
        for mine, other in zip(store.shards(verify=True), expected.shards(), strict=True):
            assert mine.ids == other.ids
            assert np.array_equal(mine.features["image"], other.features["image"])
        assert not list(folder.glob(".*.part"))
        deadline = time.monotonic() + 20
        while any(map(alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(alive, workers)), "the processes that open pictures end with the one that began them"


def of_thread(thread: Path) -> list[int]:
    try:
        return [int(child) for child in (thread / "children").read_text().split()]
    except OSError:
        return []


def counted(given: list[Record], seen: list[int], kept: int) -> Iterator[Record]:
    for row, record in enumerate(given):
        if row >= kept:
            seen.append(row)
        yield record


def test_a_record_list_is_gone_on_with_and_a_finished_folder_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        encode_stream(failing(9), {"image": Means()}, tmp_path / "e", shard_size=3)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "e").glob("shard-*")}
    assert kept
    store = encode_stream(records(11), {"image": Means()}, tmp_path / "e", shard_size=3)
    assert len(store) == 11
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(encode_stream(records(11), {"image": Means()}, tmp_path / "e", shard_size=3)) == 11


def test_the_packaged_encoder_gives_the_same_in_a_stream(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    given = records(5)
    store = encode_stream(given, {"image": EfficientNetLite0()}, tmp_path / "e")
    expected = EfficientNetLite0().encode([record.picture for record in given if isinstance(record.picture, bytes)])
    assert np.array_equal(store.features("image")[:], expected.features)


@pytest.mark.parametrize("fit", ["pad", "crop", "squash"])
@pytest.mark.parametrize("size", [(30, 20), (20, 30), (8, 8), (3000, 2), (1, 4000)])
def test_pictures_of_any_shape_are_prepared(fit: Any, size: tuple[int, int]) -> None:
    made = Preparation(side=8, fit=fit, shorter=10, mean=(1.0, 2.0, 3.0), std=(2.0, 2.0, 2.0))
    pixels = made(open_picture(picture(0, size)))
    assert pixels.shape == (8, 8, 3)
    assert Preparation.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert np.array_equal(made.scaled(pixels[None])[0, 1], (pixels[..., 1].astype(np.float32) - 2) / 2)


def test_a_preparation_out_of_range_is_refused() -> None:
    for wrong in (
        {"side": 0},
        {"side": 8, "fit": "crop"},
        {"side": 8, "std": (1, 0, 1)},
        {"side": 8, "resample": "no"},
    ):
        with pytest.raises(SettingsError):
            Preparation(**wrong)
    with pytest.raises(DataError):
        open_picture(b"")
