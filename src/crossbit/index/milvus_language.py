"""Conditions as Milvus reads them."""

from __future__ import annotations

import numpy as np

from crossbit.index.protocol import Ids


def among(ids: Ids) -> str:
    """The condition that keeps these ids. Milvus' language has no word for the lowest whole number of 64 bits."""
    lowest = np.iinfo(np.int64).min
    listed = f"id in [{','.join(map(str, ids[ids != lowest].tolist()))}]"
    return f"({listed} or id < {lowest + 1})" if (ids == lowest).any() else listed
