"""crossbit evaluate CODES: codes from any tool, under every convention that goes by the name of mAP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from crossbit.cli.console import show, show_json, show_table, when_stopped
from crossbit.judging import Direction, Judgement, find_sides, judge, read_arrays


def judge_files(files: Sequence[Path], named: Mapping[str, str | None], *, as_json: bool) -> None:
    """Read, judge and tell. named: role -> the array's name, where the person gave one."""
    with when_stopped("Evaluating writes nothing."):
        sides = find_sides(read_arrays(files), {role: name for role, name in named.items() if name is not None})
        judged = judge(sides)
    if as_json:
        show_json(judged.to_json())
        return
    told = ", ".join(f"{role} from {name}" for role, name in judged.names.items())
    show(f"{judged.n_queries:,} queries against {judged.n_database:,} items, {judged.n_bits} bits: {told}.")
    for direction in judged.directions:
        _show_direction(direction)
    _show_codes(judged)
    for warned in judged.warnings:
        show(f"Warning ({warned.what}): {warned.told}")


def _show_direction(direction: Direction) -> None:
    figures = ["best ties", "expected", "worst ties", "random"]
    rows = [
        [
            one.name,
            *(f"{value:.4f}" for value in (one.best, one.expected, one.worst, one.random)),
            one.protocol_id,
        ]
        for one in direction.conventions
    ]
    show_table(direction.name, ["convention", *figures, "protocol id"], rows, right=figures)
    precisions = ", ".join(f"@{n} {value:.4f}" for n, value in direction.precision_at.items())
    show(f"Precision {precisions}; {direction.without_relevant:,} queries have nothing relevant.")


def _show_codes(judged: Judgement) -> None:
    figures = ["balanced bits", "constant", "twins", "unique codes", "correlation of bits", "effective rank"]
    rows = [
        [
            role,
            f"{one.balanced:.0%}",
            str(one.constant),
            str(one.twins),
            f"{one.unique:.1%}",
            f"{one.correlation:.3f}",
            f"{one.effective_rank:.3f}",
        ]
        for role, one in judged.health.items()
    ]
    show_table("Codes", ["", *figures], rows, right=figures)
    if judged.monitor is not None:
        show(
            f"The two codes of a pair differ in {judged.monitor.paired_distance:.0%} of bits; a pair's rank is "
            f"{judged.monitor.pair_rank:.3f} (0 is always first, .5 is chance)."
        )
