"""The examples of code in the documents: where they stand, and how one of them is run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
OTHER_LANGUAGES = {"sh", "bash", "console", "toml", "json", "yaml", "html", "sql"}

Place = tuple[str, int]  # the name of a page, and which of its Python blocks, from 0


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The language that each fenced block of a page names, "" for none, and what it holds."""
    for found in re.finditer(r"^[ >]*(```+|~~~+)(.*?)\n(.*?)^[ >]*\1", text, flags=re.DOTALL | re.MULTILINE):
        yield found[2].strip(), found[3]


def examples(name: str) -> list[str]:
    """The Python blocks of a page."""
    (page,) = (page for page in PAGES if page.name == name)
    return [code for language, code in blocks(page.read_text(encoding="utf-8")) if language == "python"]


def is_python(language: str, code: str) -> bool:
    """Whether a block that is not called python is Python all the same: it imports, calls or assigns."""
    if language in OTHER_LANGUAGES:
        return False
    if re.search(r"^\s*(>>> )?(import \w|from [\w.]+ import )", code, flags=re.MULTILINE):
        return True
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return False
    return any(isinstance(node, (ast.Call, ast.Assign, ast.AnnAssign, ast.FunctionDef)) for node in ast.walk(tree))


def run_example(place: Place, names: dict[str, Any], replaced: dict[str, str] | None = None) -> list[Any]:
    """Run an example on the names that it takes as given, and give the values that its bare expressions have.

    replaced: parts of its text that stand for what is known only in the test, such as a server's address.
    """
    page, number = place
    code = examples(page)[number]
    for written, real in (replaced or {}).items():
        assert code.count(written) == 1, f"{written} stands {code.count(written)} times in example {number} of {page}"
        code = code.replace(written, real)
    shown: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "displayhook", lambda value: None if value is None else shown.append(value))
        for statement in ast.parse(code).body:
            exec(compile(ast.Interactive([statement]), f"{page}, example {number}", "single"), names)
    return shown
