"""How far what can be told without labels goes with mAP: python benchmarks/proxies.py [--minutes 20]

What is measured, and the rule, were written down before any figure was seen.

A fifth of a data set's training pairs is held out by seed 0. A method is fitted on the others, its proxies are taken of
the held-out pairs (`crossbit.evaluation.code_proxies`, with weighted CCA fitted on the same pairs as the teacher of
all) and, in the cells of methods, of as many pairs it was fitted on, to see what is lost without holding out. Queries,
database and labels are used for the mAP alone, which nothing is chosen by. Two kinds of cell:

methods   the unsupervised methods, and their ablations, on one data set at one code length, each with the settings of
          its experiment file, seed 0. mAP is the stored one (benchmarks/results), of the fit on all training pairs.
settings  one method on one data set at 64 bits: its settings as they are, and random draws from the spaces that
          `crossbit tune` searches. mAP is that of the very hasher that was judged.

Fits are run in this order, since time was short: settings of methods whose stored fit took at most 1.5 CPU seconds,
methods at 16 bits (at most 1 second), settings of the other methods, methods at 64 bits (at most 12 seconds); within
settings one draw of every cell after the other, those of kdcmh first. What is left out is left out by cost alone. A
method as it is in a cell of settings also counts in the cell of methods. (The order and the limits were changed three
times for the time there was; 79 methods at 64 bits had been run before. No figure had been seen.) Cells of settings
with fewer than 5 fits and cells of methods with fewer than 8 are not counted. kdcmh and its ablations on one data set
are shown as a cell of their own, of which the rule takes no notice.

The rule for the proxy that `crossbit tune` uses: Spearman's correlation with the mean of both mAP@all in each cell; the
greatest mean over the cells of `settings`, where settings of one method are told apart, which is what tuning does. Of
those within .02 of the greatest, the greatest mean over the cells of `methods`. teacher_agreement, to a teacher that
one would have to choose first, is measured and not eligible.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from crossbit.datasets import Dataset
from crossbit.evaluation import PALL, code_proxies, mean_average_precision
from crossbit.experiment import read_experiments, read_results
from crossbit.experiment.plan import build_method
from crossbit.experiment.run import machine, versions
from crossbit.files import write_whole
from crossbit.hasher import Hasher
from crossbit.method import Method
from crossbit.methods.cca_sign import CCASign
from crossbit.pairs import PairedFeatures
from crossbit.tuning.spaces import Choice, Space, Value, spaces_of, with_values
from run_all import dataset_of

HERE = Path(__file__).resolve().parent
STORED = HERE / "proxies.json"
LIMITS = {64: 12.0, 16: 1.0}  # CPU seconds of the stored fit
QUICK = 1.5  # the same, of settings that come first
SWEEPS = (
    *((name, data) for name in ("cca-itq", "cmfh") for data in ("emoji", "fashion6k", "openclipart5k", "wiki")),
    *((name, "wiki") for name in ("imh", "fsh", "djsrh", "kdcmh")),
)
DRAWS = 10
SEED = 0


@dataclass(frozen=True)
class Fit:
    """One fit to judge. changed: what departs from the settings of the experiment, in a sweep."""

    kind: str
    data: str
    row: str
    n_bits: int
    seconds: float
    number: int = 0
    changed: Mapping[str, Value] = field(default_factory=dict)

    @property
    def key(self) -> list[Any]:
        return [self.kind, self.data, self.row, self.n_bits, self.number]


def planned() -> list[Fit]:
    """All fits in the order of the protocol, the cheap ones of each part first."""
    told = {
        (r.data, r.row, r.n_bits): r.details["cost"]["fit_cpu_seconds"]
        for r in read_results(HERE / "results")
        if r.seed == SEED and "cost" in r.details
    }
    rows = [(e.data, e.row) for e in read_experiments(HERE / "experiments") if not e.is_reference]
    parts: dict[int, list[Fit]] = {}
    for n_bits, limit in LIMITS.items():
        known = [(told.get((data, row, n_bits), limit + 1), data, row) for data, row in rows]
        fits = [Fit("methods", data, row, n_bits, seconds) for seconds, data, row in known if seconds <= limit]
        parts[n_bits] = sorted((fit for fit in fits if not method_of(fit).supervised), key=lambda fit: fit.seconds)
    sweeps = [fit for name, data in SWEEPS for fit in drawn(name, data, told[data, name, 64])]
    sweeps.sort(key=lambda fit: (fit.row != "kdcmh", fit.number, fit.seconds))
    quick, slow = ([fit for fit in sweeps if (fit.seconds <= QUICK) == wanted] for wanted in (True, False))
    return [*quick, *parts[16], *slow, *parts[64]]


def drawn(name: str, data: str, seconds: float) -> Iterator[Fit]:
    """The settings as they are, and DRAWS random ones, the same for every data set."""
    generator = np.random.default_rng(SEED)
    spaces = spaces_of(build_method(name, {}))
    for number in range(DRAWS + 1):
        changed = {key: value_in(space, generator) for key, space in spaces.items()} if number else {}
        yield Fit("settings", data, name, 64, seconds, number, changed)


def value_in(space: Space, generator: np.random.Generator) -> Value:
    """A random value of a space."""
    if isinstance(space, Choice):
        return space.values[int(generator.integers(len(space.values)))]
    low, high = (np.log(space.low), np.log(space.high)) if space.log else (space.low, space.high)
    value = float(generator.uniform(low, high))
    value = float(np.exp(value)) if space.log else value
    return round(value) if space.whole else float(f"{value:.4g}")


@functools.cache
def experiments() -> dict[tuple[str, str], Any]:
    return {(one.data, one.row): one for one in read_experiments(HERE / "experiments")}


def method_of(fit: Fit) -> Method:
    """The method of a fit with all its settings."""
    experiment = experiments()[fit.data, fit.row]
    settings = {**experiment.settings, "n_bits": fit.n_bits, "seed": SEED}
    return with_values(build_method(experiment.method, settings), fit.changed)


@functools.cache
def loaded(name: str) -> Dataset:
    dataset = dataset_of(name)
    if dataset is None:
        raise SystemExit(f"{name}.npz is not at hand; set CROSSBIT_DATA to its folder.")
    return dataset


@functools.cache
def parted(name: str) -> tuple[PairedFeatures, PairedFeatures]:
    """The pairs held out and those to fit on, without labels."""
    dataset = loaded(name)
    pairs = dataset.pairs.without_labels()[dataset.split.train]
    order = np.random.default_rng(SEED).permutation(len(pairs))
    return pairs[order[: len(order) // 5]], pairs[order[len(order) // 5 :]]


@functools.cache
def teacher_on(name: str) -> Hasher:
    return CCASign(n_bits=64).fit(parted(name)[1])


def judged(fit: Fit) -> dict[str, Any]:
    """The proxies of held-out and of seen pairs, and the mAP of the same hasher."""
    held, kept = parted(fit.data)
    began = time.process_time()
    hasher = method_of(fit).fit(kept)
    seconds = time.process_time() - began
    found = {}
    judged_on = {"held_out": held} | ({"seen": kept[: len(held)]} if fit.kind == "methods" else {})
    for name, pairs in judged_on.items():
        codes = hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text)
        figures = code_proxies(*codes, pairs, teacher=teacher_on(fit.data)).to_json()
        found[name] = {
            key: value if key == "n_pairs" or value is None else round(value, 6) for key, value in figures.items()
        }
    own = {way: round(value, 6) for way, value in scored(hasher, loaded(fit.data)).items()}
    about = {"kind": fit.kind, "data": fit.data, "row": fit.row, "n_bits": fit.n_bits, "number": fit.number}
    return {**about, "changed": dict(fit.changed), "fit_cpu_seconds": round(seconds, 2), **found, "PALL": own}


def scored(hasher: Hasher, dataset: Dataset) -> dict[str, float]:
    """mAP@all both ways; the one place where labels are read."""
    pairs, split, labels = dataset.pairs, dataset.split, dataset.pairs.labels
    if labels is None:
        raise SystemExit(f"{dataset.name} has no labels to score by.")
    image, text = (
        [encode(side[rows]) for rows in (split.query, split.database)]
        for encode, side in ((hasher.encode_images, pairs.image), (hasher.encode_texts, pairs.text))
    )
    rest = (labels[split.query], labels[split.database], PALL)
    return {
        "I2T": mean_average_precision(image[0], text[1], *rest, threads=1),
        "T2I": mean_average_precision(text[0], image[1], *rest, threads=1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="begin no fit after so many minutes (20)")
    parser.add_argument("--dry-run", action="store_true", help="say what there is to do")
    options = parser.parse_args()
    record: dict[str, Any] = json.loads(STORED.read_text()) if STORED.is_file() else {"fits": []}
    known = [[one[key] for key in ("kind", "data", "row", "n_bits", "number")] for one in record["fits"]]
    due = [fit for fit in planned() if fit.key not in known]
    print(f"{len(known)} done, {len(due)} due, {sum(fit.seconds for fit in due) / 60:.0f} minutes of fits", flush=True)
    began = time.monotonic()
    for number, fit in enumerate(due, 1):
        if options.dry_run or time.monotonic() - began > 60 * options.minutes:
            break
        try:
            record["fits"].append(judged(fit))
        except FloatingPointError as error:  # a draw that cannot be learned with is a finding too
            record.setdefault("failed", []).append({"key": fit.key, "why": str(error)})
        store(record)
        print(f"[{number}/{len(due)}] {fit.key}", flush=True)
    store(record)


def store(record: dict[str, Any]) -> None:
    """The first run says with what it was made; source changed while it goes on moves no fit of the process."""
    record["protocol"] = (__doc__ or "").strip()
    record.setdefault("versions", versions())
    record.setdefault("machine", machine())
    write_whole(STORED, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
