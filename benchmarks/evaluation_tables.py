"""Tables of docs/protocols.md, from what speed/evaluation.py stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from crossbit import tables
from crossbit.evaluation import LITERATURE

STORED = Path(__file__).resolve().parent / "speed" / "evaluation.json"


def blocks() -> dict[str, Callable[[], str]]:
    """Every block of the document by its name."""
    return {"table evaluation": speed_table, "table literature": literature_table}


def literature_table() -> str:
    """The protocols of the literature: who reports by them, on which splits, and where released code departs."""
    header = ["preset", "reported by", "splits", "what the released codes do otherwise"]
    rows = [
        [
            f"`{name}`",
            ", ".join(used.used_by),
            ". ".join(f"{data}: {split}" for data, split in used.splits),
            used.departs,
        ]
        for name, used in LITERATURE.items()
    ]
    return tables.markdown(header, rows, figures=False)


def speed_table() -> str:
    """One direction of mAP@all on one thread, beside the usual loop, and the million items."""
    if not STORED.is_file():
        return tables.NOTHING
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    of = {what: [row for row in stored["rows"] if row["what"] == what] for what in ("mAP@all", "million", "same value")}
    rows = [
        [
            f"{r['n']:,}",
            str(r["n_bits"]),
            f"{r['seconds']:.2f}",
            f"{r['loop_seconds']:.1f}",
            f"{r['ratio_to_loop']:.0f}",
        ]
        for r in of["mAP@all"]
    ]
    rows += [[f"{r['n']:,}", str(r["n_bits"]), f"{r['seconds']:.2f}", "", ""] for r in of["million"]]
    table = tables.markdown(["database", "bits", "seconds", "the usual loop", "times faster"], rows)
    (same,) = of["same value"]
    apart = max(same["largest_difference_without_ties"], same["difference_in_order_of_rows"])
    memory = max(r["peak_mib_added"] for r in of["million"])
    told = (
        f"CPU seconds of one thread, 2,000 queries, 24 classes. Where nothing ties, or ties stand in row order, "
        f"the values differ by {apart:.0e} at most. A million items take up to {memory} MiB beside their codes and "
        f"labels. {stored['machine']['processor']}, {stored['date']}."
    )
    return f"{table}\n\n{told}"
