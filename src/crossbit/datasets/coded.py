"""The codes of a source's items, with or without a partner: what a collection is built of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.datasets.dataset import Dataset
from crossbit.datasets.parts import Contents, LeftOut, paths_of, picture_parts
from crossbit.datasets.reading import Reading, is_vocabulary, text_features
from crossbit.encoders import BagOfWords, Encoder, TfIdf, Vocabulary
from crossbit.errors import DataError
from crossbit.hasher import Hasher
from crossbit.pairs import Features
from crossbit.progress import Progress, silent
from crossbit.sources import OpenedSource, Record, Value

_RESERVED = frozenset({"id", "caption", "picture", "has_image", "has_text", "thumbnail"})
_MOST_COLUMNS = 200


@dataclass(frozen=True, eq=False)
class CodedItems:
    """n items. ids, captions: names and what is shown. pictures: paths, "" where a picture lies in the source itself.

    image, text: (n, n_bits) codes; those of items without that modality mean nothing. has_image, has_text: (n,) who
    has which. metadata: columns of n values, each of one type. contents: of the picture
    files, None where there are none. left_out: the other items. encoders: fingerprints by modality, empty for
    features from elsewhere. vocabulary: what made the text features, where that is a vocabulary.
    """

    ids: tuple[str, ...]
    captions: tuple[str, ...]
    pictures: tuple[str, ...]
    image: Codes
    text: Codes
    has_image: NDArray[np.bool_]
    has_text: NDArray[np.bool_]
    metadata: Mapping[str, tuple[Value, ...]]
    contents: Sequence[bytes] | None
    left_out: tuple[LeftOut, ...]
    encoders: Mapping[str, str]
    vocabulary: Vocabulary | None = None

    def __len__(self) -> int:
        return len(self.ids)


def code_source(
    source: OpenedSource,
    hasher: Hasher,
    *,
    image_encoder: Encoder,
    text_encoder: Encoder,
    reading: Reading | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
) -> CodedItems:
    """Code every item of a source that has a picture, a text or both; only codes and words are held in memory.

    A text of which the encoder knows no word counts as none. Items with nothing to code are left out and named, as
    are pictures that cannot be opened. Repetitions stay: each is an item.

    Raises DataError where no item is left, WidthError where features do not fit the hasher.
    """
    reading = reading or Reading()
    joined = is_vocabulary(text_encoder)
    rows: list[int] = []
    records: list[Record] = []
    left_out: list[LeftOut] = []
    image, text = _Codes(hasher.n_bits), _Codes(hasher.n_bits)
    for part in picture_parts(source, image_encoder, cache, progress):
        words = text_features([reading.texts(record, joined=joined) for record in part.records], text_encoder, cache)
        has_text = nonzero_rows(words)
        kept = part.has_image | has_text
        left_out += part.left_out
        left_out += [
            LeftOut.of(int(part.rows[place]), part.records[place], _NOTHING) for place in np.flatnonzero(~kept)
        ]
        if kept.any():
            image.add(hasher.encode_images(part.image[kept]), part.has_image[kept])
            text.add(hasher.encode_texts(words[kept]), has_text[kept])
            rows += part.rows[kept].tolist()
            records += [part.records[place] for place in np.flatnonzero(kept)]
    if not rows:
        why = f" The first of {len(left_out)} left out: {left_out[0].reason}." if left_out else ""
        raise DataError(f"{source.name} has no item with a picture or a text.{why} It was read as: {source.layout}.")
    return CodedItems(
        ids=tuple(record.id for record in records),
        captions=tuple(reading.caption(record) for record in records),
        pictures=tuple(str(it.picture.absolute()) if isinstance(it.picture, Path) else "" for it in records),
        image=image.codes(),
        text=text.codes(),
        has_image=np.concatenate(image.present),
        has_text=np.concatenate(text.present),
        metadata=metadata_columns(records),
        contents=Contents(source, np.array(rows), paths_of(records)),
        left_out=tuple(sorted(left_out, key=lambda item: item.row)),
        encoders={"image": image_encoder.fingerprint(), "text": text_encoder.fingerprint()},
        vocabulary=text_encoder if isinstance(text_encoder, BagOfWords | TfIdf) else None,
    )


_NOTHING = "it has no picture, and no text of which the encoder knows a word"


def code_dataset(dataset: Dataset, hasher: Hasher) -> CodedItems:
    """The codes of all rows of a data set. A row of zeros is an item without that picture or text.

    Without ids of its own, a data set's items are called by their row numbers.
    """
    n = len(dataset)
    return CodedItems(
        ids=dataset.ids or tuple(str(row) for row in range(n)),
        captions=dataset.captions,
        pictures=("",) * n,
        image=hasher.encode_images(dataset.pairs.image),
        text=hasher.encode_texts(dataset.pairs.text),
        has_image=nonzero_rows(dataset.pairs.image),
        has_text=nonzero_rows(dataset.pairs.text),
        metadata={},
        contents=dataset.pictures,
        left_out=(),
        encoders=dataset.encoders,
        vocabulary=dataset.vocabulary,
    )


def nonzero_rows(features: Features) -> NDArray[np.bool_]:
    """Which rows say anything at all."""
    return np.asarray(features.any(axis=1), dtype=np.bool_)


class _Codes:
    """Codes that grow."""

    def __init__(self, n_bits: int) -> None:
        self.n_bits = n_bits
        self.packed: list[NDArray[np.uint8]] = []
        self.present: list[NDArray[np.bool_]] = []

    def add(self, codes: Codes, present: NDArray[np.bool_]) -> None:
        self.packed.append(codes.packed)
        self.present.append(present)

    def codes(self) -> Codes:
        return Codes(np.concatenate(self.packed), self.n_bits)


def metadata_columns(records: Sequence[Record]) -> dict[str, tuple[Value, ...]]:
    """The metadata and the tags of records as columns; values of several types in one column become text.

    A name that every item has anyway (id, caption, ...) gets a `_` after it. At most 200 columns are kept.
    """
    names = list(dict.fromkeys(name for record in records for name in record.metadata))
    columns = {_free(name): [record.metadata.get(name) for record in records] for name in names}
    if any(record.tags for record in records):
        columns.setdefault("tags", [", ".join(record.tags) or None for record in records])
    return {name: _one_type(columns[name]) for name in list(columns)[:_MOST_COLUMNS]}


def _free(name: str) -> str:
    return f"{name}_" if name in _RESERVED else name[:199] or "_"


def _one_type(values: Sequence[Value]) -> tuple[Value, ...]:
    types = {type(value) for value in values if value is not None}
    if types <= {int, float} and len(types) == 2:
        return tuple(None if value is None else float(value) for value in values)
    if len(types) > 1 or types == {str}:
        return tuple(None if value is None else str(value)[:_LONGEST_VALUE] for value in values)
    return tuple(values)


_LONGEST_VALUE = 30_000  # characters
