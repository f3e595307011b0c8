"""Data sets: one file each, all loaded to the same record."""

from __future__ import annotations

import glob
from pathlib import Path

from crossbit.datasets.coded import CodedItems, code_dataset, code_source
from crossbit.datasets.dataset import Dataset
from crossbit.datasets.emoji import emoji_dataset
from crossbit.datasets.features import read_features
from crossbit.datasets.folder import folder_dataset
from crossbit.datasets.from_source import source_dataset
from crossbit.datasets.legacy_mat import is_mat, read_mat
from crossbit.datasets.prepared_folder import is_prepared, read_prepared
from crossbit.datasets.reading import Reading
from crossbit.encoders import Encoder
from crossbit.errors import DataError
from crossbit.progress import Progress, silent
from crossbit.sources.open import KINDS

__all__ = [
    "CodedItems",
    "Dataset",
    "Reading",
    "code_dataset",
    "code_source",
    "emoji_dataset",
    "folder_dataset",
    "load_dataset",
    "read_features",
    "read_mat",
    "read_prepared",
    "source_dataset",
]


def load_dataset(
    source: str | Path,
    *,
    text_encoder: str | Encoder = "minilm",
    image_encoder: str | Encoder = "efficientnet-lite0",
    duplicates: str = "refuse",
    seed: int = 0,
    reading: Reading | None = None,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """A data set by name ("emoji"), from ready features (.npz, .mat), a prepared folder, or pictures and texts.

    text_encoder, image_encoder: by name (see `crossbit.encoders.load_text_encoder`) or as they are, for data sets that
    are encoded here. duplicates: what a .npz file whose queries stand in the database too gives, see `read_features`.
    seed: draws a split where there is none. reading: how a source is read.
    cache: where features are kept, by default the user's cache folder. progress: steps of the encoding.

    Raises DataError for what is none of these, and what the loader of the source raises.
    """
    if source == "emoji":
        return emoji_dataset(text_encoder, cache, progress, image_encoder=image_encoder)
    path = Path(source)
    if path.suffix == ".npz":
        return read_features(path, duplicates=duplicates)
    if is_mat(path):
        return read_mat(path, duplicates=duplicates, seed=seed)
    if not path.exists() and not glob.has_magic(str(source)):
        raise DataError(
            f"There is no data set {str(source)!r}: expected emoji, a .npz or .mat file of features, {KINDS}."
        )
    if is_prepared(path):
        return read_prepared(
            path,
            text_encoder=text_encoder,
            image_encoder=image_encoder,
            duplicates=duplicates,
            cache=cache,
            progress=progress,
        )
    reading = reading or Reading()
    return source_dataset(
        reading.open(source),
        text_encoder=text_encoder,
        image_encoder=image_encoder,
        reading=reading,
        seed=seed,
        cache=cache,
        progress=progress,
    )
