"""Bag of words: the words of a text as 0 and 1 or as counts, over a vocabulary fitted on training texts."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossbit.encoders.encoder import Encoded, Skipped
from crossbit.errors import DataError, FileFormatError, SettingsError
from crossbit.files import write_whole

FORMAT = "crossbit-vocabulary"
VERSION = 1


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
        if not self.vocabulary:
            raise DataError("The vocabulary is empty; fit it on more texts or lower min_count.")
        if len(set(self.vocabulary)) != len(self.vocabulary):
            twice = [word for word, times in Counter(self.vocabulary).items() if times > 1]
            raise DataError(f"The vocabulary lists words twice: {', '.join(twice[:5])}.")

    @classmethod
    def fit(
        cls, texts: Sequence[str], *, min_count: int = 2, max_words: int | None = None, counts: bool = False
    ) -> BagOfWords:
        """The vocabulary of the words that stand in at least min_count texts, in alphabetic order.

        max_words: keep only so many, those in most texts. Raises SettingsError for values below 1, DataError where
        no word is left.
        """
        if min_count < 1 or (max_words is not None and max_words < 1):
            raise SettingsError(f"min_count and max_words must be 1 or more; got {min_count} and {max_words}.")
        found = Counter(word for text in texts for word in set(words(text)))
        ranked = sorted((-times, word) for word, times in found.items() if times >= min_count)
        if not ranked:
            raise DataError(
                f"No word stands in {min_count} or more of the {len(texts)} texts; lower min_count or give more texts."
            )
        return cls(tuple(sorted(word for _, word in ranked[:max_words])), counts)

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
        column = {word: number for number, word in enumerate(self.vocabulary)}
        rows: list[np.ndarray[tuple[int], np.dtype[np.float32]]] = []
        kept: list[int] = []
        skipped: list[Skipped] = []
        for row, item in enumerate(items):
            if not isinstance(item, str):
                skipped.append(Skipped(row, f"a text is given as str, not as {type(item).__name__}"))
                continue
            values = np.zeros(self.width, np.float32)
            known = [column[word] for word in words(item) if word in column]
            if self.counts:
                np.add.at(values, known, 1)
            else:
                values[known] = 1
            rows.append(values)
            kept.append(row)
        features = np.stack(rows) if rows else np.zeros((0, self.width), np.float32)
        return Encoded(features, np.array(kept, dtype=np.int64), tuple(skipped))

    def save(self, path: str | Path) -> None:
        """Write the vocabulary as JSON, whole or not at all."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "fingerprint": self.fingerprint(),
            "counts": self.counts,
            "vocabulary": self.vocabulary,
        }
        write_whole(Path(path), (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: str | Path) -> BagOfWords:
        """Read what `save` wrote; raises FileFormatError for a file that is missing, damaged, altered or not ours."""
        path = Path(path)
        try:
            content = json.loads(path.read_text("utf-8"))
            if content["format"] != FORMAT:
                raise FileFormatError(f"{path} is no vocabulary of crossbit; make one with BagOfWords.fit.")
            if content["version"] != VERSION:
                raise FileFormatError(
                    f"{path} has vocabulary version {content['version']}; this crossbit reads version {VERSION}. "
                    "Upgrade crossbit (pip install -U crossbit), or fit the vocabulary again."
                )
            bag = cls(tuple(map(str, content["vocabulary"])), bool(content["counts"]))
            altered = content["fingerprint"] != bag.fingerprint()
        except FileNotFoundError as error:
            raise FileFormatError(f"There is no vocabulary at {path}; make one with BagOfWords.save.") from error
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, OSError, DataError) as error:
            raise FileFormatError(f"{path} is not a whole vocabulary file ({error}); fit it again.") from error
        if altered:
            raise FileFormatError(f"{path} was altered after it was saved (its checksum differs); fit it again.")
        return bag


def words(text: str) -> list[str]:
    """The words of a text: lower case, parted at everything that is no letter or figure."""
    return re.findall(r"[^\W_]+", text.casefold())
