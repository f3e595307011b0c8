"""What codes say of themselves without labels: signs of collapse, and whether a pair's two codes agree at all."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from crossbit import tables
from crossbit.experiment import Result
from crossbit.methods import METHODS


def monitor_table(results: Sequence[Result], n_bits: int) -> str:
    """A row a method, a column a data set: paired distance, pair rank and the smaller share of unique codes."""
    shown = [r for r in results if r.n_bits == n_bits and r.row in METHODS and r.details.get("monitors")]
    if not shown:
        return tables.NOTHING
    columns = tables.ordered({result.data for result in shown}, tables.DATA_SETS)
    rows = [
        [row, *(_cell([r for r in shown if (r.row, r.data) == (row, data)]) for data in columns)]
        for row in tables.ordered({result.row for result in shown}, list(METHODS))
    ]
    return tables.markdown([f"{n_bits} bits", *columns], rows)


def _cell(found: Sequence[Result]) -> str:
    monitors = [result.details["monitors"] for result in found]
    if not monitors:
        return "n/a"
    figures = (
        [one["paired_distance"] for one in monitors],
        [one["pair_rank"] for one in monitors],
        [min(one["unique_image"], one["unique_text"]) for one in monitors],
    )
    return ", ".join(f"{statistics.fmean(values):.2f}" for values in figures)
