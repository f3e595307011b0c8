"""The documents build as a site without a warning, and the examples in them run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossbit.evaluation import evaluate
from crossbit.methods import METHODS, load_method
from crossbit.testing import planted_pairs
from source_makers import pictures

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))

ELSEWHERE = {
    "export.md": "test_queries.py",
    "sharing.md": "test_sharing.py",
    "features-from-elsewhere.md": "test_docs_own_data.py",
    "own-data.md": "test_docs_own_data.py",
    "encoders.md": "test_docs_encoders.py",
    "judging.md": "test_judging.py",
}
"""Pages whose examples other tests run."""
RUN = {"collection.md": (0,), "data.md": (1,), "search.md": (0,), "protocols.md": (0,)}
"""Examples that run here, by page and place."""
HALF = {"data.md": "test_datasets_emoji.py"}
"""Pages of which another test runs the examples that RUN does not."""


def examples(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_page_with_an_example_is_accounted_for() -> None:
    with_examples = {page.name for page in PAGES if examples(page)}
    unknown = with_examples - {*ELSEWHERE, *RUN}
    assert not unknown, f"run the examples of {sorted(unknown)}"
    for page in PAGES:
        if page.name in RUN and page.name not in HALF:
            assert len(examples(page)) == len(RUN[page.name]), f"run every example of {page.name}"
    for name, other in (ELSEWHERE | HALF).items():
        assert name in (ROOT / "tests" / other).read_text(encoding="utf-8"), f"{other} does not read {name}"


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the examples take as given: a hasher, codes, features and their ids."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROSSBIT_CACHE", str(tmp_path / "cache"))
    world = planted_pairs(n=240)
    hasher = load_method("cca-itq")(n_bits=16).fit(world.train)
    n = 30
    pictures(tmp_path / "given", *(f"{row}.jpg" for row in range(4)))
    evaluation = evaluate(hasher, world.pairs, world.split)
    if hasattr(evaluation, "full"):
        evaluation.full("mAP@all").write(tmp_path / "theirs.json")
    return {
        **{"hasher": hasher, "pairs": world.pairs, "split": world.split, "evaluation": evaluation},
        **{"ids": [f"beach-{row}" for row in range(n)], "captions": [f"caption {row}" for row in range(n)]},
        **{"pictures": [""] * n, "years": [2010 + row for row in range(n)], "tags": ["cat", "dog", None] * (n // 3)},
        **{"image": world.pairs.image[:n], "text": world.pairs.text[:n], "features": world.pairs.text[:2]},
        **{"codes": hasher.encode_images(world.pairs.image), "queries": hasher.encode_texts(world.pairs.text[:3])},
        "ids_to_keep": np.arange(0, 240, 2),
    }


@pytest.mark.parametrize(("page", "place"), [(page, place) for page, places in RUN.items() for place in places])
def test_the_example_of_a_page_runs(page: str, place: int, names: dict[str, Any]) -> None:
    code = examples(ROOT / "docs" / page)[place]
    exec(compile(code, f"docs/{page}", "exec"), names)
    if page == "collection.md":
        assert len(names["collection"]) == 29
        assert all(names["years"][int(hit.id.split("-")[1])] > 2019 for hit in names["hits"])
    if page == "search.md":
        assert names["hits"].ids.shape == (3, 10)
        assert not (names["hits"].ids % 2).any()


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
