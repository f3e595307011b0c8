"""Choose KDCMH's defaults without labels, and store what was compared: python benchmarks/choose_defaults.py --rule NAME

Two rules, written down before they were run. All see training rows alone, labels taken away before anything is
computed, and no query row. The mean over the four data sets decides, each with the same weight.

graph   The neighbour graph (neighbours, edge_power), with the walk's length at 0.99. A similarity is trusted as far as
        its local neighbourhoods, walked over, agree with its direct cosines: the rank correlation between the two, as
        in `image_weight_of`. Chosen is the greatest.
settings  The teacher, its part in the similarity, and the student, one setting after the other in the order of
        SETTINGS, from the defaults that stood before. Each candidate is judged by held-out pairs (see held_out.py).
        Chosen is the greatest mean, and the next setting starts from there. Candidates within TOLERANCE of the
        greatest count as equal: then the present value stays, or else the first listed (the cheapest) is taken. The
        student's work (epochs x hidden / batch_size) may at most double, the time limit of a fit; dearer candidates
        are left out. teacher_share = 0 is no candidate, since then nothing is distilled. The last three settings were
        added to the list later, before they were run; until then they had been set by hand. What is not in SETTINGS
        keeps its neutral value (mu = 1, within = 1, each modality and both together alike in teacher_weights) or the
        usual one (weight_decay).

On up to 2,000 pairs a data set, at 64 bits, with seed 0. A rule that is broken off goes on where it was.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy.stats import spearmanr

from crossbit.diffusion import diffuse, neighbour_graph
from crossbit.distillation import image_weight_of, raw_similarity
from crossbit.experiment.run import machine, versions
from crossbit.files import write_whole
from crossbit.methods.kdcmh import KDCMH
from crossbit.pairs import PairedFeatures
from crossbit.similarity import off_diagonal
from held_out import AT_MOST, Settings, judged, training_pairs

CHOICES = Path(__file__).resolve().parent / "choices"
DATA = ("emoji", "fashion6k", "openclipart5k", "wiki")
TOLERANCE = 0.003
GRAPHS = list(itertools.product((20, 50, 100, 200), (1.0, 3.0, 5.0, 8.0, 12.0)))
SETTINGS: list[tuple[str, tuple[Any, ...]]] = [
    ("teacher.n_bits", (64, 128)),
    ("teacher.epochs", (15, 30)),
    ("teacher_slope", (1.0, 5.0, 10.0)),
    ("teacher_share", (0.25, 0.5, 0.75)),
    ("hidden", (512, 1024)),
    ("batch_size", (128, 64)),
    ("epochs", (30, 60)),
    ("learning_rate", (1e-3, 2e-3, 4e-3)),
    ("alpha_growth", (0.0, 0.1, 0.3)),
    ("dropout", (0.3, 0.5)),
    ("input_dropout", (0.1, 0.3)),
    ("emphasis", (0.0, 4.0, 10.0)),
    ("contrast", (0.0, 0.1, 0.2)),
    ("temperature", (0.1, 0.2, 0.5)),
    ("walk", (0.9, 0.95, 0.98, 0.99, 0.995)),
    ("teacher.hidden", (512, 1024, 2048)),
    ("guide_teacher", (False, True)),
]
"""The settings in the order in which they are chosen, each with its candidates, the cheapest first."""


def some_pairs(name: str) -> PairedFeatures:
    """Up to AT_MOST random training pairs."""
    pairs = training_pairs(name)
    return pairs[np.random.default_rng(0).permutation(len(pairs))[:AT_MOST]]


def rank_correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    """Of the entries off the diagonals, thinned to some 200,000."""
    step = max(1, first.numel() // 200_000)
    return float(spearmanr(off_diagonal(first)[::step], off_diagonal(second)[::step]).statistic)


def graph_agreements(name: str) -> dict[str, float]:
    """The rank correlation of walk and direct similarity for every graph."""
    pairs = some_pairs(name)
    fused = raw_similarity(pairs, image_weight_of(pairs))
    direct, found = fused.rows(slice(None)), {}
    for neighbours, power in GRAPHS:
        graph = neighbour_graph(fused.rows, len(fused), neighbours, power)
        found[f"{neighbours} {power:g}"] = rank_correlation(diffuse(graph, 0.99), direct)
    return found


def preferred(means: dict[str, float], present: str, tolerance: float) -> str:
    """The key with the greatest mean; of those as good, the present one, or else the first."""
    good = [key for key, mean in means.items() if mean >= max(means.values()) - tolerance]
    return present if present in good else good[0]


def with_value(settings: Settings, name: str, value: Any) -> Settings:
    """The settings with one changed; "teacher.epochs" reaches into the teacher's."""
    outer, _, inner = name.partition(".")
    return {**settings, outer: {**settings[outer], inner: value} if inner else value}


