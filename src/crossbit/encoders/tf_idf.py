"""TF-IDF: a bag of words in which a word weighs the more the fewer texts it stands in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossbit.encoders.bag_of_words import check_words, count_words, document_counts
from crossbit.encoders.encoder import Encoded
from crossbit.encoders.vocabulary_file import FORMAT, VERSION, check_vocabulary, read_vocabulary, write_vocabulary
from crossbit.errors import DataError, FileFormatError


@dataclass(frozen=True)
class TfIdf:
    """Texts to one feature a word of the vocabulary, scaled to length 1.

    A word that stands t times in a text weighs t * (ln((1 + n) / (1 + m)) + 1), where m of the n training texts hold
    it: Sparck Jones, "A statistical interpretation of term specificity", 1972, in the smoothed form of scikit-learn.
    A text without a known word gives a row of zeros. NumPy only.

    vocabulary: the words, each once; feature j is word j. texts_with: m of each word. n_texts: n.

    Raises DataError for an empty vocabulary, a word listed twice, or counts that do not fit.
    """

    vocabulary: tuple[str, ...]
    texts_with: tuple[int, ...]
    n_texts: int

    def __post_init__(self) -> None:
        check_words(self.vocabulary)
        if len(self.texts_with) != len(self.vocabulary):
            raise DataError(f"There are {len(self.vocabulary)} words and {len(self.texts_with)} counts of texts.")
        if not all(0 <= times <= self.n_texts for times in self.texts_with):
            raise DataError(f"A word stands in 0 to {self.n_texts} of {self.n_texts} texts; another count was given.")

    @classmethod
    def fit(cls, texts: Sequence[str], *, min_count: int = 2, max_words: int | None = None) -> TfIdf:
        """The words that stand in at least min_count texts, in alphabetic order, with how many texts hold each.

        max_words: keep only so many, those in most texts. Raises SettingsError for values below 1, DataError where
        no word is left.
        """
        counted = document_counts(texts, min_count, max_words)
        return cls(tuple(counted), tuple(counted.values()), len(texts))

    @property
    def width(self) -> int:
        """The number of words in the vocabulary."""
        return len(self.vocabulary)

    def fingerprint(self) -> str:
        """A hash of the vocabulary and its counts."""
        content = json.dumps([self.vocabulary, self.texts_with, self.n_texts])
        return f"tf-idf-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def encode(self, items: Sequence[str]) -> Encoded:
        """Features (k, width) of the texts, each of length 1 or 0; an item that is no text is named in the outcome."""
        counted = count_words(items, self.vocabulary)
        weights = np.log((1 + self.n_texts) / (1 + np.array(self.texts_with, np.float64))) + 1
        values = counted.features * weights
        lengths = np.linalg.norm(values, axis=1, keepdims=True)
        values /= np.where(lengths > 0, lengths, 1.0)
        return Encoded(values.astype(np.float32), counted.kept, counted.skipped)

    def to_json(self) -> dict[str, Any]:
        """Vocabulary and counts as plain values: what `save` writes, and what a hasher carries."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "kind": "tf-idf",
            "fingerprint": self.fingerprint(),
            "n_texts": self.n_texts,
            "texts_with": list(self.texts_with),
            "vocabulary": list(self.vocabulary),
        }

    @classmethod
    def from_json(cls, content: Any, where: str = "The vocabulary") -> TfIdf:
        """What `to_json` gave; raises FileFormatError, naming `where`, for content that is damaged or altered."""
        content = check_vocabulary(content, where)
        try:
            counts = tuple(int(times) for times in content["texts_with"])
            made = cls(tuple(map(str, content["vocabulary"])), counts, int(content["n_texts"]))
            altered = content["fingerprint"] != made.fingerprint()
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise FileFormatError(f"{where} is not a whole TF-IDF vocabulary ({error}); fit it again.") from error
        if altered:
            raise FileFormatError(f"{where} was altered after it was saved (its checksum differs); fit it again.")
        return made

    def save(self, path: str | Path) -> None:
        """Write vocabulary and counts as JSON, whole or not at all."""
        write_vocabulary(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> TfIdf:
        """Read what `save` wrote; raises FileFormatError for a file that is missing, damaged, altered or not ours."""
        return cls.from_json(read_vocabulary(path), str(path))
