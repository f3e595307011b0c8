"""A source of pairs as a Dataset: what fits are made on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from crossbit.datasets.dataset import Dataset, without_duplicates
from crossbit.datasets.parts import Contents, LeftOut, paths_of, picture_parts
from crossbit.datasets.reading import Reading, is_vocabulary, text_features
from crossbit.encoders import BagOfWords, Encoder, TfIdf, load_image_encoder, load_text_encoder
from crossbit.errors import DataError
from crossbit.pairs import Features, PairedFeatures, Split
from crossbit.progress import Progress, silent
from crossbit.sources import OpenedSource, Record


@dataclass
class _Pairs:
    """The pairs gathered so far: places in the source, records, features of the pictures, and what was left out."""

    rows: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    image: list[Features] = field(default_factory=list)
    texts: list[tuple[str, ...]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def source_dataset(
    source: OpenedSource,
    *,
    text_encoder: str | Encoder = "minilm",
    image_encoder: str | Encoder = "efficientnet-lite0",
    reading: Reading | None = None,
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """The pairs of a source as a Dataset without labels; a tenth (1000 at most) are queries, drawn by seed.

    text_encoder, image_encoder: by name, as `load_text_encoder` knows it (a vocabulary is that of the train texts), or
    the encoders themselves. reading: what is done with several captions. Items without picture or text, pictures that
    cannot be opened, and pairs with the picture and the texts of an earlier one are left out and named in `skipped`,
    where row is the place in the source. The features of all pairs are held in memory.

    Raises DataError where fewer than two pairs are left, and what the source raises.
    """
    reading = reading or Reading()
    joined = is_vocabulary(text_encoder)
    painter = load_image_encoder(image_encoder) if isinstance(image_encoder, str) else image_encoder
    found = _gather(source, painter, reading, joined=joined, cache=cache, progress=progress)
    if len(found.rows) < 2:
        why = f" Left out: {len(found.left_out)}, the first: {found.left_out[0].reason}." if found.left_out else ""
        raise DataError(
            f"{source.name} gives {len(found.rows)} pairs that can be used and differ; at least 2 are needed.{why} "
            f"It was read as: {source.layout}. `crossbit data check` tells more."
        )
    split = draw_split(len(found.rows), seed)
    train = [text for row in split.train for text in found.texts[row]]
    writer = load_text_encoder(text_encoder, train) if isinstance(text_encoder, str) else text_encoder
    pairs = PairedFeatures(np.concatenate(found.image), text_features(found.texts, writer, cache, progress))
    # Texts that differ only in what the encoder does not read still make two pairs the same.
    split, same = without_duplicates(split, pairs)
    same_places = [LeftOut.of(found.rows[skip.row], found.records[skip.row], skip.reason) for skip in same]
    return Dataset(
        name=source.name,
        pairs=pairs,
        split=split,
        captions=tuple(reading.caption(record) for record in found.records),
        pictures=Contents(source, np.array(found.rows), paths_of(found.records)),
        encoders={"image": painter.fingerprint(), "text": writer.fingerprint()},
        skipped=(*found.left_out, *same_places),
        revision=f"{pairs.fingerprint()}-{split.fingerprint()}",
        ids=tuple(record.id for record in found.records),
        vocabulary=writer if isinstance(writer, BagOfWords | TfIdf) else None,
    )


def _gather(
    source: OpenedSource, painter: Encoder, reading: Reading, *, joined: bool, cache: Path | None, progress: Progress
) -> _Pairs:
    """The pairs of a source that can be used and differ."""
    found = _Pairs()
    first: dict[bytes, str] = {}
    for part in picture_parts(source, painter, cache, progress):
        kept = []
        found.left_out += part.left_out
        for place, (row, record) in enumerate(zip(part.rows, part.records, strict=True)):
            texts = reading.texts(record, joined=joined)
            why = _unpaired(part.has_image[place], texts, record)
            if not why:
                own = _digest(part.image[place], texts)
                if own in first:
                    why = f"the same picture and text as {first[own]}"
                else:
                    first[own] = record.id
            if why:
                found.left_out.append(LeftOut.of(int(row), record, why))
                continue
            kept.append(place)
            found.rows.append(int(row))
            found.records.append(record)
            found.texts.append(texts)
        found.image.append(part.image[kept])
    found.left_out.sort(key=lambda item: item.row)
    return found


def _unpaired(has_image: bool, texts: Sequence[str], record: Record) -> str:
    """Why an item is no pair, or ""."""
    if not has_image:
        return "it has no picture"
    if texts:
        return ""
    return "its text is empty" if record.texts else "it has no text"


def _digest(image: Features, texts: Sequence[str]) -> bytes:
    digest = hashlib.sha256(image.tobytes())
    for text in texts:
        digest.update(b"\0" + text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def draw_split(n: int, seed: int) -> Split:
    """A tenth of n pairs, 1000 at most, as queries, drawn by a seed; the others are train and database."""
    n_queries = min(max(1, n // 10), 1000)
    order = np.random.default_rng(seed).permutation(n)
    others = np.sort(order[n_queries:])
    return Split(train=others, query=np.sort(order[:n_queries]), database=others)