def value_of(settings: Settings, name: str) -> Any:
    """The value of a setting."""
    outer, _, inner = name.partition(".")
    return settings[outer][inner] if inner else settings[outer]


def work(settings: Settings) -> float:
    """What the student's training costs, up to a constant."""
    return float(settings["epochs"] * settings["hidden"] / settings["batch_size"])


def choose_settings(record: dict[str, Any], path: Path, pool: Executor) -> None:
    """Walk over SETTINGS and fill the record; what it holds already is not measured again."""
    base: Settings = record.setdefault("base", KDCMH().settings())
    current, record["steps"] = base, []
    for name, candidates in SETTINGS:
        tried = {json.dumps(value): with_value(current, name, value) for value in candidates}
        tried = {key: settings for key, settings in tried.items() if work(settings) <= 2 * work(base)}
        means = {key: judged_everywhere(settings, record, path, pool) for key, settings in tried.items()}
        chosen = preferred(means, json.dumps(value_of(current, name)), TOLERANCE)
        current = tried[chosen]
        record["steps"].append({"setting": name, "mean": means, "chosen": json.loads(chosen)})
        record["chosen"] = current
        store(record, path)
        print(name, {key: round(mean, 4) for key, mean in means.items()}, "->", chosen, flush=True)


def judged_everywhere(settings: Settings, record: dict[str, Any], path: Path, pool: Executor) -> float:
    """The mean over the data sets, from the record or measured now."""
    runs: list[dict[str, Any]] = record.setdefault("runs", [])
    changed = {key: value for key, value in settings.items() if value != record["base"][key]}
    known = {run["data"]: run for run in runs if run["changed"] == changed}
    missing = [name for name in DATA if name not in known]
    for name, found in zip(missing, pool.map(judged, missing, [settings] * len(missing)), strict=True):
        known[name] = {"changed": changed, "data": name, **{key: round(v, 6) for key, v in found.items()}}
        runs.append(known[name])
        store(record, path)
    return float(np.mean([known[name]["mean"] for name in DATA]))


def compare() -> dict[str, Any]:
    """The record of the rule that needs no fit: every agreement, their means, and what is chosen."""
    agreement = {name: graph_agreements(name) for name in DATA}
    means = {key: float(np.mean([found[key] for found in agreement.values()])) for key in agreement[DATA[0]]}
    return {
        "mean": means,
        "agreement": agreement,
        "chosen": max(means, key=means.__getitem__),
        "settings": KDCMH().settings(),
    }


def store(record: dict[str, Any], path: Path) -> None:
    write_whole(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", choices=("graph", "settings"), required=True)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (2)")
    options = parser.parse_args()
    path = CHOICES / f"{options.rule}.json"
    about = {"rule": options.rule, "tolerance": TOLERANCE, "at_most": AT_MOST}
    about |= {"versions": versions(), "machine": machine(), "data": DATA}
    if options.rule == "settings":
        record = json.loads(path.read_text()) if path.is_file() else {}
        with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
            choose_settings({**record, **about}, path, pool)
        return
    found = {**about, **compare()}
    store(found, path)
    for key, mean in sorted(found["mean"].items(), key=lambda item: -item[1]):
        print(f"{mean:.4f}  {key}{'  <- chosen' if key == found['chosen'] else ''}")


if __name__ == "__main__":
    main()
