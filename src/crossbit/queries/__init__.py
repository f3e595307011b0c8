"""Queries without torch: the encoders and hash functions of a hasher as ONNX graphs, and what runs them.

Each name is imported when it is first asked for: a search needs nothing of what exports.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossbit.queries.export import Exported, export_queries
    from crossbit.queries.find import export_place, find_queries, query_encoder
    from crossbit.queries.manifest import QueryManifest, Side, is_export
    from crossbit.queries.opened import Queries
    from crossbit.queries.preparation import PicturePreparation
    from crossbit.queries.runtime import ExportedPictures, ExportedTexts

__all__ = [
    "Exported",
    "ExportedPictures",
    "ExportedTexts",
    "PicturePreparation",
    "Queries",
    "QueryManifest",
    "Side",
    "export_place",
    "export_queries",
    "find_queries",
    "is_export",
    "query_encoder",
]

_LATER = {
    "Exported": "export",
    "export_queries": "export",
    "export_place": "find",
    "find_queries": "find",
    "query_encoder": "find",
    "QueryManifest": "manifest",
    "Side": "manifest",
    "is_export": "manifest",
    "Queries": "opened",
    "PicturePreparation": "preparation",
    "ExportedPictures": "runtime",
    "ExportedTexts": "runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'crossbit.queries' has no attribute {name!r}")
    return getattr(importlib.import_module(f"crossbit.queries.{_LATER[name]}"), name)
