"""The data of an experiment by its name, found in a folder; or what to prepare where it is absent."""

from __future__ import annotations

from pathlib import Path

from crossbit.datasets import Dataset, load_dataset
from crossbit.datasets.benchmarks import BENCHMARKS
from crossbit.datasets.dataset import FINE
from crossbit.datasets.prepared import MANIFEST, SPLITS
from crossbit.errors import DataError
from crossbit.progress import Progress, silent


def experiment_data(
    name: str, folder: Path, *, image_encoder: str = "efficientnet-lite0", progress: Progress = silent
) -> Dataset:
    """The data set of an experiment: emoji, FOLDER/NAME.npz, or a prepared folder with one of its splits.

    NAME-fine is NAME with relevance by its fine labels. A prepared folder is found as FOLDER/X where the experiment
    says X-SPLIT (mirflickr25k-tags-unsup); its texts are the bag of words, its pictures features of image_encoder or
    the rows of its image.npy. Queries' copies leave train and database.

    Raises DataError, saying what to prepare, where the data is absent.
    """
    if name == "emoji":
        return load_dataset(name, progress=progress)
    ready = folder / f"{name}.npz"
    if ready.is_file():
        return load_dataset(ready, duplicates="drop")
    if name.endswith(FINE) and (name == f"emoji{FINE}" or (folder / f"{name.removesuffix(FINE)}.npz").is_file()):
        return experiment_data(name.removesuffix(FINE), folder, progress=progress).by_fine_labels()
    prepared = _prepared(name, folder)
    if prepared is not None:
        return load_dataset(
            prepared, text_encoder="bag-of-words", image_encoder=image_encoder, duplicates="drop", progress=progress
        )
    raise DataError(how_to_get(name, folder))


def _prepared(name: str, folder: Path) -> Path | None:
    """The split file of a prepared folder that a name means, or the folder itself for its usual split."""
    if (folder / name / MANIFEST).is_file():
        return folder / name
    for path in sorted(folder.glob(f"*/{SPLITS}/*.json")):
        if f"{path.parent.parent.name}-{path.stem}" == name and (path.parent.parent / MANIFEST).is_file():
            return path
    return None


def how_to_get(name: str, folder: Path) -> str:
    """What to do for data that is absent, in a sentence or two."""
    for benchmark in BENCHMARKS.values():
        for variant, record in benchmark.records.items():
            place = f"{benchmark.name}-{variant}"
            if name == place or name.startswith(f"{place}-"):
                split = name.removeprefix(place).removeprefix("-") or next(iter(record.splits), "")
                told = f"its split {split}" if split else "the split that it ships"
                return (
                    f"{benchmark.title} is not in {folder}. Get its files from {benchmark.page}, unpack them, and run  "
                    f"crossbit data prepare {benchmark.name} --variant {variant} --from DOWNLOADS "
                    f"--out {folder / place}  "
                    f"(the experiment takes {told})."
                )
    return f"There is no {name}.npz and no prepared folder {name} in {folder}; say where data is with --data FOLDER."
