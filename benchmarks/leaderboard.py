"""The leaderboard of the README: two protocols, the spread over seeds, and what a fit takes, from stored results."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence

from crossbit import tables
from crossbit.experiment import Result

COSTS_ON = "fashion6k"  # the set whose fits take longest


def leaderboard(results: Sequence[Result], labelled: Collection[str]) -> str:
    """mAP@all at 64 bits with the costs of a fit, then mAP@50 at 64 bits, then mAP@all at 16 bits."""
    main = tables.score_table(results, "PALL", 64, labelled=labelled, notes=False)
    if main == tables.NOTHING:
        return main
    others = [
        f"{title}:\n\n{tables.score_table(results, preset, n_bits, labelled=labelled, notes=False)}"
        for title, preset, n_bits in (("mAP@50", "P50", 64), ("mAP@all", "PALL", 16))
    ]
    return "\n\n".join(["mAP@all, and what a fit takes:", with_costs(main, results, 64), *others])


def with_costs(table: str, results: Sequence[Result], n_bits: int) -> str:
    """A score table with two more columns: CPU seconds and peak MiB of a fit, the means over seeds."""
    head, rule, *rows = table.splitlines()
    made = [f"{head} {COSTS_ON}: CPU seconds | peak MiB |", f"{rule} ---: | ---: |"]
    for row in rows:
        name = row.split("|")[1].strip()
        costs = [
            r.details["cost"]
            for r in results
            if (r.row, r.data, r.n_bits) == (name, COSTS_ON, n_bits) and "cost" in r.details
        ]
        seconds = f"{statistics.fmean(cost['fit_cpu_seconds'] for cost in costs):.1f}" if costs else ""
        peak = f"{statistics.fmean(cost['peak_memory_mib'] for cost in costs):.0f}" if costs else ""
        made.append(f"{row} {seconds} | {peak} |")
    return "\n".join(made)
