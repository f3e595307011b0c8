"""Data as the commands that make codes load it: every item of a source, or all rows of a data set."""

from __future__ import annotations

from pathlib import Path

from crossbit.cli.data import Encoders, check_encoders, check_fingerprints, load_items
from crossbit.datasets import CodedItems, Reading, code_dataset, code_source, source_dataset
from crossbit.datasets.legacy_mat import is_mat
from crossbit.datasets.prepared_folder import is_prepared
from crossbit.datasets.reading import is_vocabulary
from crossbit.encoders import Encoder, load_image_encoder, load_text_encoder
from crossbit.hasher import Hasher
from crossbit.progress import Progress
from crossbit.sources import OpenedSource


def load_coded(
    data: str,
    hasher: Hasher,
    progress: Progress,
    *,
    encoders: Encoders,
    seed: int,
    reading: Reading,
) -> CodedItems:
    """The codes of all items of what a name or path means.

    encoders: what `encoders_for` gives. Raises MismatchError where features come from other encoders.
    """
    if is_ready(data):
        dataset = load_items(data, progress, seed=seed, **encoders)
        check_encoders(hasher, dataset)
        return code_dataset(dataset, hasher)
    image = encoders["image_encoder"]
    painter = load_image_encoder(image) if isinstance(image, str) else image
    source = reading.open(data)
    writer = _writer(encoders["text_encoder"], source, painter, reading, seed, progress)
    check_fingerprints(hasher, {"image": painter.fingerprint(), "text": writer.fingerprint()}, source.name)
    return code_source(source, hasher, image_encoder=painter, text_encoder=writer, reading=reading, progress=progress)


def _writer(
    text: str | Encoder, source: OpenedSource, painter: Encoder, reading: Reading, seed: int, progress: Progress
) -> Encoder:
    """The text encoder itself. A vocabulary that the hasher does not carry is drawn from the data again."""
    if not isinstance(text, str):
        return text
    if not is_vocabulary(text):
        return load_text_encoder(text)
    again = source_dataset(
        source, text_encoder=text, image_encoder=painter, reading=reading, seed=seed, progress=progress
    )
    return again.vocabulary or load_text_encoder(text)


def is_ready(data: str) -> bool:
    """Whether DATA is a data set of its own, not a source whose items are encoded."""
    path = Path(data)
    return data == "emoji" or path.suffix == ".npz" or is_mat(path) or is_prepared(path)
