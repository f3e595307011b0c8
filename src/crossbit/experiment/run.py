"""Run one job: fit, measure what it took, evaluate, and return the result."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import crossbit
from crossbit.datasets import Dataset
from crossbit.evaluation import PROTOCOLS, PairScores, Scores, code_proxies
from crossbit.evaluation.protocol import with_data
from crossbit.evaluation.records import Curves, Evaluation
from crossbit.experiment.plan import Job
from crossbit.experiment.references import REFERENCES
from crossbit.experiment.result import Result
from crossbit.experiment.scoring import scores_of
from crossbit.experiment.state import expected_of
from crossbit.hasher import Hasher
from crossbit.pairs import PairedFeatures, Split
from crossbit.progress import Progress, silent

ENOUGH_PAIRS = 200  # of the database, outside train, for figures of pairs that were not learned from


def run_job(job: Job, dataset: Dataset, *, progress: Progress = silent) -> Result:
    """Fit the job's method on the train rows, evaluate on query and database, and note what it took.

    Only the fit is timed, with the memory of the whole process at its end; so run one job in a process, and set the
    number of threads by OMP_NUM_THREADS. Raises whatever the method or the evaluation raises.
    """
    pairs, split, method = dataset.pairs, dataset.split, job.method()
    presets, expected = job.experiment.protocols, expected_of(job, dataset)
    measured: Mapping[str, Scores | PairScores]
    details = about_job(job, dataset)
    before, wall, cpu = peak_memory_mib(), time.perf_counter(), time.process_time()
    if method is None:
        protocols = [PROTOCOLS[preset] for preset in presets]
        measured = dict(zip(presets, REFERENCES[job.experiment.method](pairs, split, protocols), strict=True))
    else:
        hasher = method.fit(pairs[split.train], progress=progress)
        details |= {
            "settings": method.settings(),
            "supervised": method.supervised,
            "cost": {
                "fit_wall_seconds": round(time.perf_counter() - wall, 2),
                "fit_cpu_seconds": round(time.process_time() - cpu, 2),
                "peak_memory_mib": round(peak_memory_mib()),
                "memory_before_fit_mib": round(before),
                "threads": int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count(),
            },
            "hasher": hasher.fingerprint(),
        }
        measured, evaluation = scores_of(hasher, dataset, presets)
        details |= {"report": figures(hasher), "proxies": unlabelled(hasher, pairs, split)}
        details |= {} if evaluation is None else both_ways(evaluation)
        if lengths := getattr(method, "prefixes", ()):
            parts = {n: scores_of(hasher.prefix(n), dataset, presets)[0] for n in lengths}
            details["prefixes"] = {
                str(n): {preset: stored(one, expected) for preset, one in part.items()} for n, part in parts.items()
            }
    details |= {
        "pairs": {name: len(getattr(split, name)) for name in ("train", "query", "database")},
        "versions": versions(),
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
    }
    scores = {preset: stored(score, expected) for preset, score in measured.items()}
    return Result(job.experiment.data, job.experiment.row, job.n_bits, job.seed, scores, expected, details)


def about_job(job: Job, dataset: Dataset) -> dict[str, Any]:
    """What a result says of its job besides the numbers."""
    return {"method": job.experiment.method, "note": job.experiment.note, "encoders": dict(dataset.encoders)}


def unlabelled(hasher: Hasher, pairs: PairedFeatures, split: Split) -> dict[str, Any]:
    """The proxies of an evaluation without labels, and of which pairs they are.

    Where the database has ENOUGH_PAIRS that were not learned from, those ("on": "database"); else train pairs ("on":
    "train"), which flatter methods that learn by heart. Never queries.
    """
    new = np.setdiff1d(split.database, split.train)
    rows, name = (new, "database") if len(new) >= ENOUGH_PAIRS else (split.train, "train")
    seen = pairs.without_labels()[rows]
    figures = code_proxies(hasher.encode_images(seen.image), hasher.encode_texts(seen.text), seen).to_json()
    kept = {key: round(value, 6) for key, value in figures.items() if value is not None}
    return {"on": name, **kept}


def both_ways(evaluation: Evaluation) -> dict[str, Any]:
    """What a result keeps of an evaluation by labels besides the scores."""
    curves = {"I2T": evaluation.i2t_curves, "T2I": evaluation.t2i_curves}
    found = {way: curve for way, curve in curves.items() if curve}
    return {
        "monitors": evaluation.monitor.to_json() if evaluation.monitor else {},
        "pair_recall": {way: recalls(curve) for way, curve in found.items()},
        "curves": {way: drawn(curve) for way, curve in found.items()},
    }


def recalls(curves: Curves) -> dict[str, float]:
    """How often a query's own pair is among the first k, by k."""
    return {str(k): round(value, 6) for k, value in curves.pair_recall}


def drawn(curves: Curves) -> dict[str, Any]:
    """What plots need of one direction: precision among the first N, and precision and recall by radius."""
    precision = [None if math.isnan(value) else round(value, 5) for value in curves.precision]
    at = {str(n): round(value, 5) for n, value in curves.precision_at}
    return {"precision_at": at, "precision": precision, "recall": [round(value, 5) for value in curves.recall]}


def stored(scores: Scores | PairScores, expected: Mapping[str, str]) -> dict[str, Any]:
    """Scores as a result keeps them: mAP both ways and their mean, under the protocol's id, which names the data."""
    values = {"I2T": scores.i2t, "T2I": scores.t2i, "mean": scores.mean}
    named = with_data(scores.protocol_id, expected["data"])
    return {"protocol_id": named, **{key: round(value, 6) for key, value in values.items()}}


def figures(hasher: Hasher) -> dict[str, Any]:
    """The single figures of what training noted; its curves would make a result long."""
    kept = {key: value for key, value in hasher.report.items() if isinstance(value, str | int | float | bool)}
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in kept.items()}


def versions() -> dict[str, str]:
    """The versions of what was at work, and the commit, with a plus where the source differed from it."""
    found = {"crossbit": crossbit.__version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "torch"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found | {"commit": _commit(Path(__file__).resolve().parent)}


def _commit(folder: Path) -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain", "--", "..") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> Mapping[str, Any]:
    """The processor and the number of cores; no name of the machine."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return {"processor": name, "cores": os.cpu_count(), "system": platform.system()}


def peak_memory_mib() -> float:
    """The largest memory this process has held, in MiB.

    Linux tells it in /proc/self/status; getrusage there starts from the parent's peak, so it serves elsewhere only.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1024**2 if sys.platform == "darwin" else 1024)
