"""The one place that says which engine searches a segment's codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.index import ExactIndex, Index


def index_over(codes: Codes, rows: NDArray[np.int64] | None) -> Index:
    """An index over n codes, as they are and without a copy, under their rows (ascending; None: row i has code i)."""
    return ExactIndex.over(codes, rows)
