"""crossbit: compact binary codes for images and text, learned without labels, and the search that uses them.

The public names stand here. Those that bring compiled loops or tables with them are imported when first asked for,
so that `import crossbit` is quick; none of them needs torch until a method that learns with it is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from crossbit.codes import Codes
from crossbit.errors import CrossbitError
from crossbit.hasher import Hasher, HashFunction
from crossbit.method import Method
from crossbit.methods import METHODS, load_method
from crossbit.pairs import PairedFeatures, Split

if TYPE_CHECKING:
    from crossbit.collection import Collection
    from crossbit.datasets import Dataset, load_dataset
    from crossbit.evaluation import P50, PALL, Evaluation, EvaluationProtocol, evaluate
    from crossbit.index import ExactIndex, Hits

__version__ = "0.1.0"

__all__ = [
    "METHODS",
    "P50",
    "PALL",
    "Codes",
    "Collection",
    "CrossbitError",
    "Dataset",
    "Evaluation",
    "EvaluationProtocol",
    "ExactIndex",
    "HashFunction",
    "Hasher",
    "Hits",
    "Method",
    "PairedFeatures",
    "Split",
    "__version__",
    "evaluate",
    "load_dataset",
    "load_method",
]

_LATER = {
    "Collection": "collection",
    "Dataset": "datasets",
    "load_dataset": "datasets",
    "P50": "evaluation",
    "PALL": "evaluation",
    "Evaluation": "evaluation",
    "EvaluationProtocol": "evaluation",
    "evaluate": "evaluation",
    "ExactIndex": "index",
    "Hits": "index",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'crossbit' has no attribute {name!r}")
    return getattr(importlib.import_module(f"crossbit.{_LATER[name]}"), name)
