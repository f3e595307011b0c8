"""What becomes of a collection under kill -9, a full disk, a read-only folder and flipped bits."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crossbit.collection import Collection, Items, check_collection, log, repair_collection
from crossbit.collection.hits import Hit
from crossbit.errors import CrossbitError, FileFormatError, SettingsError
from small_collections import add, codes_of, hasher_of

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two segments, removed rows in one of them, and changes in the log."""
    made = Collection.create(tmp_path / "c", hasher_of())
    add(made, [f"old-{number}" for number in range(30)])
    made.compact()
    made.remove(["old-3", "old-4"])
    made._writer.flush()
    add(made, ["late-1", "late-2"])
    made.remove(["old-5"])
    return tmp_path / "c"


def answers(place: Path) -> list[Hit]:
    opened = Collection.open(place)
    return opened.search(codes_of(["q"]), 100, among="image")[0]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_kills_at_random_moments_lose_nothing() -> None:
    words = [sys.executable, str(ROOT / "benchmarks" / "durability.py"), "--kills", "15", "--seed", "7", "--out", "-"]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert json.loads(ran.stdout)["lost"] == 0


def files_of(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def test_a_flipped_bit_in_each_file_is_found_and_mended(place: Path, tmp_path: Path) -> None:
    before = {hit.id for hit in answers(place)}
    assert len(before) == 29
    assert check_collection(place) == []
    damaged = [name for name in files_of(place) if "writer.lock" not in name and "copy" not in name]
    assert {name.split("/")[-1].split("-0")[0] for name in damaged} >= {
        *("items.arrow", "image-codes.npy", "text-codes.npy", "id-hashes.npy", "id-rows.npy"),
        *("manifest.json", "hasher.safetensors", "log", "removed"),
    }
    for name in damaged:
        for where in (0.1, 0.6):
            copy = tmp_path / "copy"
            shutil.copytree(place, copy)
            content = bytearray((copy / name).read_bytes())
            content[int(len(content) * where)] ^= 4
            (copy / name).write_bytes(content)
            damage = contents(copy)
            problems = check_collection(copy)
            assert problems, (name, where)
            assert contents(copy) == damage  # looking changes nothing
            with contextlib.suppress(FileFormatError):  # it answers or tells, and neither crashes nor changes anything
                answers(copy)
            assert contents(copy) == damage
            mend(copy, name, before)
            shutil.rmtree(copy)


def mend(copy: Path, name: str, before: set[str]) -> None:
    if "hasher" in name:
        with pytest.raises(CrossbitError):
            repair_collection(copy)
        return
    told = repair_collection(copy)
    assert told
    assert check_collection(copy) == []
    after = {hit.id for hit in answers(copy)}
    if "manifest" in name or "id-" in name:
        assert after == before
    elif "removed" in name:
        assert after == before | {"old-3", "old-4"}
    else:
        assert after <= before | {"old-5"}
        assert any("lost" in sentence for sentence in told)
    assert (copy / "quarantine").is_dir()
    assert repair_collection(copy) == []


def test_a_torn_tail_of_the_log_is_passed_over_and_cut_off(place: Path) -> None:
    (path,) = place.glob("log-*")
    whole, before = path.read_bytes(), {hit.id for hit in answers(place)}
    opened = Collection.open(place)
    add(opened, ["last"])
    longer = path.read_bytes()
    mark = 8
    for length in [*range(len(whole), len(longer) - 30, 60), *range(len(longer) - 10, len(longer) + 1)]:
        path.write_bytes(longer[:length])
        expected = before | ({"last"} if length >= len(longer) - mark else set())
        assert {hit.id for hit in answers(place)} == expected, length
    path.write_bytes(longer[: len(longer) - mark - 5])
    again = Collection.open(place)
    add(again, ["next"])
    assert {hit.id for hit in answers(place)} == before | {"next"}
    assert check_collection(place) == []


def test_a_log_that_lost_its_middle_is_refused(place: Path) -> None:
    (path,) = place.glob("log-*")
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"log-\d+-\w+ is damaged at byte"):
        Collection.open(place)
    with pytest.raises(FileFormatError, match="crossbit check"):
        Collection.open(place)


