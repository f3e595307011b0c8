"""Write the splits that the stored results were measured on as files, each under its id.

python benchmarks/publish_splits.py      into benchmarks/splits; a data set whose file is absent is left out
"""

from __future__ import annotations

import sys
from pathlib import Path

from crossbit.evaluation.split_file import PublishedSplit
from run_all import dataset_of

SPLITS = Path(__file__).resolve().parent / "splits"
RULES: dict[str, tuple[str, int | None]] = {
    "emoji": ("drawn by crossbit.datasets.emoji.draw_split; all but the queries are database and train", 0),
    "fashion6k": ("as the feature file has it, without what repeats a query", None),
    "openclipart5k": ("as the feature file has it, without what repeats a query", None),
    "wiki": ("as the data set ships it: 2,173 train pairs, which are the database, and 693 queries", None),
}


def main() -> int:
    """Write one file a data set."""
    for name, (rule, seed) in RULES.items():
        dataset = dataset_of(name)
        if dataset is None:
            print(f"{name}: its file is not here")
            continue
        split = PublishedSplit(dataset.split, name, dataset.pairs.fingerprint(), rule, seed)
        split.write(SPLITS / f"{name}.json")
        print(f"{name}: {split.id}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
