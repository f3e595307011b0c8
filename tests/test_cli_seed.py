"""The seed on the commands that draw something: a folder's split and vocabulary, and the pairs of an agreement."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossbit.cli import main
from crossbit.hasher import Hasher

Call = Callable[..., tuple[int, str, str]]
BAG = ("--method", "random-projection", "--bits", "8", "--text-encoder", "bag-of-words")


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in an empty folder: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # main would set it, for the tests that follow too

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def test_a_folder_is_drawn_by_the_seed_of_its_hasher(call: Call, tmp_path: Path) -> None:
    """Each word stands in two captions, so a vocabulary lacks the query's: it tells which split was drawn."""
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite_pytorch")
    (tmp_path / "mine").mkdir()
    for number in range(12):
        picture = io.BytesIO()
        Image.new("RGB", (20, 20), (20 * number, 255 - 20 * number, 90)).save(picture, format="PNG")
        (tmp_path / "mine" / f"{number}.png").write_bytes(picture.getvalue())
        (tmp_path / "mine" / f"{number}.txt").write_text(f"tile {chr(97 + number // 2) * 3}")
    splits = {json.loads(call("info", "mine", "--seed", seed, "--json")[1])["split"] for seed in ("0", "3", "3")}
    assert len(splits) == 2
    assert call("fit", "mine", *BAG, "--seed", "3")[0] == 0
    for command, ending in (("encode", ".npz"), ("index", "")):
        assert call(command, "hasher.safetensors", "mine")[0] == 0, "the hasher's own seed draws the same again"
        again = call(command, "hasher.safetensors", "mine", "--seed", "0", "--out", f"other{ending}")
        assert again[0] == 0, "the hasher keeps its vocabulary, so that another split changes no word"
    opened = Hasher.load("hasher.safetensors")
    replace(opened, vocabulary={}).save("hasher.safetensors")  # as written before hashers kept it
    code, _, err = call("encode", "hasher.safetensors", "mine", "--seed", "0")
    assert (code, "was fitted on text features of bag-of-words" in err) == (1, True)


def test_the_seed_draws_the_pairs_of_the_agreement_with_a_teacher(call: Call, tmp_path: Path) -> None:
    """2,100 pairs, of which an agreement is measured on 2,000."""
    rng = np.random.default_rng(0)
    arrays = {"image": rng.normal(size=(2100, 6)), "text": rng.normal(size=(2100, 5))}
    rows = {"query": np.arange(5), "train": np.arange(5, 2100), "database": np.arange(5, 2100)}
    labels = np.eye(3, dtype=bool)[np.arange(2100) % 3]
    np.savez(
        tmp_path / "data.npz",
        labels=labels,
        caption=np.array([""] * 2100),
        **{k: v.astype(np.float32) for k, v in arrays.items()},
        **rows,
    )
    assert call("fit", "data.npz", "--method", "random-projection", "--bits", "8", "--seed", "1")[0] == 0
    asked = ("evaluate", "hasher.safetensors", "data.npz", "--teacher", "hasher.safetensors", "--json")
    told = [
        json.loads(call(*asked, *seed)[1])["teacher_agreement"]
        for seed in ((), ("--seed", "1"), ("--seed", "2"), ("--seed", "2"))
    ]
    assert told[0] == told[1] != told[2] == told[3]
    assert call(*asked, "--seed", "-1")[0] == 2
