"""Encoders: raw pictures and texts to feature rows. Importing this needs no torch; encoding with some of it does.

Each name is imported when it is first asked for: a search needs one encoder, and nothing of what reads sources.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossbit.encoders.bag_of_words import BagOfWords
    from crossbit.encoders.cache import default_cache_folder, encode_cached
    from crossbit.encoders.efficientnet import EfficientNetLite0
    from crossbit.encoders.encoder import Encoded, Encoder, PictureEncoder, Skipped
    from crossbit.encoders.minilm import MiniLM
    from crossbit.encoders.names import encoder_of, load_image_encoder, load_text_encoder
    from crossbit.encoders.pictures import open_picture
    from crossbit.encoders.preparation import Preparation
    from crossbit.encoders.shards import Left
    from crossbit.encoders.store import EncodedStore
    from crossbit.encoders.stream import encode_stream
    from crossbit.encoders.tf_idf import TfIdf
    from crossbit.encoders.vocabulary import Vocabulary, load_vocabulary

__all__ = [
    "BagOfWords",
    "EfficientNetLite0",
    "Encoded",
    "EncodedStore",
    "Encoder",
    "Left",
    "MiniLM",
    "PictureEncoder",
    "Preparation",
    "Skipped",
    "TfIdf",
    "Vocabulary",
    "default_cache_folder",
    "encode_cached",
    "encode_stream",
    "encoder_of",
    "load_image_encoder",
    "load_text_encoder",
    "load_vocabulary",
    "open_picture",
]

_LATER = {
    "BagOfWords": "bag_of_words",
    "default_cache_folder": "cache",
    "encode_cached": "cache",
    "EfficientNetLite0": "efficientnet",
    "Encoded": "encoder",
    "Encoder": "encoder",
    "PictureEncoder": "encoder",
    "Skipped": "encoder",
    "MiniLM": "minilm",
    "encoder_of": "names",
    "load_image_encoder": "names",
    "load_text_encoder": "names",
    "open_picture": "pictures",
    "Preparation": "preparation",
    "Left": "shards",
    "EncodedStore": "store",
    "encode_stream": "stream",
    "TfIdf": "tf_idf",
    "Vocabulary": "vocabulary",
    "load_vocabulary": "vocabulary",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'crossbit.encoders' has no attribute {name!r}")
    return getattr(importlib.import_module(f"crossbit.encoders.{_LATER[name]}"), name)
