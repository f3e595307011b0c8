"""Queries without torch: the encoders and hash functions of a hasher as ONNX graphs, and what runs them."""

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
