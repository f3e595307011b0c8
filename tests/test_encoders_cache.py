"""Features on disk: read again, gone on with after a kill, made again when damaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from crossbit.encoders import Encoded, Skipped, default_cache_folder, encode_cached
from crossbit.errors import DataError, WidthError
from crossbit.progress import Step


@dataclass
class Letters:
    """A text encoder that counts its work: length and vowels; refuses "bad", and fails at the text `fails_at`."""

    name: str = "letters-1"
    fails_at: str = ""
    encoded: list[str] = field(default_factory=list)
    width: int = 2

    def fingerprint(self) -> str:
        return self.name

    def encode(self, items: Sequence[str]) -> Encoded:
        if self.fails_at in items:
            raise KeyboardInterrupt
        self.encoded.extend(items)
        kept = [row for row, item in enumerate(items) if item != "bad"]
        rows = [[len(items[row]), sum(letter in "aeiou" for letter in items[row])] for row in kept]
        skipped = tuple(Skipped(row, "it is bad") for row, item in enumerate(items) if item == "bad")
        return Encoded(np.array(rows, np.float32).reshape(-1, 2), np.array(kept, np.int64), skipped)


TEXTS = ["one", "two", "bad", "three", "four", "five", "bad"]


def shards(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def test_the_second_time_nothing_is_encoded(tmp_path: Path) -> None:
    steps: list[Step] = []
    encoder = Letters()
    first = encode_cached(encoder, TEXTS, tmp_path, steps.append, shard=3)
    assert encoder.encoded == TEXTS
    assert [(step.done, step.total) for step in steps] == [(3, 7), (6, 7), (7, 7)]
    again = Letters()
    second = encode_cached(again, TEXTS, tmp_path, shard=3)
    assert again.encoded == []
    whole = Letters().encode(TEXTS)
    for outcome in (first, second):
        assert np.array_equal(outcome.features, whole.features)
        assert np.array_equal(outcome.kept, whole.kept)
        assert outcome.skipped == whole.skipped


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    killed = Letters(fails_at="five")
    with pytest.raises(KeyboardInterrupt):
        encode_cached(killed, TEXTS, tmp_path, shard=2)
    assert killed.encoded == TEXTS[:4]
    after = Letters()
    outcome = encode_cached(after, TEXTS, tmp_path, shard=2)
    assert after.encoded == TEXTS[4:]
    assert np.array_equal(outcome.features, Letters().encode(TEXTS).features)
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


@pytest.mark.parametrize("damage", ["truncated", "altered", "emptied", "deleted", "swapped"])
def test_a_damaged_shard_alone_is_made_again(tmp_path: Path, damage: str) -> None:
    words = ["one", "two", "three", "four"]  # two files of one size, so that only their contents tell them apart
    encode_cached(Letters(), words, tmp_path, shard=2)
    victim = shards(tmp_path)[0]
    content = victim.read_bytes()
    if damage == "deleted":
        victim.unlink()
    elif damage == "swapped":
        victim.write_bytes(shards(tmp_path)[1].read_bytes())
    else:
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        victim.write_bytes({"truncated": content[:-9], "altered": flipped, "emptied": b""}[damage])
    again = Letters()
    outcome = encode_cached(again, words, tmp_path, shard=2)
    assert len(again.encoded) == 2
    assert np.array_equal(outcome.features, Letters().encode(words).features)
    later = Letters()
    encode_cached(later, words, tmp_path, shard=2)
    assert later.encoded == []


def test_other_items_or_another_encoder_are_not_mixed_up(tmp_path: Path) -> None:
    encode_cached(Letters(), TEXTS, tmp_path)
    changed = Letters()
    encode_cached(changed, ["uno", *TEXTS[1:]], tmp_path)
    assert len(changed.encoded) == len(TEXTS)
    other = Letters(name="letters/2, with an odd name")
    encode_cached(other, TEXTS, tmp_path)
    assert len(other.encoded) == len(TEXTS)


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    @dataclass
    class Sizes(Letters):
        def encode(self, items: Sequence[Path]) -> Encoded:  # type: ignore[override]
            self.encoded.extend(path.name for path in items)
            return Encoded.whole(np.array([[path.stat().st_size, 0] for path in items], np.float32))

    first, second = tmp_path / "a.bin", tmp_path / "b.bin"
    first.write_bytes(b"123")
    cache = tmp_path / "cache"
    assert encode_cached(Sizes(), [first], cache).features[0, 0] == 3
    first.rename(second)
    moved = Sizes()
    encode_cached(moved, [second], cache)
    assert moved.encoded == []
    second.write_bytes(b"12345")
    assert encode_cached(Sizes(), [second], cache).features[0, 0] == 5


def test_no_items_give_no_rows(tmp_path: Path) -> None:
    assert encode_cached(Letters(), [], tmp_path).features.shape == (0, 2)


def test_an_encoder_that_lies_about_its_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WidthError, match="3 wide; it gave 2"):
        encode_cached(Letters(width=3), TEXTS, tmp_path)


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="CROSSBIT_CACHE"):
        encode_cached(Letters(), TEXTS, tmp_path)


def test_the_cache_folder_follows_environment_and_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CROSSBIT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert default_cache_folder() == tmp_path / ".cache" / "crossbit"
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_cache_folder() == tmp_path / "Library" / "Caches" / "crossbit"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_folder() == tmp_path / "xdg" / "crossbit"
    monkeypatch.setenv("CROSSBIT_CACHE", "~/mine")
    assert default_cache_folder() == tmp_path / "mine"
    encode_cached(Letters(), TEXTS)
    assert shards(tmp_path / "mine")
