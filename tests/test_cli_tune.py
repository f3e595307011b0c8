"""crossbit tune: from the command line to settings that crossbit fit and crossbit reproduce take."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crossbit import Hasher
from crossbit.cli import main
from crossbit.cli.spaces import spaces_given
from crossbit.errors import SettingsError
from crossbit.method import Method
from crossbit.methods import load_method
from crossbit.testing import planted_pairs
from crossbit.tuning import Choice, Range, read_study

Run = Callable[..., tuple[int, str, str]]
COMMAND = ("tune", "data.npz", "--method", "cca-itq", "--bits", "16", "--trials", "3", "--out", "found")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line beside data.npz: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_data("data.npz", seed=0)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossbit", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def write_data(path: str, *, seed: int | None) -> None:
    """300 pairs; the labels of one seed or another, or none at all."""
    world = planted_pairs(seed=1, n=300)
    labels = world.pairs.labels
    assert labels is not None
    split = {name: getattr(world.split, name) for name in ("train", "query", "database")}
    told = {} if seed is None else {"labels": labels[np.random.default_rng(seed).permutation(300)]}
    captions = np.array([f"thing {row}" for row in range(300)])
    np.savez(path, image=world.pairs.image, text=world.pairs.text, caption=captions, **split, **told)


def test_settings_go_from_tune_to_fit_and_to_reproduce(run: Run) -> None:
    code, out, err = run(*COMMAND, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert len(found["trials"]) == 4
    assert found["trials"] == read_study(Path("found/study.json")).to_json()["trials"]
    assert found["next"].startswith("crossbit fit data.npz --method cca-itq --bits 16 --seed 0 --set @found/best.toml")
    code, _, err = run(*found["next"].split()[1:], "--calibrate", "0", "--json")
    assert code == 0, err
    assert Hasher.load(Path("hasher.safetensors")).settings == found["settings"]
    code, out, err = run("reproduce", "found/best.toml", "--data", ".", "--out", "results", "--json")
    assert code == 0, err
    (path,) = Path("results").rglob("*.json")
    assert path.as_posix() == "results/data/cca-itq@tuned/16-0.json"
    stored = json.loads(path.read_text())
    assert stored["details"]["settings"] == found["settings"]
    assert "4 fits" in stored["details"]["note"]


def test_the_same_command_goes_on_and_a_person_reads_a_table(run: Run) -> None:
    assert run(*COMMAND, "--trials", "1")[0] == 0
    before = read_study(Path("found/study.json")).trials
    code, out, err = run(*COMMAND)
    assert (code, err) == (0, "")
    assert read_study(Path("found/study.json")).trials[:2] == before
    assert "cca-itq, 4 fits, the best by together of held-out pairs" in out
    assert "as they were" in out
    assert "Next:  crossbit fit data.npz" in out


def test_a_killed_search_ends_as_if_it_had_not_been(run: Run) -> None:
    study, whole = Path("found/study.json"), Path("whole/study.json")
    own = [sys.executable, "-c", "from crossbit.cli import main; main()"]
    command = [*own, *COMMAND, "--trials", "1000"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and (not study.is_file() or len(read_study(study).trials) < 3):
            time.sleep(0.05)
        process.kill()
    done = len(read_study(study).trials)
    for out in ("found", "whole"):
        assert run(*COMMAND, "--out", out, "--trials", str(done + 1))[0] == 0
    found, expected = ([{**one.to_json(), "seconds": 0} for one in read_study(path).trials] for path in (study, whole))
    assert len(found) == done + 2
    assert found == expected


def test_other_labels_or_none_give_the_same_study(run: Run) -> None:
    def trials() -> list[object]:
        assert run(*COMMAND)[0] == 0
        found = read_study(Path("found/study.json"))
        Path("found/study.json").unlink()
        return [{**trial.to_json(), "seconds": 0} for trial in found.trials]

    first = trials()
    for seed in (1, None):
        write_data("data.npz", seed=seed)
        assert trials() == first


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--method", "dcmh"), "dcmh learns with labels"),
        (("--method", "nonsense"), "There is no method 'nonsense'"),
        (("--proxy", "map"), "no figure 'map' to choose by"),
        (("--space", "power"), "name=low..high or name=a,b,c; got 'power'"),
        (("--space", "sharpness=1..2"), "cca-itq has no setting sharpness"),
        (("--space", "power=9..1"), "from a number up to a greater one"),
        (("--space", "power=a..b"), "cca-itq's setting power is a number; got 'a'"),
        (("--space", "bits=8,16"), "cca-itq has no setting bits"),
        (("--space", "seed=0..9"), "seed is no setting to look for"),
        (("--space", "power=1..2", "--space", "power=2..3"), "power is given twice"),
        (("--space", "power.depth=1..2"), "power is no method"),
        (("--held-out", "0.9"), "share above 0 and at most .5"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(run: Run, words: tuple[str, ...], says: str) -> None:
    Path("data.npz").unlink()  # what can be told without the data is told before it is read
    code, out, err = run(*COMMAND, *words)
    assert code == 1
    assert says in err
    assert "Traceback" not in err
    assert out == ""
    assert not Path("found").exists()


def test_fit_refuses_the_settings_of_another_method(run: Run) -> None:
    assert run(*COMMAND, "--trials", "1")[0] == 0
    code, _, err = run("fit", "data.npz", "--method", "cca-sign", "--set", "@found/best.toml")
    assert code == 1
    assert "holds settings of cca-itq, not of cca-sign; say --method cca-itq" in err
    assert run("fit", "data.npz", "--method", "cca-sign", "--set", "@nowhere.toml")[0] == 1


def test_spaces_are_read_as_their_fields_types() -> None:
    kdcmh: Method = load_method("kdcmh")()
    texts = [
        "walk=0.8..0.99",
        "neighbours=10..200",
        "emphasis=0..10",
        "teacher.epochs=5,15",
        "guide_teacher=true,false",
    ]
    assert spaces_given(kdcmh, texts) == {
        "walk": Range(0.8, 0.99),
        "neighbours": Range(10, 200, log=True, whole=True),
        "emphasis": Range(0.0, 10.0),
        "teacher.epochs": Choice((5, 15)),
        "guide_teacher": Choice((True, False)),
    }
    assert spaces_given(kdcmh, []) is None
    for text, says in (
        ("teacher=jdsh,djsrh", "no single value"),
        ("teacher_weights=1,2", "no single value"),
        ("loss=a..b", "is one of"),
        ("guide_teacher=true..false", "takes no numbers"),
        ("teacher.sharpness=1..2", "jdsh has no setting sharpness"),
    ):
        with pytest.raises(SettingsError, match=says):
            spaces_given(kdcmh, [text])
