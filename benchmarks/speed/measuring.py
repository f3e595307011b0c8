"""How the searches are measured and stored: seconds of calls in turn, and rows in a file beside this one."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import crossbit
from crossbit.files import write_whole

HERE = Path(__file__).resolve().parent
Row = dict[str, Any]
MILLION = 1_000_000
CLUSTERED = "clustered.py, seed 0: clustered codes, 1,000 held-out queries"


def fastest(*calls: Callable[[], Any], times: int = 3, clock: Callable[[], float] = time.process_time) -> list[float]:
    """Seconds of each call, the fastest of several, the calls in turn."""
    seconds = [float("inf")] * len(calls)
    for _ in range(times):
        for number, call in enumerate(calls):
            begin = clock()
            call()
            seconds[number] = min(seconds[number], clock() - begin)
    return seconds


def store(rows: list[Row], file: str = "search.json", data: str = CLUSTERED) -> None:
    """Write rows into a file beside this one, with the data they were measured on, the machine and the versions."""
    import faiss
    import llvmlite
    import numba

    processor = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    versions = {"crossbit": crossbit.__version__, "numpy": np.__version__, "numba": numba.__version__}
    versions |= {"llvmlite": llvmlite.__version__, "faiss": faiss.__version__, "python": platform.python_version()}
    stored = {
        "data": data,
        "machine": {"processor": processor, "cores": os.cpu_count()},
        "versions": versions,
        "date": datetime.now(UTC).date().isoformat(),
        "rows": rows,
    }
    write_whole(HERE / file, (json.dumps(stored, indent=1) + "\n").encode())
