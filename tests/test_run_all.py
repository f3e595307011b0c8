"""The command that measures: resumable, killable, and not stopped by one failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from crossbit.experiment import read_results
from crossbit.testing import planted_pairs

RUNNER = Path(__file__).resolve().parents[1] / "benchmarks" / "run_all.py"
FILE = 'method = "{method}"\ndata = "planted"\nprotocols = ["PALL"]\n\n[plan]\n8 = [0, 1]\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with data, one experiment and no results."""
    world = planted_pairs(n=120)
    labels, captions = world.labels, np.array([f"pair {row}" for row in range(len(world.pairs))])
    split = {"train": world.split.train, "query": world.split.query, "database": world.split.database}
    data = tmp_path / "data"
    data.mkdir()
    np.savez(
        data / "planted.npz",
        image=world.pairs.image,
        text=world.pairs.text,
        labels=labels,
        caption=captions,
        **split,
    )
    experiments = tmp_path / "experiments"
    experiments.mkdir()
    (experiments / "cca-itq-planted.toml").write_text(FILE.format(method="cca-itq"))
    return tmp_path


def command(place: Path, *words: str) -> list[str]:
    folders = ["--experiments", str(place / "experiments"), "--results", str(place / "results")]
    return [sys.executable, str(RUNNER), *folders, *words]


def environment(place: Path, data: str = "data") -> dict[str, str]:
    return os.environ | {"CROSSBIT_DATA": str(place / data)}


def run(place: Path, *words: str, data: str = "data") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(place, *words), env=environment(place, data), capture_output=True, text=True, check=False
    )


def test_a_dry_run_measures_nothing(place: Path) -> None:
    told = run(place, "--dry-run")
    assert told.returncode == 0, told.stderr
    assert "planted/cca-itq/8-0 (no result yet)" in told.stdout
    assert not list((place / "results").rglob("*.json"))


def test_what_is_done_is_not_done_again(place: Path) -> None:
    first = run(place, "--only", "planted/cca-itq/8-1")
    assert first.returncode == 0, first.stderr
    assert [result.seed for result in read_results(place / "results")] == [1]
    second = run(place)
    assert "2 jobs: 1 done, 1 due" in second.stdout
    stored = {path: path.read_bytes() for path in (place / "results").rglob("*.json")}
    assert len(stored) == 2
    third = run(place)
    assert "2 jobs: 2 done, 0 due" in third.stdout
    assert {path: path.read_bytes() for path in stored} == stored


def test_changed_settings_are_measured_again(place: Path) -> None:
    run(place, "--only", "planted/cca-itq/8-0")
    with (place / "experiments" / "cca-itq-planted.toml").open("a") as file:
        file.write("\n[settings]\niterations = 2\n")
    assert "planted/cca-itq/8-0 (its settings changed)" in run(place, "--dry-run").stdout


def test_absent_data_is_skipped_with_a_reason(place: Path) -> None:
    told = run(place, data="nothing")
    assert told.returncode == 0
    assert "CROSSBIT_DATA" in told.stdout
    assert "0 due" in told.stdout


def test_a_failing_job_is_noted_and_the_others_go_on(place: Path) -> None:
    failing = FILE.format(method="random-projection").replace("8 = [0, 1]", "8 = [0]\n5000 = [0]")
    (place / "experiments" / "random-projection-planted.toml").write_text(failing)
    broken = place / "experiments" / "cca-sign-planted.toml"
    broken.write_text(FILE.format(method="cca-sign") + "\n[settings]\nridge = 1e300\n")
    told = run(place)
    assert told.returncode == 1, told.stdout
    assert "skipped: planted/random-projection/5000-0" in told.stdout
    assert "planted/cca-sign/8-0" in (place / "results" / "failures.log").read_text()
    assert {result.row for result in read_results(place / "results")} == {"cca-itq", "random-projection"}


def jobs_of(runner: int) -> list[int]:
    """The processes that a runner has started; only Linux tells."""
    listed = Path(f"/proc/{runner}/task/{runner}/children")
    return list(map(int, listed.read_text().split()))


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has waited for yet has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux tells which processes a process started")
def test_a_killed_runner_leaves_no_job_behind_and_no_broken_result(place: Path) -> None:
    started: list[int] = []
    with subprocess.Popen(command(place, "--jobs", "1"), env=environment(place), stdout=subprocess.DEVNULL) as runner:
        while not started and runner.poll() is None:
            started = jobs_of(runner.pid)
            time.sleep(0.01)
        runner.send_signal(signal.SIGKILL)
    assert started
    waited = 0
    while any(map(runs, started)) and waited < 1200:
        time.sleep(0.05)
        waited += 1
    assert not any(map(runs, started))
    read_results(place / "results")  # whatever is there is whole
    assert run(place).returncode == 0
    assert len(read_results(place / "results")) == 2
