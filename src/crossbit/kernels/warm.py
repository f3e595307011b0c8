"""Compile ahead: for services, whose first query should not wait for the compiler."""

from __future__ import annotations

import numpy as np

from crossbit.kernels.again import nearest_among
from crossbit.kernels.parts import PartTables
from crossbit.kernels.scores import highest_scores
from crossbit.kernels.search import as_bytes, flags_of, nearest, within


def warm_up() -> None:
    """Compile all loops of search, or load them from the cache on disk: seconds once, then a fraction of one."""
    codes = np.zeros((2, 8), np.uint8)
    several = np.zeros((9, 8), np.uint8)
    nearest(codes[:1], codes, 1)
    nearest(several, codes, 1)
    within(codes[:1], codes, 0)
    within(several, codes, 0)
    tables = PartTables.of(as_bytes(codes))
    tables.count(as_bytes(codes), 0)
    tables.find(as_bytes(codes), as_bytes(codes), flags_of(None), 0)
    nearest_among(codes, codes, np.zeros((2, 1), np.int64), 1)
    highest_scores(np.zeros((1, 64), np.float32), codes, 1)
