"""Data sets: one file each, all loaded to the same record."""

from __future__ import annotations

from pathlib import Path

from crossbit.datasets.dataset import Dataset
from crossbit.datasets.emoji import emoji_dataset
from crossbit.datasets.features import read_features
from crossbit.datasets.folder import PictureFolder, folder_dataset, read_folder
from crossbit.encoders import Encoder
from crossbit.errors import DataError
from crossbit.progress import Progress, silent

__all__ = [
    "Dataset",
    "PictureFolder",
    "emoji_dataset",
    "folder_dataset",
    "load_dataset",
    "read_features",
    "read_folder",
]


def load_dataset(
    source: str | Path,
    *,
    text_encoder: str | Encoder = "minilm",
    image_encoder: str | Encoder = "efficientnet-lite0",
    duplicates: str = "refuse",
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """A data set by name ("emoji"), from a .npz file of ready features, or from a folder of captioned pictures.

    text_encoder, image_encoder: by name (see `crossbit.encoders.load_text_encoder`) or as they are, for data sets that
    are encoded here. duplicates: what a .npz file whose queries stand in the database too gives, see `read_features`.
    seed: draws the split of a folder; the other two have theirs. cache: where features are kept, by default the user's
    cache folder. progress: steps of the encoding.

    Raises DataError for a source that is none of these, and what the loader of the source raises.
    """
    if source == "emoji":
        return emoji_dataset(text_encoder, cache, progress, image_encoder=image_encoder)
    path = Path(source)
    if path.suffix == ".npz":
        return read_features(path, duplicates=duplicates)
    if path.is_dir():
        return folder_dataset(
            path, text_encoder=text_encoder, image_encoder=image_encoder, seed=seed, cache=cache, progress=progress
        )
    raise DataError(
        f"There is no data set {str(source)!r}: expected emoji, the path of a .npz file of features, "
        "or a folder of pictures with .txt captions."
    )
