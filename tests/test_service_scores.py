"""The scores that a service shows: those of its own hasher, with their data and protocol."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from crossbit import Hasher
from crossbit.cli.app import app
from crossbit.client import Client
from crossbit.collection import Collection
from running_service import running
from small_collections import add, hasher_of


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a collection, data with labels, and the evaluation of the collection's hasher and of another."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    labels = rng.random((40, 3)) < 0.5
    labels[:, 0] |= ~labels.any(axis=1)
    features = {side: rng.normal(size=(40, 5)).astype(np.float32) for side in ("image", "text")}
    rows = {"query": np.arange(30, 40), "database": np.arange(30), "train": np.arange(30)}
    captions = np.array([f"flower {row}" for row in range(40)])
    np.savez(tmp_path / "flowers.npz", **features, **rows, labels=labels, caption=captions)
    place = Collection.create(tmp_path / "collection", hasher_of())
    add(place, ["a", "b", "c"])
    for name, hasher in (("own", hasher_of()), ("other", hasher_of(seed=1))):
        evaluated(hasher, tmp_path / f"{name}.json")
    return tmp_path


def evaluated(hasher: Hasher, to: Path) -> None:
    hasher.save(to.with_suffix(".safetensors"))
    done = CliRunner().invoke(app, ["evaluate", to.with_suffix(".safetensors").name, "flowers.npz", "--json"])
    assert done.exit_code == 0, done.output
    to.write_text(done.stdout)


def test_what_evaluate_printed_is_shown_where_it_is_of_the_collections_hasher(made: Path) -> None:
    expected = json.loads((made / "own.json").read_text())
    options = ("--scores", str(made / "own.json"), "--scores", str(made / "other.json"), "--log", "none")
    with running(made / "collection", *options) as service, Client(service.address) as client:
        shown = client.info().scores
    assert [one.protocol_id for one in shown] == [one["protocol_id"] for one in expected["scores"]]
    for one, score in zip(shown, expected["scores"], strict=True):
        assert (one.protocol, one.data) == (score["protocol"], expected["data"])
        assert (one.i2t, one.t2i) == (round(score["i2t"], 4), round(score["t2i"], 4))
        assert one.mean == pytest.approx((score["i2t"] + score["t2i"]) / 2, abs=1e-4)


@pytest.mark.parametrize("content", [None, "no JSON", "[1]", "{}", '{"scores": [{"i2t": "much"}]}'])
def test_a_file_that_is_no_evaluation_is_refused(made: Path, content: str | None) -> None:
    if content is not None:
        text = content.replace('{"scores"', f'{{"hasher": "{hasher_of().fingerprint()}", "scores"')
        (made / "wrong.json").write_text(text)
    done = CliRunner().invoke(
        app, ["serve", str(made / "collection"), "--scores", str(made / "wrong.json"), "--port", "0"]
    )
    assert done.exit_code != 0
    assert "crossbit evaluate" in str(done.exception)
