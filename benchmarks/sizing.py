"""What a billion items take, computed from the figures of speed/scale.json, with the arithmetic in the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crossbit import tables

STORED = Path(__file__).resolve().parent / "speed" / "scale.json"
BILLION = 1_000_000_000
SECONDS = 0.1  # what a query of a batch may take, where nodes are counted
CORES = 32  # of a node
Row = dict[str, Any]


def stored() -> dict[str, Any] | None:
    """The stored figures, or None where there are none."""
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else None


def scan_table() -> str:
    """A billion codes on machines of one's own, compared one by one."""
    if (found := stored()) is None:
        return tables.NOTHING
    rows = []
    largest = max(row["n"] for row in found["rows"] if row["what"] == "exact")
    for row in found["rows"]:
        if row["what"] == "exact" and row["n"] == largest:
            n_bits, times = row["n_bits"], BILLION // largest
            lone, batch = row["lone_milliseconds"] / 1e3 * times, row["batch_milliseconds"] / 1e3 * times
            rows += [
                [f"{n_bits} bits: bytes", f"10^9 x {n_bits} / 8", f"{BILLION * n_bits // 8 / 1e9:.0f} GB"],
                [
                    f"{n_bits} bits: lone query, one core",
                    f"{row['lone_milliseconds']:.2f} ms at {largest:,} x {times}",
                    f"{lone:.2f} s",
                ],
                [
                    f"{n_bits} bits: query of a batch of {row['batch']}, one core",
                    f"{row['batch_milliseconds']:.2f} ms at {largest:,} x {times}",
                    f"{batch:.2f} s",
                ],
                [
                    f"{n_bits} bits: nodes of {CORES} cores for {SECONDS * 1e3:.0f} ms a query of a batch",
                    f"{batch:.2f} s / {SECONDS} s / {CORES} cores",
                    f"{max(1, -(-batch // (SECONDS * CORES))):.0f}",
                ],
            ]
    return tables.markdown(["what", "arithmetic", "one billion"], rows)


def encoding_table() -> str:
    """The time that the codes of a billion feature rows take, and the bytes that are read for them."""
    if (found := stored()) is None:
        return tables.NOTHING
    rows = []
    for row in found["rows"]:
        if row["what"] == "encode" and "rows_per_cpu_second" in row:
            rate = row["rows_per_cpu_second"]
            rows.append(
                [row["hasher"], f"10^9 / {rate:,} rows a CPU second / 3600", f"{BILLION / rate / 3600:.2f} core hours"]
            )
    width = found["width"]
    rows.append(["features read", f"10^9 x {width} x 4 bytes", f"{BILLION * width * 4 / 1e12:.1f} TB"])
    return tables.markdown(["hasher", "arithmetic", "one billion"], rows)


def workers_table() -> str:
    """The same features encoded by two workers, started anew: wall seconds of one run."""
    if (found := stored()) is None:
        return tables.NOTHING
    rows = [
        [row["hasher"], row["by"], f"{row['wall_seconds']:.1f}"]
        for row in found["rows"]
        if row["what"] == "encode" and "wall_seconds" in row
    ]
    return tables.markdown(["hasher", "by", f"seconds for {found['rows_encoded']:,} rows, start included"], rows)


def engines_table() -> str:
    """Engines beside crossbit: measured at their size, and what a billion would take one node by exact scan."""
    if (found := stored()) is None:
        return tables.NOTHING
    rows = []
    for row in found["rows"]:
        if row["what"] == "engine" and "left_out" not in row:
            times = BILLION // row["n"]
            rows.append(
                [
                    row["engine"],
                    f"{row['rows_written_per_second']:,}",
                    f"{BILLION / row['rows_written_per_second'] / 3600:.1f}",
                    f"{row['lone_milliseconds']:.1f}",
                    f"{row['batch_milliseconds']:.2f}",
                    f"{row['batch_milliseconds'] / row['batch_milliseconds_of_exact_index']:.0f}",
                    f"{row['batch_milliseconds'] / 1e3 * times:,.0f}",
                ]
            )
    header = ["engine", "rows written a second", "hours for a billion", "ms, lone query", "ms, query of a batch"]
    return tables.markdown([*header, "times `ExactIndex`", "s, query of a batch among a billion"], rows)


def origin() -> str:
    """Where and when the figures were measured."""
    if (found := stored()) is None:
        return tables.NOTHING
    machine, load = found["machine"], ", ".join(map(str, found["load"]))
    return (
        f"{machine['processor']}, {machine['cores']} cores, {found['date']}, commit {found['versions']['commit']}, "
        f"load of 1, 5 and 15 minutes {load}; made by `python benchmarks/speed/scale.py`."
    )
