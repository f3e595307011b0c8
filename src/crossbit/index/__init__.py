"""Indexes: codes under ids, searched by Hamming distance."""

from crossbit.index.choice import choose_engine, choose_index
from crossbit.index.exact import ExactIndex
from crossbit.index.ivf import IvfIndex, IvfSettings
from crossbit.index.prefix import PrefixIndex, PrefixSettings
from crossbit.index.protocol import Hits, Index
from crossbit.index.pruned import PrunedIndex

__all__ = [
    "ExactIndex",
    "Hits",
    "Index",
    "IvfIndex",
    "IvfSettings",
    "PrefixIndex",
    "PrefixSettings",
    "PrunedIndex",
    "choose_engine",
    "choose_index",
]
