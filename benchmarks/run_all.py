"""Measure everything that benchmarks/experiments asks for and that has no result that still holds.

    python benchmarks/run_all.py [--only data/method/bits ...] [--jobs 2] [--dry-run] [--force]

Every job runs in a process of its own with one thread. A job that fails is noted in benchmarks/results/failures.log
and the others go on. It may be stopped or killed at any time: what was finished stays, and the next call goes on.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crossbit.datasets import Dataset, load_dataset
from crossbit.datasets.dataset import FINE
from crossbit.errors import CrossbitError
from crossbit.experiment import Job, expected_of, read_experiments, read_result, run_job, why_due

HERE = Path(__file__).resolve().parent
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM")}
# Seconds of one job where no earlier result tells: rough, for the order and the first guess of the remaining time.
GUESS = {
    "random-projection": 1,
    "cca-sign": 2,
    "cca-itq": 3,
    "cvh": 3,
    "imh": 40,
    "pdh": 30,
    "cmfh": 10,
    "djsrh": 120,
    "jdsh": 350,
    "dcmh": 150,
    "kdcmh": 450,
    "sakdh": 110,
    "daeh": 55,
    "ucch": 40,
    "ugach": 40,
    "ukd": 70,
    "duch": 35,
    "jmgch": 35,
    "pldh": 35,
    "dchmt": 25,
    "dsph": 20,
    "mith": 50,
    "ckdh": 20,
    "dhsl": 30,
}
SHARE = {"emoji": 0.35, "openclipart5k": 0.85, "wiki": 0.35}  # of the time that fashion6k takes


def data_folder() -> Path:
    """Where the feature sets stand: the variable CROSSBIT_DATA, or shared/data beside the repository."""
    return Path(os.environ.get("CROSSBIT_DATA") or HERE.parents[1] / "shared" / "data")


def dataset_of(name: str) -> Dataset | None:
    """The data set of a name; None where its file is absent.

    Pairs with the content of a query leave the database: finding a copy of the query under another row number is no
    score. There are some in fashion6k and openclipart5k. NAME-fine is NAME with relevance by its fine labels.
    """
    if name == "emoji":
        return load_dataset(name)
    path = data_folder() / f"{name}.npz"
    if path.is_file():
        return load_dataset(path, duplicates="drop")
    if name.endswith(FINE) and (coarse := dataset_of(name.removesuffix(FINE))) is not None:
        return coarse.by_fine_labels()
    return None


@dataclass(frozen=True)
class Due:
    """A job to run, why, and about how long it takes."""

    job: Job
    why: str
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What there is to do."""

    due: list[Due]
    done: int
    skipped: list[str]


def plan(jobs: list[Job], results: Path, *, force: bool, any_source: bool) -> Plan:
    """Compare the jobs with the stored results."""
    due, skipped, datasets = [], [], dict[str, Dataset | None]()
    for job in jobs:
        name = job.experiment.data
        if name not in datasets:
            datasets[name] = dataset_of(name)
            if datasets[name] is None:
                skipped.append(f"{name}: no {name}.npz in {data_folder()}; set CROSSBIT_DATA to the folder it is in")
        dataset = datasets[name]
        if dataset is None:
            continue
        path = job.result_path(results)
        try:
            why = "forced" if force else why_due(path, expected_of(job, dataset), any_source=any_source)
        except (CrossbitError, ImportError) as error:
            skipped.append(f"{name}/{job.experiment.row}/{job.n_bits}-{job.seed}: {error}")
            continue
        if why:
            due.append(Due(job, why, seconds_of(job, path)))
    n_left_out = sum(datasets[job.experiment.data] is None for job in jobs)
    n_broken = len(skipped) - sum(dataset is None for dataset in datasets.values())
    done = len(jobs) - len(due) - n_left_out - n_broken
    return Plan(sorted(due, key=turn), done, skipped)


def seconds_of(job: Job, path: Path) -> float:
    """What the job took last time, or a guess."""
    try:
        return float(read_result(path).details["cost"]["fit_wall_seconds"]) + 5
    except (CrossbitError, KeyError):
        return GUESS.get(job.experiment.method, 1) * SHARE.get(job.experiment.data, 1) + 3


def turn(due: Due) -> tuple[object, ...]:
    """Cheap jobs first; then a whole table at 64 bits, at 16, at the other lengths; then the further seeds."""
    job = due.job
    lengths = {64: 0, 16: 1}
    return due.seconds > 30, job.seed, lengths.get(job.n_bits, 2), bool(job.experiment.ablation), due.seconds, job.name


