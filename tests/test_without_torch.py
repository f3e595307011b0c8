"""A machine that only encodes, searches and evaluates has no torch. Here a process in which it cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crossbit.methods import METHODS
from crossbit.methods.cca_itq import CCAITQ
from crossbit.testing import planted_pairs, run_without_torch
from test_architecture import TORCH_PARTS

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "crossbit"
LEARNED_WITH_TORCH = TORCH_PARTS - {"methods"}
SHALLOW = {"random-projection", "cca-sign", "cca-itq", "cvh", "imh", "pdh", "cmfh"}
SHALLOW |= {"lssh", "rfdh", "fsh", "cmsth", "scm", "hcsr", "sccmh", "seph"}

ENCODE_SEARCH_EVALUATE = """
import sys
import numpy as np
import crossbit
from crossbit import Hasher, PairedFeatures, Split
from crossbit.evaluation import PALL, evaluate_codes
from crossbit.index import ExactIndex

folder = sys.argv[1]
with np.load(folder + "/world.npz", allow_pickle=False) as data:
    pairs = PairedFeatures(data["image"], data["text"], data["labels"])
    query, database = data["query"], data["database"]
hasher = Hasher.load(folder + "/hasher.safetensors")
images, texts = hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text)

index = ExactIndex(hasher.n_bits)
index.add(images[database], database)
hits = index.search(texts[query], 5)
print("hits", hits.ids.shape)

scores = evaluate_codes(
    images[query], texts[query], images[database], texts[database], pairs.labels[query], pairs.labels[database],
)
print("map", scores[PALL].i2t > 0.5, scores[PALL].t2i > 0.5)
assert "torch" not in sys.modules
"""

FIT_A_DEEP_METHOD = """
from crossbit.errors import MissingExtraError
from crossbit.methods import METHODS, load_method

for name in METHODS:
    try:
        load_method(name)
        print(name, "loads")
    except MissingExtraError as error:
        print(name, "needs", error.extra)
"""

IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
assert "torch" not in sys.modules
print(len(sys.argv) - 1)
"""


def test_torch_is_blocked() -> None:
    with pytest.raises(AssertionError, match="blocked on purpose"):
        run_without_torch("import torch.nn")


def test_a_hasher_encodes_searches_and_is_evaluated(tmp_path: Path) -> None:
    world = planted_pairs()
    CCAITQ(n_bits=32).fit(world.train).save(tmp_path / "hasher.safetensors")
    split = {"query": world.split.query, "database": world.split.database}
    np.savez(tmp_path / "world.npz", image=world.pairs.image, text=world.pairs.text, labels=world.labels, **split)
    printed = run_without_torch(ENCODE_SEARCH_EVALUATE, [str(tmp_path)])
    assert printed.split("\n")[:2] == [f"hits ({len(world.split.query)}, 5)", "map True True"]


def test_every_module_that_does_not_learn_is_imported() -> None:
    modules = []
    deep_methods = {place.split(":")[0] for name, place in METHODS.items() if name not in SHALLOW}
    for file in sorted(PACKAGE.rglob("*.py")):
        pieces = list(file.relative_to(PACKAGE).with_suffix("").parts)
        name = ".".join(["crossbit", *(pieces[:-1] if pieces[-1] == "__init__" else pieces)])
        if pieces[0] not in LEARNED_WITH_TORCH and pieces[-1] != "__main__" and name not in deep_methods:
            modules.append(name)
    assert "crossbit.hasher" in modules
    assert int(run_without_torch(IMPORT_ALL, modules)) == len(modules)


def test_shallow_methods_load_and_deep_ones_name_the_extra() -> None:
    printed = run_without_torch(FIT_A_DEEP_METHOD).splitlines()
    assert printed == [f"{name} loads" if name in SHALLOW else f"{name} needs train" for name in METHODS]


def test_importing_crossbit_imports_neither_torch_nor_the_compiler() -> None:
    """`import crossbit` stays light; checked in a process in which both are installed."""
    code = "import sys, crossbit; print([name for name in ('torch', 'numba', 'fastapi') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"
