"""Data sets as the commands load them."""

from __future__ import annotations

from crossbit.datasets import Dataset, load_dataset
from crossbit.errors import SplitError
from crossbit.progress import Progress


def load_data(source: str, progress: Progress, *, drop_duplicates: bool) -> Dataset:
    """The data set of a name or path. drop_duplicates: take what a query repeats out of train and database.

    Raises what the loader raises; a split with such repetitions is refused with a word on --drop-duplicates.
    """
    try:
        return load_dataset(source, duplicates="drop" if drop_duplicates else "refuse", progress=progress)
    except SplitError as error:
        raise SplitError(str(error).replace('duplicates="drop"', "--drop-duplicates")) from error


def load_items(source: str, progress: Progress) -> Dataset:
    """A data set whose pairs are wanted and whose split is not: repetitions within it do not matter."""
    return load_data(source, progress, drop_duplicates=True)