def chosen(jobs: list[Job], patterns: list[str]) -> list[Job]:
    """The jobs under one of the patterns: emoji, emoji/kdcmh, emoji/kdcmh/64, */kdcmh@*/64-0."""
    if not patterns:
        return jobs

    def fits(name: str, pattern: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern + tail) for tail in ("", "/*", "-*"))

    return [job for job in jobs if any(fits(job.name, pattern) for pattern in patterns)]


def run_one(name: str, experiments: Path, results: Path) -> None:
    """Run one job in this process and write its result."""
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    (job,) = [job for job in all_jobs(experiments) if job.name == name]
    dataset = dataset_of(job.experiment.data)
    if dataset is None:
        raise SystemExit(f"{job.experiment.data}.npz is not in {data_folder()}.")
    run_job(job, dataset).write(job.result_path(results))


def end_with_parent(parent: int) -> None:
    """End this process when the one that started it is gone: a killed runner leaves no job behind."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def all_jobs(experiments: Path) -> list[Job]:
    """Every job of every experiment file."""
    return [job for experiment in read_experiments(experiments) for job in experiment.jobs()]


@dataclass(frozen=True)
class Finished:
    """A job's end: its seconds, and its error or ""."""

    due: Due
    seconds: float
    error: str


def run_many(due: list[Due], n_processes: int, experiments: Path, results: Path) -> Iterator[Finished]:
    """Run the jobs, so many processes at a time; yield each when it ends."""
    waiting, running = list(due), dict[int, tuple[Due, subprocess.Popen[str], float]]()
    own = [sys.executable, str(Path(__file__).resolve()), "--experiments", str(experiments), "--results", str(results)]
    try:
        while waiting or running:
            while waiting and len(running) < n_processes:
                item = waiting.pop(0)
                process = subprocess.Popen(
                    [*own, "--job", item.job.name],
                    env=os.environ | ONE_THREAD,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                running[process.pid] = (item, process, time.monotonic())
            for pid, (item, process, start) in list(running.items()):
                try:
                    _, error = process.communicate(timeout=0.1)
                except subprocess.TimeoutExpired:
                    continue
                del running[pid]
                failure = "" if process.returncode == 0 else error.strip() or f"ended with {process.returncode}"
                yield Finished(item, time.monotonic() - start, failure)
    finally:
        for _, process, _ in running.values():
            process.kill()
            process.wait()


def run_plan(planned: Plan, n_processes: int, experiments: Path, results: Path) -> int:
    """Run what is due, say how it goes and how long it will still take; return how many jobs failed."""
    left, failures, guessed, taken = sum(item.seconds for item in planned.due), 0, 0.0, 0.0
    for number, end in enumerate(run_many(planned.due, n_processes, experiments, results), 1):
        left, guessed, taken = left - end.due.seconds, guessed + end.due.seconds, taken + end.seconds
        minutes = left * (taken / guessed) / n_processes / 60
        state = f"FAILED: {end.error.splitlines()[-1]}" if end.error else score_line(end.due.job, results)
        head = f"[{number}/{len(planned.due)}, about {minutes:.0f} min left]"
        print(f"{head} {end.due.job.name} in {end.seconds:.0f} s: {state}", flush=True)
        if end.error:
            failures += 1
            with (results / "failures.log").open("a", encoding="utf-8") as log:
                log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {end.due.job.name}\n{end.error}\n\n")
    return failures


def score_line(job: Job, results: Path) -> str:
    """The means of a result, for the eye."""
    scores = read_result(job.result_path(results)).scores
    return ", ".join(f"{protocol} {score['mean']:.4f}" for protocol, score in scores.items())


def main() -> int:
    """Plan, show or run; the exit code is 1 when a job failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="data, data/method or data/method/bits; * fits any"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (2)")
    parser.add_argument("--dry-run", action="store_true", help="show what is due and why, run nothing")
    parser.add_argument("--force", action="store_true", help="measure again what has a result that holds")
    parser.add_argument("--any-source", action="store_true", help="let results stand though the code changed since")
    parser.add_argument("--experiments", type=Path, default=HERE / "experiments", help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, default=HERE / "results", help=argparse.SUPPRESS)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run_one(options.job, options.experiments, options.results)
        return 0
    jobs = chosen(all_jobs(options.experiments), options.only)
    options.results.mkdir(parents=True, exist_ok=True)
    planned = plan(jobs, options.results, force=options.force, any_source=options.any_source)
    for line in planned.skipped:
        print(f"skipped: {line}")
    minutes = sum(item.seconds for item in planned.due) / options.jobs / 60
    print(f"{len(jobs)} jobs: {planned.done} done, {len(planned.due)} due, about {minutes:.0f} minutes", flush=True)
    if options.dry_run:
        for item in planned.due:
            print(f"  {item.job.name} ({item.why})")
        return 0
    return 1 if run_plan(planned, options.jobs, options.experiments, options.results) else 0


if __name__ == "__main__":
    sys.exit(main())
