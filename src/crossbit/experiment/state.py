"""Whether a stored result still holds: the same settings, the same data and the same code that learns."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossbit.datasets import Dataset
from crossbit.errors import FileFormatError
from crossbit.experiment.plan import Job
from crossbit.experiment.references import REFERENCES
from crossbit.experiment.result import read_result
from crossbit.experiment.scoring import protocol_ids
from crossbit.methods import METHODS
from crossbit.pairs import array_fingerprint

Expected = Mapping[str, str]

# Modules that carry values and files around; their tests hold them to one behaviour, so a change there dates nothing.
_CARRIERS = {
    "errors",
    "files",
    "progress",
    "checkpoint",
    "codes",
    "kernels",
    "pairs",
    "hasher",
    "method",
    "methods",
    "datasets",
    "evaluation",  # what is measured of codes makes none
    "evaluation.monitors",
}
_TELLING = {"whole_table"}  # what a method says of its memory makes no code
_REASONS = {
    "settings": "its settings changed",
    "protocols": "its protocols changed",
    "data": "the data changed",
    "split": "the split changed",
    "source": "the code that learns changed",
}


def expected_of(job: Job, dataset: Dataset) -> dict[str, str]:
    """The digests that a result of this job must carry to hold."""
    method = job.method()
    settings = {} if method is None else method.settings()
    return {
        "settings": digest(json.dumps([job.experiment.method, settings], sort_keys=True)),
        "protocols": digest(", ".join(protocol_ids(dataset, job.experiment.protocols))),
        "data": _data_digest(dataset) + (_levels_digest(dataset) if method is not None and method.hierarchical else ""),
        "split": dataset.split.fingerprint(),
        "source": digest("".join(source_digest(module) for module in _modules(job.experiment.method, settings))),
    }


def why_due(path: Path, expected: Expected, *, any_source: bool = False) -> str:
    """Why a job must be run, or "" when its stored result holds.

    any_source: let a result stand though the code that learns has changed since.
    """
    if not path.is_file():
        return "no result yet"
    try:
        found = read_result(path).expected
    except FileFormatError:
        return "its result file is damaged"
    ignored = {"source"} if any_source else set()
    return next((_REASONS[key] for key in expected if key not in ignored and found.get(key) != expected[key]), "")


@functools.lru_cache(maxsize=8)
def _data_digest(dataset: Dataset) -> str:
    labels = dataset.pairs.labels
    return dataset.pairs.fingerprint() + ("" if labels is None else "-" + array_fingerprint(labels))


def _levels_digest(dataset: Dataset) -> str:
    """What a hierarchical method learns from besides; other methods' results do not depend on it."""
    return "-" + array_fingerprint(*dataset.pairs.levels) if dataset.pairs.levels else ""


@functools.cache
def source_digest(start: str) -> str:
    """A digest of the code that a method learns with: its module and the learning modules reached from there.

    Comments, docstrings, annotations, the wording of errors and what a method tells of its memory do not count, so
    that only a change that can change a code makes a stored result outdated. Whatever is imported by name inside a
    function counts as well.
    """
    waiting, seen = [start], dict[str, str]()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        tree = ast.parse(_source(module))
        seen[module] = ast.dump(_Bare().visit(tree))
        waiting += [name for name in _imported(tree) if name.removeprefix("crossbit.") not in _CARRIERS]
    return digest("".join(seen[module] for module in sorted(seen)))


def digest(text: str) -> str:
    """The first 16 digits of the text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _modules(name: str, settings: Mapping[str, Any]) -> list[str]:
    """The modules of a method and of the methods among its settings, or the one of the references."""
    if name in REFERENCES:
        return [REFERENCES[name].__module__]
    inner = [value for value in settings.values() if isinstance(value, dict) and "method" in value]
    return [METHODS[name].split(":")[0], *(module for value in inner for module in _modules(value["method"], value))]


def _source(module: str) -> str:
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        return ""
    return Path(found.origin).read_text(encoding="utf-8")


def _imported(tree: ast.AST) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.startswith("crossbit.") and _is_module(name)]


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a name inside a module that is no package
        return False


class _Bare(ast.NodeTransformer):
    """Takes away what cannot change a code."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_docstring = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_docstring else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        if node.name in _TELLING:
            return None
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node
