"""The one place that says which engine searches a segment's codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.index import ExactIndex, Index


def index_over(codes: Codes, rows: NDArray[np.int64]) -> Index:
    """An index over n codes under their rows (ascending)."""
    index = ExactIndex(codes.n_bits)
    if len(codes):
        index.add(codes, rows)
    return index
