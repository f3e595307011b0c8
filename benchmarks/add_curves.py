"""Add curves to results that were stored before curves were kept; nothing else in them changes.

    python benchmarks/add_curves.py [--only data/method/bits ...] [--dry-run]

The job is fitted again. Only if that gives the very hasher whose scores are stored, by its fingerprint, are precision
among the first N and precision against recall written beside them. May be stopped at any time; the next call goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from crossbit.datasets import Dataset
from crossbit.evaluation import PROTOCOLS, evaluate
from crossbit.experiment import Job, read_result
from crossbit.experiment.run import drawn
from crossbit.files import write_whole
from run_all import HERE, all_jobs, chosen, dataset_of

RESULTS = HERE / "results"


def lacks_curves(path: Path) -> bool:
    """Whether a result is stored and has no curves; references without codes have none by nature."""
    return path.is_file() and "hasher" in (details := read_result(path).details) and "curves" not in details


def add(job: Job, dataset: Dataset, path: Path) -> str:
    """Fit again and add the curves; what came of it in words."""
    method = job.method()
    if method is None:
        return "a reference without codes"
    hasher = method.fit(dataset.pairs[dataset.split.train])
    content = json.loads(path.read_text(encoding="utf-8"))
    details = content["details"]
    if hasher.fingerprint() != details["hasher"]:
        return f"NOT ADDED: this fit is another hasher ({hasher.fingerprint()}, stored {details['hasher']})"
    protocols = [PROTOCOLS[preset] for preset in job.experiment.protocols]
    found = evaluate(hasher, dataset.pairs, dataset.split, protocols)
    details["curves"] = {way: drawn(c) for way, c in (("I2T", found.i2t_curves), ("T2I", found.t2i_curves)) if c}
    write_whole(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    return "added"


def main() -> int:
    """Add what is missing, one job after the other; the exit code is 1 where a fit was another hasher."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="as for run_all.py")
    parser.add_argument("--dry-run", action="store_true", help="show what lacks curves, fit nothing")
    options = parser.parse_args()
    jobs = [
        job for job in chosen(all_jobs(HERE / "experiments"), options.only) if lacks_curves(job.result_path(RESULTS))
    ]
    print(f"{len(jobs)} results without curves", flush=True)
    datasets: dict[str, Dataset | None] = {}
    failed = 0
    for job in jobs if not options.dry_run else []:
        name = job.experiment.data
        if name not in datasets:
            datasets[name] = dataset_of(name)
        dataset, start = datasets[name], time.monotonic()
        told = "no data" if dataset is None else add(job, dataset, job.result_path(RESULTS))
        failed += told.startswith("NOT")
        print(f"{job.name} in {time.monotonic() - start:.0f} s: {told}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
