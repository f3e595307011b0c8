"""crossbit calibrate, and the pairs that crossbit fit holds out for it: what a hasher's distances say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from crossbit.calibration import DEFAULT_RANDOM_PER_MATCH, LEAST_PAIRS, Calibration
from crossbit.calibration import calibrate as measure
from crossbit.cli.console import progress_shown, show, show_json, show_table, when_stopped
from crossbit.cli.data import check_encoders, data_seed, encoders_for, load_items
from crossbit.cli.options import AsJson, Data, DataSeed, HasherFile, KnownImageEncoder, KnownTextEncoder
from crossbit.cli.places import check_file_place
from crossbit.cli.reading import EVERYTHING, reads_source
from crossbit.datasets import Dataset, Reading
from crossbit.errors import SettingsError
from crossbit.hasher import Hasher
from crossbit.pairs import Rows, row_digests

SHARE = 0.05  # of the train rows, held out where enough of them are left
_ENOUGH = 200  # rows that training never sees: with so many, nothing more is held out
_MOST = 5000  # held-out pairs; more would not change the result
_OTHERS = 20_000  # database rows that random pairs are made with

RandomPerMatch = Annotated[
    float, typer.Option(help="Random items that stand beside each true match unless a search knows better.", min=0)
]


@reads_source
def calibrate(
    hasher: HasherFile,
    data: Data,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the hasher goes; without it, it is replaced.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All pairs of DATA are new to the hasher: use them all.")
    ] = False,
    random_per_match: RandomPerMatch = DEFAULT_RANDOM_PER_MATCH,
    seed: DataSeed = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    reading: Reading = EVERYTHING,
    as_json: AsJson = False,
) -> None:
    """Measure what a hasher's distances say, and store it in the hasher file.

    A distance becomes the probability of a true match. Measured on pairs of DATA that training never saw: those of
    the database that are no train rows, or with --all every pair. The codes and the fingerprint stay as they are.
    """
    place = out or hasher
    check_file_place(place)
    with when_stopped(f"Nothing was measured; {place} is as it was."), progress_shown() as progress:
        loaded = Hasher.load(hasher)
        chosen = data_seed(seed, loaded)
        encoders = encoders_for(loaded, text_encoder, image_encoder, hasher)
        dataset = load_items(data, progress, seed=chosen, reading=reading, **encoders)
        check_encoders(loaded, dataset)
        rows = np.arange(len(dataset)) if every else never_trained(dataset)
        if len(rows) < LEAST_PAIRS:
            raise SettingsError(
                f"{dataset.name} has {len(rows)} pairs that are in its database and not in its train rows; a "
                f"calibration needs {LEAST_PAIRS}. Give --all if the hasher never saw these pairs, or fit again with "
                "crossbit fit --calibrate 0.05."
            )
        calibrated = with_calibration(loaded, dataset, rows, chosen, random_per_match)
        calibrated.save(place)
    found = calibrated.calibration
    if found is None:  # it has just been put there
        raise AssertionError
    if as_json:
        show_json({"hasher": str(place), "fingerprint": calibrated.fingerprint(), "calibration": found.to_json()})
        return
    show_calibration(found)


def hold_out(dataset: Dataset, share: float | None, seed: int) -> tuple[Dataset, Rows]:
    """The data set without the train rows that calibration needs, and the rows to calibrate on; none for share 0.

    Database rows that are never trained on serve where there are enough of them. Else `share` of the train rows is
    held out; None is 0.05, and nothing where that would be too few. Raises SettingsError for a share that is too small.
    """
    if share == 0:
        return dataset, np.empty(0, np.int64)
    free = never_trained(dataset)
    if len(free) >= _ENOUGH:
        return dataset, _some(free, _MOST, seed)
    train = dataset.split.train
    count = min(round((SHARE if share is None else share) * len(train)), _MOST)
    if count < LEAST_PAIRS and share is None:
        return dataset, np.empty(0, np.int64)
    if count < LEAST_PAIRS:
        raise SettingsError(
            f"--calibrate {share:g} of {len(train)} train pairs are {count}; {LEAST_PAIRS} or more are needed. "
            "Hold out a larger share, or none (--calibrate 0)."
        )
    held = _some(train, count, seed)
    split = replace(dataset.split, train=np.setdiff1d(train, held))
    return replace(dataset, split=split), held


def with_calibration(
    hasher: Hasher, dataset: Dataset, rows: Rows, seed: int, random_per_match: float = DEFAULT_RANDOM_PER_MATCH
) -> Hasher:
    """The hasher calibrated on some rows, against other rows of the database; as it is where there are no rows."""
    if not len(rows):
        return hasher
    others = _some(np.setdiff1d(dataset.split.database, rows), _OTHERS, seed)
    found = measure(
        hasher,
        dataset.pairs[rows],
        others=dataset.pairs[others] if len(others) else None,
        random_per_match=random_per_match,
        seed=seed,
    )
    return hasher.with_calibration(found)


def never_trained(dataset: Dataset) -> Rows:
    """Database rows that are no train rows and whose content is in none."""
    free = np.setdiff1d(dataset.split.database, dataset.split.train)
    if not len(free):
        return free
    digests = row_digests(dataset.pairs)
    seen = {digests[row] for row in dataset.split.train}
    return free[[digests[row] not in seen for row in free]]


def show_calibration(found: Calibration) -> None:
    """What the distances say, for a few probabilities."""
    asked = (0.99, 0.9, 0.5, 0.1)
    rows = [[f"{p:g}", str(found.distance_for(p, "I2T")), str(found.distance_for(p, "T2I"))] for p in asked]
    columns = ["probability of a match", "I2T bits", "T2I bits"]
    show_table("The largest distance with a probability; -1: no distance has it", columns, rows, right=columns)
    show(
        f"One match to {found.random_per_match:g} random items; measured on {found.pairs} held-out pairs and "
        f"{found.random_pairs} random ones in each direction."
    )


def _some(rows: Rows, at_most: int, seed: int) -> Rows:
    if len(rows) <= at_most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, at_most, replace=False))
