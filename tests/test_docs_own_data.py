"""The pages on one's own data hold: every block of code in them runs, in order, in one folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
COMMAND = "from crossbit.cli import main; main()"


def run(folder: Path, *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CROSSBIT_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{words}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.mark.parametrize("page", ["features-from-elsewhere.md", "own-data.md"])
def test_the_code_of_a_page_runs(page: str, tmp_path: Path) -> None:
    said = []
    for language, code in re.findall(r"```(python|sh)\n(.*?)```", (DOCS / page).read_text("utf-8"), flags=re.DOTALL):
        if language == "python":
            said.append(run(tmp_path, code))
            continue
        for line in code.strip().splitlines():
            program, *words = shlex.split(line)
            assert program == "crossbit"
            said.append(run(tmp_path, COMMAND, *words))
    told = "".join(said)
    if page == "own-data.md":
        assert "pictures from where, text from what" in told
        assert "there is no file 'dog.jpg'" in told
        return
    assert "features of 1,200 pairs" in told
    assert told.count("mAP@all") == 2
    scores = [float(value) for value in re.findall(r"mAP@all\s+\S+\s+\S+\s+(\S+)", told)]
    chances = [float(value) for value in re.findall(r"mAP@all\s+\S+\s+\S+\s+\S+\s+(\S+)", told)]
    assert len(scores) == 2
    assert all(score > chance + 0.1 for score, chance in zip(scores, chances, strict=True))