def test_a_record_whose_mark_is_missing_counts_and_gets_its_mark(tmp_path: Path) -> None:
    log.create_log(tmp_path / "log")
    writing = log.LogWriter(tmp_path / "log", log.Place())
    first = writing.append(log.Record(1, b"one"))
    content = (tmp_path / "log").read_bytes()
    (tmp_path / "log").write_bytes(content[: first.end - 8])
    records, place = log.read_log(tmp_path / "log")
    assert (records, place.unmarked) == ([log.Record(1, b"one")], True)
    log.LogWriter(tmp_path / "log", place).append(log.Record(2, b"two"))
    assert (tmp_path / "log").read_bytes().startswith(content)
    assert [record.payload for record in log.read_log(tmp_path / "log")[0]] == [b"one", b"two"]


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from small_collections import add
from crossbit.collection import Collection
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
place = Collection.open(sys.argv[1])
add(place, ["before"])
size = int(sys.argv[3]) + max(path.stat().st_size for path in Path(sys.argv[1]).glob("log-*"))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
failed = 0
for ids in (["x"], [f"many-{number}" for number in range(2000)]):
    try:
        add(place, ids)
    except OSError:
        failed += 1
try:
    place.compact()
except OSError:
    failed += 1
print(failed, "x" in place, len(list(place.ids())))
"""


@pytest.mark.parametrize("room", [0, 30, 500])
def test_a_full_disk_is_an_error_and_nothing_is_worse(place: Path, room: int) -> None:
    before = {hit.id for hit in answers(place)}
    words = [sys.executable, "-c", FULL, str(place), str(ROOT / "tests"), str(room)]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    failed, added, n = ran.stdout.split()
    assert int(failed) >= 2
    after = {hit.id for hit in answers(place)}
    assert after == before | {"before"} | ({"x"} if added == "True" else set())
    assert int(n) == len(after)
    assert check_collection(place) == []
    opened = Collection.open(place)
    add(opened, ["room-again"])
    opened.compact()
    assert len(opened) == len(after) + 1
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_read_only_folder_answers_and_says_that_it_cannot_be_changed(place: Path) -> None:
    before = contents(place)
    if os.geteuid() == 0:  # the owner of all may write everywhere: what a refusal looks like is made by a folder
        (place / "writer.lock").unlink()
        (place / "writer.lock").mkdir()
    else:
        os.chmod(place, 0o555)
        (place / "writer.lock").chmod(0o444)
    try:
        opened = Collection.open(place)
        assert len(opened.search(codes_of(["q"]), 100, among="image")[0]) == 29
        for attempt in (lambda: add(opened, ["x"]), lambda: opened.remove(["late-1"]), opened.compact):
            with pytest.raises(SettingsError, match="cannot be changed"):
                attempt()
    finally:
        os.chmod(place, 0o755)
    after = contents(place)
    assert {name: after.get(name, b"") for name in before if name != "writer.lock"} == {
        name: content for name, content in before.items() if name != "writer.lock"
    }


def test_hostile_columns_cannot_lead_a_read_outside(place: Path) -> None:
    """Any byte of the items may be flipped: what comes is an answer or a clear error."""
    (path,) = place.glob("segment-*/items.arrow")
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(150):
        altered = bytearray(content)
        for spot in rng.integers(0, len(content), 3):
            altered[spot] = int(rng.integers(256))
        path.write_bytes(altered)
        try:
            opened = Collection.open(place)
            opened.search(codes_of(["q"]), 100, among="image", where="year = 1")
        except CrossbitError:
            told += 1
    assert told > 10


def test_items_given_to_a_collection_cannot_imitate_a_mark(tmp_path: Path) -> None:
    made = Collection.create(tmp_path / "c", hasher_of())
    (path,) = (tmp_path / "c").glob("log-*")
    made.add(Items(["x"], [path.read_bytes()[:24].hex() * 20]), image=codes_of(["x"]))
    path.write_bytes(path.read_bytes()[:-20])
    assert len(Collection.open(tmp_path / "c")) == 0
