"""Data sets as the commands load them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from crossbit.cli.console import show
from crossbit.datasets import Dataset, load_dataset
from crossbit.datasets.folder import Files
from crossbit.encoders import Skipped
from crossbit.errors import SplitError
from crossbit.hasher import Hasher
from crossbit.progress import Progress

TextEncoder = Literal["minilm", "bag-of-words"]


def load_data(
    source: str,
    progress: Progress,
    *,
    drop_duplicates: bool,
    text_encoder: TextEncoder = "minilm",
    seed: int = 0,
) -> Dataset:
    """The data set of a name or path. drop_duplicates: take what a query repeats out of train and database.

    text_encoder: reads the words of what is encoded here; a .npz file has its features already. seed: draws the split
    of a folder, and with it the train captions whose words are the vocabulary of a bag of words.

    Raises what the loader raises; a split with such repetitions is refused with a word on --drop-duplicates.
    """
    try:
        duplicates = "drop" if drop_duplicates else "refuse"
        return load_dataset(source, text_encoder=text_encoder, duplicates=duplicates, seed=seed, progress=progress)
    except SplitError as error:
        raise SplitError(str(error).replace('duplicates="drop"', "--drop-duplicates")) from error


def load_items(source: str, progress: Progress, *, text_encoder: TextEncoder = "minilm", seed: int = 0) -> Dataset:
    """A data set whose pairs are wanted and whose split is not: repetitions within it do not matter."""
    return load_data(source, progress, drop_duplicates=True, text_encoder=text_encoder, seed=seed)


def left_out(dataset: Dataset) -> tuple[Skipped, ...]:
    """The items that are not among a data set's pairs. (Of a .npz file only rows of its split are ever left out.)"""
    return dataset.skipped if isinstance(dataset.pictures, Files) else ()


def show_left_out(skipped: Sequence[Skipped]) -> None:
    """A line on what was left out, where something was."""
    if skipped:
        show(f"Left out: {len(skipped)}, the first: {skipped[0].reason}")


def listed(skipped: Sequence[Skipped]) -> list[dict[str, Any]]:
    """What was left out as plain values."""
    return [{"row": skip.row, "reason": skip.reason} for skip in skipped]


def text_encoder_of(hasher: Hasher) -> TextEncoder:
    """The text encoder whose features a hasher takes: data is encoded for a hasher as what it was fitted on was."""
    return "bag-of-words" if hasher.encoders.get("text", "").startswith("bag-of-words-") else "minilm"


def data_seed(seed: int | None, hasher: Hasher) -> int:
    """The seed that draws from data for a hasher: as given, else the one it was fitted with: both draw alike."""
    return int(hasher.settings.get("seed", 0)) if seed is None else seed
