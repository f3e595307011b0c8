"""The tables of docs/service.md, from what was measured of the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crossbit import tables

HERE = Path(__file__).resolve().parent
SPEED, DURABILITY = HERE / "speed" / "service.json", HERE / "service_durability.json"
COLUMNS = ("crossbit", "faiss", "faiss with metadata", "crossbit by words")


def _stored(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def origin() -> str:
    """Where the figures come from."""
    found = _stored(SPEED)
    if found is None:
        return tables.NOTHING
    told, versions = found["protocol"], found["versions"]
    servers = ", ".join(f"{name} {versions[name]}" for name in ("fastapi", "uvicorn", "uvloop", "httptools"))
    return (
        f"{found['machine']['processor']}, {found['machine']['cores']} cores, {found['date']}, commit "
        f"{versions['commit']}, faiss {versions['faiss-cpu']}, for both {servers}; {told['n_bits']}-bit codes, k = "
        f"{told['k']}, {told['seconds']:g} s a run. Load average at the end {found['load_average'][0]:g}: the machine "
        "was shared, so compare the services, not machines. The driver ran on the same cores."
    )


def latency() -> str:
    """Latency and rate by size, users and service."""
    found = _stored(SPEED)
    if found is None:
        return tables.NOTHING
    rows = []
    for run in found["runs"]:
        for key in (name for name in run if name.startswith("users")):
            for column in COLUMNS:
                one = run[key][column]
                size, users = f"{run['items']:,}", key.removeprefix("users ")
                figures = [f"{one[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms")]
                rows.append([size, users, column, *figures, f"{one['rate']:.0f}", str(one.get("failed", 0))])
    header = ["items", "users", "service", "p50 ms", "p95 ms", "p99 ms", "answers a second", "failed"]
    return tables.markdown(header, rows)


def ratios() -> str:
    """The service's own figures divided by those of the other one."""
    found = _stored(SPEED)
    if found is None:
        return tables.NOTHING
    rows = []
    for run in found["runs"]:
        for key in (name for name in run if name.startswith("users")):
            own, other = run[key]["crossbit"], run[key]["faiss"]
            shown = [f"{own[name] / other[name]:.2f}" for name in ("p50_ms", "p99_ms", "rate")]
            whole = f"{own['rate'] / run[key]['faiss with metadata']['rate']:.2f}"
            rows.append([f"{run['items']:,}", key.removeprefix("users "), *shown, whole])
    header = ["items", "users", "p50, FAISS = 1", "p99, FAISS = 1", "rate, FAISS = 1", "rate, FAISS with metadata = 1"]
    return tables.markdown(header, rows)


def operation() -> str:
    """Cold start, memory, and the mixed load."""
    found = _stored(SPEED)
    if found is None:
        return tables.NOTHING
    rows = [
        [
            f"{run['items']:,}",
            f"{run['seconds_to_ready']:.1f}",
            *(f"{run['memory_mib'][name]:.0f}" for name in ("after warm-up", "largest", "at the end")),
        ]
        for run in found["runs"]
    ]
    header = ["items", "seconds to ready", "MiB after warm-up", "MiB at most", "MiB at the end"]
    lines = [tables.markdown(header, rows)]
    for run in found["runs"]:
        if "mixed load" in run:
            one = run["mixed load"]
            lines.append(
                f"Mixed load over {run['items']:,} items: {one['searches']} searches beside {one['adds']} adds and "
                f"{one['deletes']} deletes; answers unlike an exact index over the items of the moment: "
                f"{one['answers unlike an exact index']}."
            )
    return "\n\n".join(lines)


def durability() -> str:
    """What kill -9 did."""
    found = _stored(DURABILITY)
    if found is None:
        return tables.NOTHING
    damage = "and `crossbit check` finds nothing wrong" if not found["damage_found_by_check"] else "and damage is found"
    return (
        f"{found['kills']} times kill -9 while {found['clients']} clients added and removed: "
        f"{found['acknowledged_items']} acknowledged items and {found['acknowledged_removals']} removals, "
        f"{found['lost_or_returned']} lost or returned, {damage} ({found['date']})."
    )
