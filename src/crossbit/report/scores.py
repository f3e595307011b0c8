"""Tables of stored results as grids: no column holds numbers under two protocol ids."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from crossbit.experiment import Result
from crossbit.experiment.references import REFERENCES
from crossbit.methods import METHODS
from crossbit.report.grid import Grid
from crossbit.tables import DATA_SETS, mean_and_spread, ordered, protocol_id

DIRECTIONS = ("mean", "I2T", "T2I")
SIDES = {False: "learned without labels", True: "learned with labels"}
"""What learns with labels never stands among what learns without: they answer two questions."""


def presets_of(results: Sequence[Result]) -> list[str]:
    """The protocols that any result was scored under, as they come."""
    return list(dict.fromkeys(preset for result in results for preset in result.scores))


def lengths_of(results: Sequence[Result]) -> list[int]:
    """The code lengths there are; references without codes have none."""
    return sorted({result.n_bits for result in results if result.n_bits})


def score_grids(results: Sequence[Result], presets: Sequence[str], lengths: Sequence[int]) -> list[Grid]:
    """One table a protocol, code length and side: a row a method, both directions and their mean of every data set.

    The sides are those who learn without labels, with the references, and those who learn with them.

    Raises MismatchError where the results of one column stand under two protocol ids, naming them.
    """
    grids = []
    for preset in presets:
        for n_bits in lengths:
            of_length = [r for r in results if r.n_bits in (0, n_bits) and preset in r.scores]
            for side in SIDES:
                shown = [result for result in of_length if result.supervised == side]
                if any(result.n_bits for result in shown):
                    grids.append(_scores(shown, preset, n_bits))
    return grids


def _scores(shown: Sequence[Result], preset: str, n_bits: int) -> Grid:
    columns = ordered({result.data for result in shown}, DATA_SETS)
    ids = {data: protocol_id([r for r in shown if r.data == data], preset) for data in columns}
    names = ordered({result.row for result in shown}, [*REFERENCES, *METHODS])
    rows, values = [], list[list[float | None]]()
    for row in names:
        cells, figures = [row], list[float | None]([None])
        for data in columns:
            own = [result.scores[preset] for result in shown if (result.row, result.data) == (row, data)]
            for way in DIRECTIONS:
                scores = [score[way] for score in own]
                cells.append(mean_and_spread(scores) if scores else "n/a")
                figures.append(statistics.fmean(scores) if scores and row not in REFERENCES else None)
        rows.append(tuple(cells))
        values.append(figures)
    header = (f"{n_bits} bits", *(f"{data} {way}" for data in columns for way in DIRECTIONS))
    return Grid(
        f"{preset}, {n_bits} bits, {SIDES[shown[0].supervised]}",
        header,
        tuple(rows),
        ("protocol id", *(ids[data] for data in columns for _ in DIRECTIONS)),
        _best(values),
        tuple(f"{name}: {note}" for name, note in sorted({(r.row, r.details.get("note", "")) for r in shown}) if note),
    )


def _best(values: Sequence[Sequence[float | None]]) -> frozenset[tuple[int, int]]:
    """The highest of every column, where two or more methods stand in it."""
    found = set()
    for column in range(1, len(values[0]) if values else 0):
        there = [(own[column] or 0.0, row) for row, own in enumerate(values) if own[column] is not None]
        if len(there) > 1:
            found |= {(row, column) for value, row in there if value == max(there)[0]}
    return frozenset(found)


def cost_grids(results: Sequence[Result]) -> list[Grid]:
    """Bytes a code, CPU seconds and peak memory of the fits, means over seeds, a table a side where any were noted."""
    grids = []
    for side, told in SIDES.items():
        shown = [result for result in results if "cost" in result.details and result.supervised == side]
        rows = []
        for data, row, n_bits in sorted({(r.data, r.row, r.n_bits) for r in shown}):
            costs = [r.details["cost"] for r in shown if (r.data, r.row, r.n_bits) == (data, row, n_bits)]
            seconds = statistics.fmean(cost["fit_cpu_seconds"] for cost in costs)
            memory = statistics.fmean(cost["peak_memory_mib"] for cost in costs)
            rows.append((row, data, str(n_bits), str(-(-n_bits // 8)), f"{seconds:.1f}", f"{memory:.0f}"))
        header = ("method", "data", "bits", "bytes a code", "CPU seconds of the fit", "peak MiB")
        if rows:
            grids.append(Grid(f"What it takes, {told}", header, tuple(rows)))
    return grids
