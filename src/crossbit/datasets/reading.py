"""What is read of a source, and what its words are when an item has several texts, or tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from crossbit.encoders import BagOfWords, Encoder, TfIdf, encode_cached
from crossbit.pairs import Features
from crossbit.progress import Progress, silent
from crossbit.sources import Columns, OpenedSource, Record, open_source

Captions = Literal["all", "first"]

VOCABULARIES = ("bag-of-words", "tf-idf")
"""The text encoders whose words are fitted on the texts themselves."""


@dataclass(frozen=True)
class Reading:
    """How a source is read. columns, image_folder: see `open_source`.

    captions: of several captions of one picture, "all" or only the "first". All captions are, for an encoder of
    sentences, the mean of their features (as long as these are on average); for an encoder with a vocabulary, the
    words of all together.
    """

    columns: Columns = field(default_factory=Columns)
    image_folder: Path | None = None
    captions: Captions = "all"

    def open(self, source: str | Path) -> OpenedSource:
        """The source at a path; raises what `open_source` raises."""
        return open_source(source, columns=self.columns, image_folder=self.image_folder)

    def texts(self, record: Record, *, joined: bool) -> tuple[str, ...]:
        """The texts that are encoded for an item, none where it has none.

        joined: as one text with the tags among its words, for an encoder with a vocabulary. An encoder of sentences
        reads the tags only of an item without captions.
        """
        captions = tuple(text for text in record.texts if text.strip())
        if self.captions == "first":
            captions = captions[:1]
        if joined:
            text = " ".join((*captions, *record.tags))
            return (text,) if text.strip() else ()
        return captions or ((", ".join(record.tags),) if record.tags else ())

    def caption(self, record: Record) -> str:
        """What is shown for an item: its captions in one line, else its tags."""
        return " / ".join(self.texts(record, joined=False))[:LONGEST_CAPTION]


LONGEST_CAPTION = 30_000  # characters that a collection keeps of it


def is_vocabulary(encoder: str | Encoder) -> bool:
    """Whether a text encoder, or the name of one, knows words of its own vocabulary only."""
    return encoder in VOCABULARIES if isinstance(encoder, str) else isinstance(encoder, BagOfWords | TfIdf)


def text_features(
    items: Sequence[tuple[str, ...]], writer: Encoder, cache: Path | None = None, progress: Progress = silent
) -> Features:
    """A row (n, d) for each item: the mean of its texts' rows, as long as these are on average; zeros without texts."""
    flat = [text for texts in items for text in texts]
    owner = np.repeat(np.arange(len(items)), [len(texts) for texts in items])
    encoded = encode_cached(writer, flat, cache, progress, stage="encode texts")
    rows = encoded.features
    if len(rows) == len(items) and np.array_equal(owner[encoded.kept], np.arange(len(items))):
        return rows  # one text each: bit for bit what the encoder gave
    owner = owner[encoded.kept]
    features = np.zeros((len(items), writer.width), np.float32)
    lengths = np.zeros(len(items), np.float32)
    np.add.at(features, owner, rows)
    np.add.at(lengths, owner, np.linalg.norm(rows, axis=1))
    own = np.linalg.norm(features, axis=1)
    several = np.bincount(owner, minlength=len(items)) > 1
    scale = np.divide(lengths, own, out=np.ones_like(own), where=own > 0)
    counts = np.maximum(np.bincount(owner, minlength=len(items)), 1).astype(np.float32)
    features[several] *= (scale / counts)[several, None]
    return features
