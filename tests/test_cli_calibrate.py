"""crossbit calibrate, and what crossbit fit holds out for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crossbit import Hasher
from crossbit.cli import main
from crossbit.cli.calibrate import hold_out, never_trained
from crossbit.datasets import Dataset, load_dataset
from crossbit.errors import SettingsError

N, QUERIES = 800, 50
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in an empty folder: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # main would set it, for the tests that follow too

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def write_data(path: Path, train: np.ndarray | None = None) -> None:
    """800 pairs with a common part of 8 numbers and noise; the first 50 ask, and the rest is searched."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(N, 8))
    rest = np.arange(QUERIES, N)
    np.savez(
        path,
        image=(shared @ rng.normal(size=(8, 20)) + 0.3 * rng.normal(size=(N, 20))).astype(np.float32),
        text=(shared @ rng.normal(size=(8, 12)) + 0.3 * rng.normal(size=(N, 12))).astype(np.float32),
        caption=np.array([f"thing {row}" for row in range(N)]),
        query=np.arange(QUERIES),
        database=rest,
        train=rest if train is None else train,
    )


FIT = ("fit", "data.npz", "--method", "cca-itq", "--bits", "8", "--json")


def loaded(path: Path) -> Dataset:
    return load_dataset(str(path))


def test_fit_holds_pairs_out_and_says_so(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz")
    code, out, _ = run(*FIT)
    assert code == 0
    assert (json.loads(out)["train_pairs"], json.loads(out)["calibration_pairs"]) == (712, 38)
    found = Hasher.load(tmp_path / "hasher.safetensors").calibration
    assert found is not None
    assert found.pairs == 38
    assert found.random_pairs == 38 * 712  # against all that was learned from, and never against queries
    assert found.confidence(np.array([0]), "T2I")[0] > found.confidence(np.array([8]), "T2I")[0]


def test_fit_without_it_learns_from_all(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz")
    told = json.loads(run(*FIT, "--calibrate", "0")[1])
    assert (told["train_pairs"], told["calibration_pairs"]) == (750, 0)
    assert Hasher.load(tmp_path / "hasher.safetensors").calibration is None


def test_rows_that_are_never_trained_on_serve_first(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz", train=np.arange(QUERIES, 500))
    told = json.loads(run(*FIT)[1])
    assert (told["train_pairs"], told["calibration_pairs"]) == (450, 300)


def test_held_out_rows_are_neither_trained_nor_asked(tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz")
    dataset = loaded(tmp_path / "data.npz")
    rest, held = hold_out(dataset, 0.2, seed=1)
    assert len(held) == 150
    assert not np.intersect1d(held, rest.split.train).size
    assert not np.intersect1d(held, rest.split.query).size
    np.testing.assert_array_equal(np.union1d(held, rest.split.train), dataset.split.train)
    np.testing.assert_array_equal(held, hold_out(dataset, 0.2, seed=1)[1])
    assert not np.array_equal(held, hold_out(dataset, 0.2, seed=2)[1])


def test_a_copy_of_a_train_row_is_not_new(tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz", train=np.arange(QUERIES, 500))
    with np.load(tmp_path / "data.npz") as file:
        arrays = dict(file)
    for name in ("image", "text"):
        arrays[name][600] = arrays[name][60]
    np.savez(tmp_path / "data.npz", **arrays)
    free = never_trained(loaded(tmp_path / "data.npz"))
    np.testing.assert_array_equal(free, np.setdiff1d(np.arange(500, N), [600]))


def test_too_small_a_share(tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz", train=np.arange(QUERIES, 790))
    dataset = loaded(tmp_path / "data.npz")
    with pytest.raises(SettingsError, match=r"0\.01 of 740 train pairs are 7; 30 or more"):
        hold_out(dataset, 0.01, seed=0)
    small = np.arange(400)
    write_data(tmp_path / "small.npz", train=small[QUERIES:])
    few = loaded(tmp_path / "small.npz")
    assert len(hold_out(few, None, seed=0)[1]) == 400  # the database rows beyond the train rows


def test_calibrate_changes_the_file_and_not_the_fingerprint(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz", train=np.arange(QUERIES, 500))
    before = json.loads(run(*FIT, "--calibrate", "0")[1])["fingerprint"]
    code, out, err = run("calibrate", "hasher.safetensors", "data.npz", "--random-per-match", "9", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["fingerprint"] == before
    assert (told["calibration"]["pairs"], told["calibration"]["random_per_match"]) == (300, 9)
    stored = Hasher.load(tmp_path / "hasher.safetensors").calibration
    assert stored is not None
    assert stored.to_json() == told["calibration"]
    code, out, _ = run("calibrate", "hasher.safetensors", "data.npz", "--all", "--out", "other.safetensors")
    assert code == 0
    assert f"{N} held-out pairs" in out
    assert (tmp_path / "other.safetensors").is_file()


def test_calibrate_refuses_what_training_saw(run: Run, tmp_path: Path) -> None:
    write_data(tmp_path / "data.npz")
    run(*FIT)
    content = (tmp_path / "hasher.safetensors").read_bytes()
    code, _, err = run("calibrate", "hasher.safetensors", "data.npz")
    assert code == 1
    assert "Give --all if the hasher never saw these pairs" in err
    assert (tmp_path / "hasher.safetensors").read_bytes() == content
