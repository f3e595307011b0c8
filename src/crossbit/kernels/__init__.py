"""The compiled Hamming loops: nearest rows, rows within a radius, counts per distance, scores of real-valued queries.

They run over the codes in blocks that stay in the processor's cache, keep no (queries, items) matrix, and release the
interpreter lock. Nothing is compiled at import; the first call compiles and leaves the result on disk for next time
(`warm_up` does so ahead). The same loops compile to what the processor has: AVX-512, AVX2, NEON, or none of them.

Each name is imported when it is first asked for, and `nearest` and `within` import the loops when there is enough to
compare: the compiler takes longer to import than a small search takes in NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossbit.kernels.compilation import Bytes, Counts, Distances, Rows, Words, compiled
    from crossbit.kernels.counts import count_distances, count_nearer, count_relevant
    from crossbit.kernels.scores import highest_scores
    from crossbit.kernels.search import all_threads, nearest, within
    from crossbit.kernels.warm import warm_up
    from crossbit.kernels.words import code_words, label_words

__all__ = [
    "Bytes",
    "Counts",
    "Distances",
    "Rows",
    "Words",
    "all_threads",
    "code_words",
    "compiled",
    "count_distances",
    "count_nearer",
    "count_relevant",
    "highest_scores",
    "label_words",
    "nearest",
    "warm_up",
    "within",
]

_LATER = {
    "Bytes": "compilation",
    "Counts": "compilation",
    "Distances": "compilation",
    "Rows": "compilation",
    "Words": "compilation",
    "compiled": "compilation",
    "count_distances": "counts",
    "count_nearer": "counts",
    "count_relevant": "counts",
    "highest_scores": "scores",
    "all_threads": "search",
    "nearest": "search",
    "within": "search",
    "warm_up": "warm",
    "code_words": "words",
    "label_words": "words",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'crossbit.kernels' has no attribute {name!r}")
    return getattr(importlib.import_module(f"crossbit.kernels.{_LATER[name]}"), name)
