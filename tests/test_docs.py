"""The documents are true: links resolve, generated parts are fresh, and the README's code runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from crossbit.cli.app import app
from crossbit.evaluation import PROTOCOLS
from crossbit.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def names(documents: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in documents]


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_links_resolve(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        place, _, heading = target.partition("#")
        found = path if not place else path.parent / place
        assert found.exists(), f"{path.name} links to {target}, which is not there"
        if heading:
            assert heading in headings(found), f"{path.name} links to {target}, which has no such heading"


def headings(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_documented(name: str) -> None:
    assert name in headings(ROOT / "docs" / "methods.md")


def test_every_command_is_documented() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group has commands
    assert commands
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in commands:
        assert f"crossbit {name}" in text


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")


def test_what_is_generated_is_fresh() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "tables.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_readme_code_runs(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "planted.hasher").is_file()
    hits, score = ran.stdout.strip().splitlines()
    assert len(re.findall(r"\d+", hits)) == 10
    assert 0 < float(score) <= 1


FORBIDDEN = (r"/work/", r"/tmp/", r"/home/", r"/root/")


@pytest.mark.parametrize("path", DOCUMENTS, ids=names(DOCUMENTS))
def test_documents_name_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [pattern for pattern in FORBIDDEN if re.search(pattern, text)] == []


def tracked(*options: str) -> list[str]:
    """The files that git keeps; the test is skipped where this is no checkout."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this is no git checkout, so nothing tells what is kept")
    listed = subprocess.run(["git", "ls-files", "-z", *options], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.split("\0") if name]


def test_what_git_ignores_is_not_kept() -> None:
    assert tracked("--cached", "--ignored", "--exclude-standard") == []


def test_no_file_kept_names_a_machines_folders() -> None:
    """Caches and results that were made somewhere may carry where; this file holds the patterns themselves."""
    own = Path(__file__).relative_to(ROOT).as_posix()
    wrong = [
        name
        for name in tracked()
        if name != own and (ROOT / name).is_file()
        if any(re.search(pattern.encode(), (ROOT / name).read_bytes()) for pattern in FORBIDDEN)
    ]
    assert wrong == []
