"""Data sets: one file each, all loaded to the same record."""

from __future__ import annotations

from pathlib import Path

from crossbit.datasets.dataset import Dataset
from crossbit.datasets.emoji import emoji_dataset
from crossbit.datasets.features import read_features
from crossbit.errors import DataError
from crossbit.progress import Progress, silent

__all__ = ["Dataset", "emoji_dataset", "load_dataset", "read_features"]


def load_dataset(
    source: str | Path, *, text_encoder: str = "minilm", cache: Path | None = None, progress: Progress = silent
) -> Dataset:
    """A data set by name ("emoji"), or from a .npz file of ready features.

    text_encoder: "minilm" or "bag-of-words", for data sets that are encoded here. cache: where their features are
    kept, by default the user's cache folder. progress: steps of the encoding.

    Raises DataError for a source that is none of these, and what the loader of the source raises.
    """
    if source == "emoji":
        return emoji_dataset(text_encoder, cache, progress)
    path = Path(source)
    if path.suffix == ".npz":
        return read_features(path)
    raise DataError(f"{str(source)!r} is no data set: expected emoji, or the path of a .npz file of features.")
