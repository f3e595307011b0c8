"""crossbit fit --from-pixels, and the commands that need the encoder it leaves."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossbit.cli import main
from crossbit.encoders.tuned import TunedEncoder
from crossbit.hasher import Hasher

pytest.importorskip("torch")

Run = Callable[..., tuple[int, str]]
COLOURS = {"red": (220, 30, 30), "green": (20, 200, 40), "blue": (30, 40, 230)}
QUICK = (
    "--text-encoder",
    "bag-of-words",
    "--bits",
    "16",
    "--method",
    "djsrh",
    "--set",
    "epochs=2",
    "--set",
    "hidden=16",
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in a folder with captioned pictures in "photos"; exit code, and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # main would set it, for the tests that follow too
    photos(tmp_path / "photos")

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out if not ended.value.code else err

    return call


def photos(folder: Path) -> None:
    folder.mkdir()
    noise = np.random.default_rng(0)
    for row in range(36):
        name = list(COLOURS)[row % 3]
        values = np.clip(np.array(COLOURS[name]) + noise.normal(0, 25, (24, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(values).save(folder / f"{row:02}.png")
        (folder / f"{row:02}.txt").write_text(f"a {name} picture number {row}", encoding="utf-8")
    (folder / "bad.png").write_bytes(b"no picture")
    (folder / "bad.txt").write_text("a bad one", encoding="utf-8")


def ok(called: tuple[int, str]) -> Any:
    code, printed = called
    assert code == 0, printed
    return json.loads(printed)


def tuned_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("tuned-*.safetensors"))


def test_from_fit_to_search_with_a_picture(run: Run, tmp_path: Path) -> None:
    told = ok(run("fit", "photos", "--from-pixels", *QUICK, "--out", "h.safetensors", "--json"))
    hasher = Hasher.load(tmp_path / "h.safetensors")
    assert told["method"] == "djsrh"
    assert [skip["reason"] for skip in told["skipped"] if "not a picture" in skip["reason"]]
    assert told["settings"]["from_pixels"]["backbone_rate"] == 1.0
    assert tuned_in(tmp_path) == [hasher.encoders["image"]]

    ok(run("index", "h.safetensors", "photos", "--out", "collection", "--json"))
    assert tuned_in(tmp_path / "collection") == [hasher.encoders["image"]]
    moved = (tmp_path / "collection").rename(tmp_path / "moved")
    for path in (tmp_path / f"{hasher.encoders['image']}.safetensors", tmp_path / "h.safetensors"):
        path.unlink()  # the collection carries all it needs
    found = ok(run("search", "moved", "--image", "photos/04.png", "--among", "image", "-k", "1", "--json"))
    assert found["hits"][0]["distance"] == 0
    by_words = ok(run("search", "moved", "green picture", "-k", "3", "--json"))
    assert len(by_words["hits"]) == 3

    encoder = TunedEncoder.load(moved / f"{hasher.encoders['image']}.safetensors")
    assert hasher.encode_images(encoder.encode([tmp_path / "photos" / "04.png"]).features).packed.shape == (1, 2)


def test_codes_are_those_of_the_python_interface_and_the_same_again(run: Run, tmp_path: Path) -> None:
    first = ok(run("fit", "photos", "--from-pixels", *QUICK, "--out", "a.safetensors", "--json"))
    again = ok(run("fit", "photos", "--from-pixels", *QUICK, "--out", "b.safetensors", "--json"))
    other = ok(run("fit", "photos", "--from-pixels", *QUICK, "--seed", "1", "--out", "c.safetensors", "--json"))
    assert first["fingerprint"] == again["fingerprint"] != other["fingerprint"]
    assert len(tuned_in(tmp_path)) == 2  # of a and b, and of c: none took another's place
    ok(run("encode", "a.safetensors", "photos", "--out", "a.npz", "--json"))
    hasher = Hasher.load(tmp_path / "a.safetensors")
    encoder = TunedEncoder.load(tmp_path / f"{hasher.encoders['image']}.safetensors")
    with np.load(tmp_path / "a.npz") as codes:
        paths = [tmp_path / "photos" / name for name in codes["ids"]]
        assert np.array_equal(hasher.encode_images(encoder.encode(paths).features).packed, codes["image"])


def test_a_collection_that_is_replaced_keeps_no_encoder_of_before(run: Run, tmp_path: Path) -> None:
    ok(run("fit", "photos", "--from-pixels", *QUICK, "--out", "a.safetensors", "--json"))
    ok(run("fit", "photos", "--from-pixels", *QUICK, "--seed", "1", "--out", "b.safetensors", "--json"))
    for name in ("a", "b"):
        ok(run("index", f"{name}.safetensors", "photos", "--out", "collection", "--overwrite", "--json"))
        assert tuned_in(tmp_path / "collection") == [Hasher.load(tmp_path / f"{name}.safetensors").encoders["image"]]


def test_a_missing_or_damaged_encoder_is_told_with_what_to_do(run: Run, tmp_path: Path) -> None:
    ok(run("fit", "photos", "--from-pixels", *QUICK, "--out", "h.safetensors", "--json"))
    ok(run("index", "h.safetensors", "photos", "--out", "collection", "--json"))
    name = f"{tuned_in(tmp_path)[0]}.safetensors"
    (tmp_path / name).write_bytes(b"cut")
    code, told = run("encode", "h.safetensors", "photos")
    assert code == 1
    assert "Restore a copy or fit again" in told
    (tmp_path / name).unlink()
    code, told = run("index", "h.safetensors", "photos", "--out", "other")
    assert code == 1
    assert "copy it there too" in told
    assert not (tmp_path / "other").exists()
    (tmp_path / "collection" / name).unlink()
    code, told = run("search", "collection", "--image", "photos/04.png")
    assert code == 1
    assert "copy it there too" in told
    assert run("search", "collection", "green picture")[0] == 0  # words need it not


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("photos", "--from-pixels", "--method", "cca-itq"), "Only a deep method"),
        (("photos", "--from-pixels", "--backbone", "vgg"), "no backbone"),
        (("photos", "--from-pixels", "--image-encoder", "own:a:B"), "leave --image-encoder out"),
        (("photos", "--backbone", "efficientnet-lite0"), "is for --from-pixels"),
        (("data.npz", "--from-pixels"), "needs pictures"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(run: Run, tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    parts = {"query": np.arange(5), "train": np.arange(5, 60), "database": np.arange(5, 60)}
    np.savez(tmp_path / "data.npz", image=rows, text=rows, caption=np.array(["words"] * 60), **parts)
    code, told = run("fit", *words, "--out", "h.safetensors")
    assert code == 1
    assert says in told
    assert not (tmp_path / "h.safetensors").exists()
