"""Choose one setting each of some methods by a written rule, and store it: python benchmarks/choose_single.py [METHOD]

These settings had been set with scores on queries in view. The rule that replaces this was written before it was run.
It sees training rows alone: of up to 2,000 of them a data set, a fifth is held out, the method is fitted on the others
with each candidate, and the held-out pairs judge it. The mean over the four data sets decides, each with the same
weight. As in choose_defaults.py, candidates within TOLERANCE of the greatest count as equal: then the present value
stays, or else the first listed is taken, the one nearest to what was published.

cmfh  ridge, of the projections. The port has 0. Judged without labels, by held_out.py's three measures.
ukd   related_share. The paper's is .555, found with labels. Judged likewise, with the settings of its experiments.
hcsr  start, which is no setting of it: from noise, as CMFH starts, or from principal components. It learns with
      labels, so the labels of the held-out training pairs may judge it: mAP@all of their codes among the fitted ones.

At 64 bits, seed 0. Fits are kept in the record; what it holds already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from choose_defaults import CHOICES, DATA, TOLERANCE, preferred, store
from crossbit.correlation import Matrix
from crossbit.evaluation import PALL, evaluate_codes
from crossbit.experiment import read_experiment
from crossbit.experiment.plan import build_method
from crossbit.experiment.run import machine, versions
from crossbit.hasher import Hasher
from crossbit.pairs import PairedFeatures
from held_out import AT_MOST, HERE, labelled_training_pairs, measures

CANDIDATES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "cmfh": ("ridge", (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)),
    "ukd": ("related_share", (0.555, 0.4, 0.3, 0.2, 0.1, 0.05)),
    "hcsr": ("start", ("noise", "components")),
}


def parted(name: str) -> tuple[PairedFeatures, PairedFeatures]:
    """The training pairs held out and those to fit on, the same ones as held_out.parted, with their labels."""
    pairs = labelled_training_pairs(name)
    order = np.random.default_rng(0).permutation(len(pairs))[:AT_MOST]
    return pairs[order[: len(order) // 5]], pairs[order[len(order) // 5 :]]


def without_labels(hasher: Hasher, held: PairedFeatures, kept: PairedFeatures) -> dict[str, float]:
    """own, overall and near of held_out.py, and their mean."""
    found = measures(hasher, held.without_labels(), kept.without_labels())
    return {**found, "mean": float(np.mean(list(found.values())))}


def by_training_labels(hasher: Hasher, held: PairedFeatures, kept: PairedFeatures) -> dict[str, float]:
    """mAP@all of held-out training pairs among the fitted ones, both ways; for methods that learn with labels."""
    assert held.labels is not None
    assert kept.labels is not None
    codes = [(hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text)) for pairs in (held, kept)]
    (score,) = evaluate_codes(*codes[0], *codes[1], held.labels, kept.labels, protocols=(PALL,)).scores
    return {"I2T": score.i2t, "T2I": score.t2i, "mean": score.mean}


JUDGES: dict[str, Callable[[Hasher, PairedFeatures, PairedFeatures], dict[str, float]]] = {
    "cmfh": without_labels,
    "ukd": without_labels,
    "hcsr": by_training_labels,
}


def fitted(name: str, data: str, value: Any, kept: PairedFeatures) -> Hasher:
    """The method as in its experiment on this data, with one candidate, learned from the pairs not held out."""
    setting = CANDIDATES[name][0]
    settings = {**settings_of(name, data), "n_bits": 64, "seed": 0}
    if setting != "start":
        return build_method(name, {**settings, setting: value}).fit(kept)
    if value == "components":
        return build_method(name, settings).fit(kept)
    with patch("crossbit.methods.hcsr.turned_components", noise):
        return build_method(name, settings).fit(kept)


def noise(rows: Matrix, n: int, generator: np.random.Generator) -> Matrix:
    """A start that knows nothing, in place of n principal components of the rows."""
    return generator.standard_normal((len(rows), n))


def settings_of(name: str, data: str) -> dict[str, Any]:
    """Where the method's experiment on this data departs from its defaults, but for what is chosen here."""
    settings = read_experiment(HERE / "experiments" / f"{name}-{data}.toml").settings
    return {key: value for key, value in settings.items() if key != CANDIDATES[name][0]}


def choose(name: str, record: dict[str, Any], path: Path) -> None:
    """Measure what the record lacks, and write the choice into it."""
    setting, candidates = CANDIDATES[name]
    runs: list[dict[str, Any]] = record.setdefault("runs", [])
    present = getattr(build_method(name, {}), setting, "components")
    for data in DATA:
        held, kept = parted(data)
        for value in candidates:
            if any((run["data"], run["value"]) == (data, value) for run in runs):
                continue
            found = JUDGES[name](fitted(name, data, value, kept), held, kept)
            runs.append({"data": data, "value": value, **{key: round(one, 6) for key, one in found.items()}})
            store(record, path)
            print(data, setting, value, round(found["mean"], 4), flush=True)
    means = {
        json.dumps(value): float(np.mean([run["mean"] for run in runs if run["value"] == value]))
        for value in candidates
    }
    before = record.setdefault("before", present)
    record |= {"mean": means, "chosen": json.loads(preferred(means, json.dumps(before), TOLERANCE))}
    store(record, path)
    print(name, setting, {key: round(mean, 4) for key, mean in means.items()}, "->", record["chosen"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", nargs="*", choices=[[], *CANDIDATES], help="all, unless named")
    for name in parser.parse_args().method or CANDIDATES:
        path = CHOICES / f"{name}.json"
        record = json.loads(path.read_text()) if path.is_file() else {}
        setting, candidates = CANDIDATES[name]
        about = {"method": name, "setting": setting, "candidates": candidates, "tolerance": TOLERANCE, "data": DATA}
        about |= {"at_most": AT_MOST, "judged": JUDGES[name].__name__, "versions": versions(), "machine": machine()}
        choose(name, {**record, **about}, path)


if __name__ == "__main__":
    main()
