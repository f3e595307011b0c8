"""The documents build as a site without a warning, whole and without anything from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from crossbit.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="the site is built with mkdocs, which is not installed")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_has_every_page_method_and_part(site: Path) -> None:
    for page in PAGES:
        assert (site / f"{page.stem}.html").is_file()
    methods = (site / "methods.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in methods for name in METHODS)
    pairs = (site / "api" / "crossbit.pairs.html").read_text(encoding="utf-8")
    assert "(n, d_image) float32" in pairs  # shapes are in the API
    names = (site / "api" / "crossbit.html").read_text(encoding="utf-8")
    assert all(f'id="crossbit.{name}"' in names for name in ("Hasher", "Codes", "ExactIndex", "load_method"))


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    fetched = re.findall(
        r"<(?:script|img|iframe)[^>]+src=\"(https?:[^\"]+)\"|<link[^>]+stylesheet[^>]+href=\"(https?:[^\"]+)\"", page
    )
    assert fetched == []
