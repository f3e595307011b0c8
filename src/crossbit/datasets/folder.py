"""A folder of a person's own pictures, with a text file of the same name beside each."""

from __future__ import annotations

from pathlib import Path

from crossbit.datasets.dataset import Dataset
from crossbit.datasets.from_source import source_dataset
from crossbit.encoders import Encoder
from crossbit.errors import DataError
from crossbit.progress import Progress, silent
from crossbit.sources import open_source


def folder_dataset(
    folder: str | Path,
    *,
    text_encoder: str | Encoder = "minilm",
    image_encoder: str | Encoder = "efficientnet-lite0",
    seed: int = 0,
    cache: Path | None = None,
    progress: Progress = silent,
) -> Dataset:
    """A folder of captioned pictures as a Dataset: what `source_dataset` makes of it. Ids are paths below the folder.

    Raises DataError where there is no such folder and where it holds fewer than two pairs.
    """
    if not Path(folder).is_dir():
        raise DataError(f"There is no folder {folder}.")
    return source_dataset(
        open_source(folder),
        text_encoder=text_encoder,
        image_encoder=image_encoder,
        seed=seed,
        cache=cache,
        progress=progress,
    )
