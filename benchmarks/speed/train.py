"""Measure the training time and the peak memory of KDCMH, with others beside it in the same run as ratios.

    python benchmarks/speed/train.py

fashion6k, 64 bits, seed 0, one thread, one process at a time. The machine should be idle, since other work adds to
CPU seconds. Written to train.json.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from crossbit.experiment import read_result
from crossbit.files import write_whole

HERE = Path(__file__).resolve().parent
RUNNER = HERE.parent / "run_all.py"
METHODS = ("kdcmh", "jdsh", "djsrh", "cca-itq")
THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM")}


def main() -> int:
    """Run each method once and store what it took."""
    costs, details = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for method in METHODS:
            name = f"fashion6k/{method}/64-0"
            command = [sys.executable, str(RUNNER), "--results", folder, "--job", name]
            subprocess.run(command, env=os.environ | THREADS, check=True)
            details = dict(read_result(Path(folder) / f"{name}.json").details)
            costs[method] = details["cost"]
            print(f"{method}: {costs[method]['fit_cpu_seconds']} CPU s, {costs[method]['peak_memory_mib']} MiB")
    own = costs["kdcmh"]
    for cost in costs.values():
        cost["cpu_ratio"] = round(cost["fit_cpu_seconds"] / own["fit_cpu_seconds"], 3)
        cost["memory_ratio"] = round(cost["peak_memory_mib"] / own["peak_memory_mib"], 3)
    kept = {key: details[key] for key in ("machine", "versions", "date")}
    stored = {"data": "fashion6k", "n_bits": 64, "seed": 0, "methods": costs, **kept}
    write_whole(HERE / "train.json", (json.dumps(stored, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
