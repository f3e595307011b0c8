"""Single captions of the query pairs, for finding the one right pair among pictures with several captions each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crossbit.encoders import Encoder, encode_cached
from crossbit.errors import DataError
from crossbit.pairs import Features, PairedFeatures, Rows
from crossbit.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Sentences:
    """m captions as features. rows: (m,) the pair each was written of. text: (m, d_text) float32."""

    rows: Rows
    text: Features

    def of(self, query: Rows) -> tuple[Features, Rows]:
        """The captions of some pairs and the place in `query` of the pair of each.

        Raises DataError, naming one, for a pair whose captions are not held.
        """
        place = {int(row): at for at, row in enumerate(query)}
        held = np.array([at for at, row in enumerate(self.rows) if int(row) in place], dtype=np.int64)
        missing = sorted(set(place) - set(self.rows[held].tolist()))
        if missing:
            raise DataError(
                f"{len(missing)} of {len(query)} query pairs have no captions of their own here, the first is row "
                f"{missing[0]}; name the split file itself as the data (FOLDER/splits/NAME.json)."
            )
        return self.text[held], np.array([place[int(row)] for row in self.rows[held]], dtype=np.int64)


def encode_sentences(
    texts: Sequence[Sequence[str]],
    query: Rows,
    encoder: Encoder,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Sentences | None:
    """Every caption of the query pairs by itself; None where no pair has captions. texts: by pair."""
    pairs = [(int(row), text) for row in query for text in texts[row] if text.strip()]
    if not pairs:
        return None
    encoded = encode_cached(encoder, [text for _, text in pairs], cache, progress, stage="encode captions")
    rows = np.array([row for row, _ in pairs], dtype=np.int64)[encoded.kept]
    return Sentences(rows, encoded.features)


def sentences_or_texts(sentences: Sentences | None, pairs: PairedFeatures, query: Rows) -> tuple[Features, Rows]:
    """The captions of query pairs and whose they are; where they are not held one by one, a pair's text is its one."""
    return (pairs.text[query], np.arange(len(query))) if sentences is None else sentences.of(query)
