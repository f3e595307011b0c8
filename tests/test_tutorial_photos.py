"""The tutorial "search your own photos" does what it says, command by command, on real photos."""

from __future__ import annotations

import json
import re
import shlex
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from crossbit.cli import main
from crossbit.testing import run_without_torch

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial-photos.md"
HELD_BACK = 549055  # a man on a surfboard: the photo that is asked with

ASK = """
import sys
from crossbit.cli import main
sys.argv = ["crossbit", *sys.argv[1:], "--json"]
try:
    main()
except SystemExit as ended:
    assert not ended.code
assert "torch" not in sys.modules
"""


@pytest.fixture
def photos(shared_data: Path, tmp_path: Path) -> Path:
    """A folder with the photos and their captions, as a person has them, and one photo outside it."""
    if not (shared_data / "coco_mini.npz").is_file():
        pytest.skip("the photos of the tutorial, ../shared/data/coco_mini.npz, are not there")
    (tmp_path / "photos").mkdir()
    with np.load(shared_data / "coco_mini.npz", allow_pickle=False) as data:
        offsets = data["jpeg_offsets"]
        pictures = [data["jpeg_blob"][start:end].tobytes() for start, end in pairwise(offsets)]
        told = [json.loads(str(meta)) for meta in data["meta"]]
    for picture, about in zip(pictures, told, strict=True):
        if about["image_id"] == HELD_BACK:
            (tmp_path / "new.jpg").write_bytes(picture)
            continue
        (tmp_path / "photos" / f"{about['image_id']}.jpg").write_bytes(picture)
        (tmp_path / "photos" / f"{about['image_id']}.txt").write_text("\n".join(about["captions"]), encoding="utf-8")
    return tmp_path


def commands() -> list[list[str]]:
    """The commands of the tutorial's blocks, in order, as words."""
    blocks = re.findall(r"```sh\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.strip().splitlines()]


def test_the_tutorial_names_its_commands() -> None:
    assert [words[:2] for words in commands()] == [
        ["crossbit", verb] for verb in ("fit", "index", "export", "search", "search", "search")
    ]


def test_the_tutorials_commands_find_photos(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photos)
    monkeypatch.setenv("CROSSBIT_CACHE", str(photos / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    *building, by_words, by_photo, like_photo = commands()
    for words in building:
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code, capfd.readouterr().err
    capfd.readouterr()

    found = [json.loads(run_without_torch(ASK, words[1:])) for words in (by_words, by_photo, like_photo)]
    for asked in found:
        assert (asked["n"], asked["n_bits"], len(asked["hits"])) == (158, 64, 10)
    # One photo in nine shows water or says so; by chance one of ten hits would.
    for asked in found:
        near = [hit for hit in asked["hits"] if re.search(r"surf|wave|beach|sea\b|ocean|water", hit["caption"].lower())]
        assert len(near) >= 3, [hit["caption"] for hit in asked["hits"]]
