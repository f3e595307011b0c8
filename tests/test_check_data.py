"""What crossbit data check says of a source."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crossbit.cli import main
from crossbit.datasets.check import SAMPLE, check_source
from crossbit.datasets.expected import FIT_MEMORY, FIT_PAIRS, FIT_SECONDS, expected_cost
from crossbit.errors import SettingsError
from crossbit.sources import open_source
from source_makers import LetterCounts, MeanColour, pictures, png, tar

ROOT = Path(__file__).resolve().parents[1]
OWN = ("--image-encoder", "own:source_makers:MeanColour", "--text-encoder", "own:source_makers:LetterCounts")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def mixed(place: Path) -> Path:
    """Of everything something: five pairs and what is wrong with the rest."""
    pictures(place, *(f"{number}.png" for number in range(5)), "alone.png", "bad.png", "empty text.png", "none.png")
    for number in range(5):
        (place / f"{number}.txt").write_text(f"words {number}")
    (place / "copy.png").write_bytes(png(0))
    (place / "copy.txt").write_text("words 0")
    (place / "again.png").write_bytes(png(10))
    (place / "again.txt").write_text("other words")
    (place / "bad.png").write_bytes(png(3)[:-25])
    (place / "bad.txt").write_text("words")
    (place / "empty text.txt").write_text(" ")
    (place / "none.png").write_bytes(b"")
    (place / "only words.txt").write_text("words")
    (place / "latin.txt").write_bytes(b"caf\xe9")
    return place


@pytest.mark.parametrize("workers", [0, 2])
def test_everything_is_counted(tmp_path: Path, workers: int) -> None:
    found = check_source(open_source(mixed(tmp_path / "mine")), workers=workers)
    assert found.records == 13
    assert (found.pairs, found.pictures_alone, found.texts_alone) == (7, 2, 1)
    assert (found.duplicates, found.repeated_pictures) == (1, 2)
    assert (found.unreadable, found.problems, found.empty_texts) == (2, 1, 1)
    reasons = {item.id: item.reason for item in found.left_out}
    assert "damaged or cut off" in reasons["bad.png"]
    assert "zero bytes" in reasons["none.png"]
    assert "UTF-8" in reasons["latin.txt"]
    assert len(reasons) == 3
    assert (found.can_fit, found.can_index) == (True, True)
    assert found.picture_bytes == sum(
        path.stat().st_size for path in (tmp_path / "mine").glob("*.png") if path.name not in reasons
    )


def test_copies_alone_are_nothing_to_learn_from(tmp_path: Path) -> None:
    members = [(f"{number}.{end}", content) for number in range(40)
               for end, content in (("png", png(0)), ("txt", b"same"))]  # fmt: skip
    found = check_source(open_source(tar(tmp_path / "s.tar", *members)), workers=0)
    assert (found.pairs, found.duplicates) == (40, 39)
    assert (found.can_fit, found.can_index) == (False, True)
    assert len(found.sample_pictures) == len(found.sample_texts) == SAMPLE
    with pytest.raises(SettingsError, match="0 or more"):
        check_source(open_source(tmp_path / "s.tar"), workers=-1)


def test_a_check_reads_again_and_again_the_same(tmp_path: Path) -> None:
    source = open_source(mixed(tmp_path))
    steps = []
    assert check_source(source, workers=0) == check_source(source, workers=0, progress=steps.append)
    assert (steps[-1].done, steps[-1].total) == (13, 13)


def test_the_cost_is_that_of_a_sample(tmp_path: Path) -> None:
    found = check_source(open_source(mixed(tmp_path)), workers=0)
    expected = expected_cost(found, MeanColour(), LetterCounts())
    assert expected.encode_seconds is not None
    assert expected.encode_seconds > 0
    assert "timed here on 9 pictures and 8 texts" in expected.encode_source
    assert expected.feature_bytes == 4 * (4 + 5) * 10
    assert expected.fit_seconds == pytest.approx(FIT_SECONDS * 7 / FIT_PAIRS)
    assert expected_cost(found, MeanColour(), LetterCounts(), timed=False).encode_seconds is None


def test_the_cost_of_a_fit_is_what_is_stored() -> None:
    """Within a factor of two, so that a new measurement of the same method on a like machine needs no change here."""
    cost = json.loads((ROOT / "benchmarks" / "speed" / "train.json").read_text())
    assert (cost["data"], cost["n_bits"]) == ("fashion6k", 64)
    kdcmh = cost["methods"]["kdcmh"]
    assert 0.5 < FIT_SECONDS / kdcmh["fit_cpu_seconds"] < 2
    assert 0.5 < FIT_MEMORY / ((kdcmh["peak_memory_mib"] - kdcmh["memory_before_fit_mib"]) << 20) < 2
    result = json.loads((ROOT / "benchmarks" / "results" / "fashion6k" / "kdcmh" / "64-0.json").read_text())
    assert result["details"]["report"]["pairs"] == FIT_PAIRS


def test_the_command_says_what_it_found(run: Run, tmp_path: Path) -> None:
    mixed(tmp_path / "mine")
    before = sorted(os.listdir(tmp_path))
    code, out, err = run("data", "check", "mine", *OWN, "--workers", "0")
    assert (code, err) == (0, "")
    for told in ("pairs of picture and text", "Left out: bad.png: the picture is damaged", "timed here on 9 pictures",
                 "MiB of memory", "memory less than 1 MiB",
                 "benchmarks/speed/train.json", "Usable: for fit and index"):  # fmt: skip
        assert told in out
    code, out, err = run("data", "check", "mine", *OWN, "--workers", "0", "--json", "--no-sample")
    result = json.loads(out)
    assert (code, result["pairs"], result["unreadable"], result["usable"]) == (0, 7, 2, True)
    assert (result["expected"]["encode_seconds"], result["expected"]["encode_bytes"]) == (None, None)
    assert sorted(os.listdir(tmp_path)) == before


def test_the_exit_code_says_whether_it_is_of_use(run: Run, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text\nwords\nmore words\n")
    assert run("data", "check", "t.csv", *OWN, "--workers", "0")[0] == 0
    assert run("data", "check", "t.csv", *OWN, "--workers", "0", "--for", "fit")[0] == 1
    (tmp_path / "u.csv").write_text("image\nnone.png\n")
    code, out, _ = run("data", "check", "u.csv", *OWN, "--workers", "0")
    assert code == 1
    assert "Usable: no" in out
    assert "Left out: none.png: there is no file 'none.png'" in out
    code, out, err = run("data", "check", "v.csv")
    assert (code, out) == (1, "")
    assert "There is nothing at 'v.csv'" in err
