"""Text encoders that are a fitted vocabulary, of whichever kind: read from a file or from what a hasher carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossbit.encoders.bag_of_words import BagOfWords
from crossbit.encoders.tf_idf import TfIdf
from crossbit.encoders.vocabulary_file import check_vocabulary, read_vocabulary

Vocabulary = BagOfWords | TfIdf
"""A text encoder that was fitted on texts and so must be kept with what was learned on its features."""


def vocabulary_of(content: Any, where: str = "The vocabulary") -> Vocabulary:
    """The encoder that `to_json` of one gave; raises FileFormatError, naming `where`, for damaged content."""
    if check_vocabulary(content, where).get("kind", "bag-of-words") == "tf-idf":
        return TfIdf.from_json(content, where)
    return BagOfWords.from_json(content, where)


def load_vocabulary(path: str | Path) -> Vocabulary:
    """The encoder that `save` of one wrote; raises FileFormatError as `BagOfWords.load` does."""
    return vocabulary_of(read_vocabulary(path), str(path))
