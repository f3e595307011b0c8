"""Choose KDCMH's defaults without labels, and store what was compared: python benchmarks/choose_defaults.py

Two rules, both on training rows alone, labels taken away before anything is computed:

1. The walk (neighbours, edge_power; its length is fixed at 0.99, since a shorter walk agrees more with direct cosines
   by its nature). A similarity is trusted as far as its local neighbourhoods, walked over,
   agree with its direct cosines: the rank correlation between the two, as in `image_weight_of`. Chosen is the setting
   with the greatest mean over the data sets at hand.
2. The student, one setting at a time around the base. A fifth of the training pairs is held out of the student's
   training, not of the similarity. Measured is how well the codes of held-out pairs agree with the distilled
   similarity they never saw, over all other pairs (rank correlation with the Hamming distance) and near by (mean
   similarity of the 50 nearest), and how often a held-out picture has its own text among the first ten (recall@10
   among the held-out pairs); the mean of the three, over both directions and the data sets.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.stats import spearmanr

from crossbit.datasets import load_dataset
from crossbit.diffusion import diffuse, neighbour_graph
from crossbit.distillation import Target, image_weight_of, raw_similarity
from crossbit.evaluation.measures import pair_recall
from crossbit.files import write_whole
from crossbit.methods.kdcmh import KDCMH
from crossbit.pairs import PairedFeatures
from crossbit.similarity import off_diagonal

HERE = Path(__file__).resolve().parent
DATA = ("emoji", "fashion6k", "openclipart5k", "wiki")
WALKS = list(itertools.product((20, 50, 100, 200), (1.0, 3.0, 5.0, 8.0, 12.0), (0.99,)))
BASE = {"input_dropout": 0.3}  # where the student's settings were before the second rule chose; all else is the default
TOLERANCE = 0.002  # agreements so near are equal, and the setting that costs least (stands first) is taken
STUDENTS: list[dict[str, Any]] = [
    {},
    {"batch_size": 128},
    {"emphasis": 0.0},
    {"emphasis": 10.0},
    {"dropout": 0.3},
    {"input_dropout": 0.1},
    {"contrast": 0.0},
    {"contrast": 0.2},
    {"hidden": 1024},  # twice the time of all others
]


def training_pairs(name: str) -> PairedFeatures:
    """The training rows of a data set, without labels."""
    folder = Path(os.environ.get("CROSSBIT_DATA") or HERE.parents[1] / "shared" / "data")
    source = name if name == "emoji" else folder / f"{name}.npz"
    dataset = load_dataset(source, duplicates="drop") if name != "emoji" else load_dataset("emoji")
    return dataset.pairs[dataset.split.train].without_labels()


def walk_agreements(pairs: PairedFeatures, at_most: int = 2000) -> dict[str, float]:
    """The rank correlation of walk and direct similarity for every setting, on up to `at_most` random pairs."""
    weight = image_weight_of(pairs)
    chosen = pairs[np.random.default_rng(0).permutation(len(pairs))[:at_most]]
    fused = raw_similarity(chosen, weight)
    direct = off_diagonal(fused.rows(slice(None)))
    step = max(1, len(direct) // 200_000)
    found = {}
    for neighbours, power, walk in WALKS:
        graph = neighbour_graph(fused.rows, len(fused), neighbours, power)
        walked = off_diagonal(diffuse(graph, walk))
        found[f"{neighbours} {power:g} {walk}"] = float(spearmanr(walked[::step], direct[::step]).statistic)
    return found


def student_agreement(pairs: PairedFeatures, target: Target, settings: dict[str, Any]) -> float:
    """The agreement of held-out codes with the similarity they never saw."""
    order = np.random.default_rng(0).permutation(len(pairs))
    held, kept = order[: len(pairs) // 5], order[len(pairs) // 5 :]
    method = dataclasses.replace(KDCMH(), **{**BASE, **settings})
    within = Target(target.values[kept][:, kept], target.columns[: len(kept)])
    hasher = method.learn(pairs[kept], lambda _: method.taught_by(within))
    signs = [
        (hasher.encode_images(pairs[rows].image).signs(), hasher.encode_texts(pairs[rows].text).signs())
        for rows in (held, kept)
    ]
    wanted = target.values[held][:, kept].numpy().ravel()
    step = max(1, len(wanted) // 200_000)
    both = (signs[0][0] @ signs[1][1].T, signs[0][1] @ signs[1][0].T)
    overall = [spearmanr(one.ravel()[::step], wanted[::step]).statistic for one in both]
    values = target.values[held][:, kept].numpy()
    nearest = [np.argsort(-one, axis=1, kind="stable")[:, :50] for one in both]  # `kept` is in random order already
    near = [np.take_along_axis(values, rows, axis=1).mean() for rows in nearest]
    codes = [hasher.encode_images(pairs[held].image), hasher.encode_texts(pairs[held].text)]
    own = [
        pair_recall(*sides, rows=np.arange(len(held)), k=(10,))[0]
        for sides in ((codes[0], codes[1]), (codes[1], codes[0]))
    ]
    return float((np.mean(overall) + np.mean(near) + np.mean(own)) / 3)


def choice(rule: str, agreement: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The stored record: every agreement, their means over the data sets, and what the rule chooses."""
    keys = set.intersection(*(set(found) for found in agreement.values()))
    means = {key: float(np.mean([found[key] for found in agreement.values()])) for key in sorted(keys)}
    best = max(means.values())
    order = (
        [json.dumps(settings) for settings in STUDENTS]
        if rule == "student"
        else sorted(means, key=means.__getitem__)[::-1]
    )
    chosen = next(key for key in order if key in means and means[key] >= best - (TOLERANCE if rule == "student" else 0))
    return {"rule": rule, "base": BASE, "chosen": chosen, "mean": means, "agreement": agreement}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", choices=("walk", "student"), required=True)
    parser.add_argument("--data", nargs="*", default=DATA, help="data sets to measure on; none: rank what is stored")
    rule, names = parser.parse_args().rule, parser.parse_args().data
    path = HERE / "choices" / f"{rule}.json"
    stored: dict[str, dict[str, float]] = json.loads(path.read_text())["agreement"] if path.is_file() else {}
    for name in names:
        pairs = training_pairs(name)
        if rule == "walk":
            stored[name] = walk_agreements(pairs)
        else:
            method = KDCMH()
            target = method.distil(pairs, method.fit_teacher(pairs))
            stored[name] = {}
            for settings in STUDENTS:
                stored[name][json.dumps(settings)] = student_agreement(pairs, target, settings)
                print(name, settings, round(stored[name][json.dumps(settings)], 4), flush=True)
    record = choice(rule, stored)
    write_whole(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    for key, mean in sorted(record["mean"].items(), key=lambda item: -item[1]):
        print(f"{mean:.4f}  {key}{'  <- chosen' if key == record['chosen'] else ''}")


if __name__ == "__main__":
    main()
