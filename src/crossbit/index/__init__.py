"""Indexes: codes under ids, searched by Hamming distance."""

from crossbit.index.exact import ExactIndex
from crossbit.index.protocol import Hits, Index

__all__ = ["ExactIndex", "Hits", "Index"]
