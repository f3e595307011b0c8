"""Compile ahead: for services, whose first query should not wait for the compiler."""

from __future__ import annotations

import numpy as np

from crossbit.kernels.scores import highest_scores
from crossbit.kernels.search import nearest, within


def warm_up() -> None:
    """Compile every scan, or load it from the cache on disk: seconds the first time, a fraction of one later."""
    codes = np.zeros((2, 8), np.uint8)
    several = np.zeros((9, 8), np.uint8)
    nearest(codes[:1], codes, 1)
    nearest(several, codes, 1)
    within(codes, codes, 0)
    highest_scores(np.zeros((1, 64), np.float32), codes, 1)
