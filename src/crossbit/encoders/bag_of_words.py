"""Bag of words: the words of a text as 0 and 1 or as counts, over a vocabulary fitted on training texts."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crossbit.encoders.encoder import Encoded, Skipped
from crossbit.encoders.vocabulary_file import FORMAT, VERSION, check_vocabulary, read_vocabulary, write_vocabulary
from crossbit.errors import DataError, FileFormatError, SettingsError


@dataclass(frozen=True)
class BagOfWords:
    """Texts to one feature a word of the vocabulary, as in the papers on cross-modal hashing.

    vocabulary: the words, each once; feature j is word j. counts: how often a word stands in the text instead of
    only whether. A text without a known word gives a row of zeros. NumPy only.

    Raises DataError for an empty vocabulary or a word listed twice.
    """

    vocabulary: tuple[str, ...]
    counts: bool = False

    def __post_init__(self) -> None:
        check_words(self.vocabulary)

    @classmethod
    def fit(
        cls, texts: Sequence[str], *, min_count: int = 2, max_words: int | None = None, counts: bool = False
    ) -> BagOfWords:
        """The vocabulary of the words that stand in at least min_count texts, in alphabetic order.

        max_words: keep only so many, those in most texts. Raises SettingsError for values below 1, DataError where
        no word is left.
        """
        return cls(tuple(document_counts(texts, min_count, max_words)), counts)

    @property
    def width(self) -> int:
        """The number of words in the vocabulary."""
        return len(self.vocabulary)

    def fingerprint(self) -> str:
        """A hash of the vocabulary and the way of counting."""
        content = json.dumps([self.counts, self.vocabulary])
        return f"bag-of-words-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def encode(self, items: Sequence[str]) -> Encoded:
        """Features (k, width) of the texts; an item that is no text is named in the outcome."""
        counted = count_words(items, self.vocabulary)
        return counted if self.counts else replace(counted, features=np.minimum(counted.features, 1))

    def to_json(self) -> dict[str, Any]:
        """The vocabulary as plain values: what `save` writes, and what a hasher carries."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "fingerprint": self.fingerprint(),
            "counts": self.counts,
            "vocabulary": list(self.vocabulary),
        }

    @classmethod
    def from_json(cls, content: Any, where: str = "The vocabulary") -> BagOfWords:
        """What `to_json` gave; raises FileFormatError, naming `where`, for content that is damaged or altered."""
        content = check_vocabulary(content, where)
        try:
            bag = cls(tuple(map(str, content["vocabulary"])), bool(content["counts"]))
            altered = content["fingerprint"] != bag.fingerprint()
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"{where} is not a whole vocabulary file ({error}); fit it again.") from error
        if altered:
            raise FileFormatError(f"{where} was altered after it was saved (its checksum differs); fit it again.")
        return bag

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON, whole or not at all."""
        write_vocabulary(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> BagOfWords:
        """Read what `save` wrote; raises FileFormatError for a file that is missing, damaged, altered or not ours."""
        return cls.from_json(read_vocabulary(path), str(path))


def document_counts(texts: Sequence[str], min_count: int, max_words: int | None) -> dict[str, int]:
    """In how many texts a word stands, of the words in at least min_count, in alphabetic order.

    max_words: keep only so many, those in most texts. Raises SettingsError for values below 1, DataError where no
    word is left.
    """
    if min_count < 1 or (max_words is not None and max_words < 1):
        raise SettingsError(f"min_count and max_words must be 1 or more; got {min_count} and {max_words}.")
    found = Counter(word for text in texts for word in set(words(text)))
    ranked = sorted((-times, word) for word, times in found.items() if times >= min_count)
    if not ranked:
        raise DataError(
            f"No word stands in {min_count} or more of the {len(texts)} texts; lower min_count or give more texts."
        )
    return {word: found[word] for word in sorted(word for _, word in ranked[:max_words])}


def check_words(vocabulary: Sequence[str]) -> None:
    """Raise DataError for an empty vocabulary or a word listed twice."""
    if not vocabulary:
        raise DataError("The vocabulary is empty; fit it on more texts or lower min_count.")
    if len(set(vocabulary)) != len(vocabulary):
        twice = [word for word, times in Counter(vocabulary).items() if times > 1]
        raise DataError(f"The vocabulary lists words twice: {', '.join(twice[:5])}.")


def count_words(items: Sequence[Any], vocabulary: Sequence[str]) -> Encoded:
    """How often each word of the vocabulary stands in each text, (k, d); an item that is no text is named."""
    column = {word: number for number, word in enumerate(vocabulary)}
    kept = np.array([row for row, item in enumerate(items) if isinstance(item, str)], np.int64)
    counts = np.zeros((len(kept), len(vocabulary)), np.float32)
    for place, row in enumerate(kept):
        known = [column[word] for word in words(items[row]) if word in column]
        np.add.at(counts[place], known, 1)
    return Encoded(counts, kept, not_texts(items))


def not_texts(items: Sequence[Any]) -> tuple[Skipped, ...]:
    """The items that are no texts, each with the reason."""
    return tuple(
        Skipped(row, f"a text is given as str, not as {type(item).__name__}")
        for row, item in enumerate(items)
        if not isinstance(item, str)
    )


def words(text: str) -> list[str]:
    """The words of a text: lower case, parted at everything that is no letter or figure."""
    return re.findall(r"[^\W_]+", text.casefold())
