"""The table that says which differences between methods are real, from stored results alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from crossbit import tables
from crossbit.evaluation.differences import Differences, compare
from crossbit.experiment import Result
from crossbit.methods import METHODS

LENGTHS = (16, 32, 64, 128)
LEVEL = 0.05


def cells(results: Sequence[Result], preset: str) -> dict[str, list[float]]:
    """Method -> its seed-0 score in every cell (data set, code length), for methods that have all cells."""
    names = [f"{data} {n_bits}" for data in tables.DATA_SETS for n_bits in LENGTHS]
    found: dict[str, dict[str, float]] = {}
    for result in results:
        if result.row in METHODS and result.seed == 0 and preset in result.scores:
            found.setdefault(result.row, {})[f"{result.data} {result.n_bits}"] = result.scores[preset]["mean"]
    return {row: [own[name] for name in names] for row, own in found.items() if set(names) <= set(own)}


def difference_table(results: Sequence[Result], preset: str) -> str:
    """Methods by mean rank; how many each is surely above and below, and which it is not told apart from."""
    for data in tables.DATA_SETS:
        shown = [r for r in results if r.data == data and r.row in METHODS and preset in r.scores]
        if shown:
            tables.protocol_id(shown, preset)
    scores = cells(results, preset)
    if len(scores) < 3:
        return tables.NOTHING
    found = compare(scores, level=LEVEL)
    order = sorted(found.ranks, key=lambda row: found.ranks[row])
    rows = [_row(found, row, order, statistics.fmean(scores[row])) for row in order]
    header = ["method", "mean rank", "mean mAP", "surely above", "surely below", "not told apart from"]
    told = (
        f"{len(order)} methods over {found.n_cells} cells (data set and code length), seed 0. Friedman's test that all "
        f"are alike: p = {found.friedman:.1g}. Mean ranks that differ by less than {found.critical:.1f} are not told "
        f"apart by Nemenyi's rule, which looks at ranks alone. The columns use the sharper paired test: Wilcoxon's "
        f"signed ranks at {LEVEL} after Holm's correction for all {len(found.p)} pairs."
    )
    return tables.markdown(header, rows) + "\n\n" + told


def _row(found: Differences, row: str, order: Sequence[str], mean: float) -> list[str]:
    others = [other for other in order if other != row]
    apart = [other for other in others if found.told_apart(row, other, LEVEL)]
    above = sum(found.gain(row, other) > 0 for other in apart)
    alike = ", ".join(other for other in others if other not in apart) or "none"
    return [row, f"{found.ranks[row]:.1f}", f"{mean:.3f}", str(above), str(len(apart) - above), alike]
