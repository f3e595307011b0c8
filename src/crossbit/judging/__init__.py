"""Judging codes from any tool: read them, say what they are, score them under every convention, and warn."""

from crossbit.judging.arrays import read_arrays
from crossbit.judging.health import CodeHealth, code_health
from crossbit.judging.judge import CONVENTIONS, Convention, Direction, Judgement, judge
from crossbit.judging.layout import ROLES, Sides, find_sides
from crossbit.judging.leaks import (
    Finding,
    batch_leaks,
    content_leaks,
    hasher_leaks,
    label_leaks,
    order_leaks,
    row_leaks,
    selection_leaks,
)
from crossbit.judging.values import Warned

__all__ = [
    "CONVENTIONS",
    "ROLES",
    "CodeHealth",
    "Convention",
    "Direction",
    "Finding",
    "Judgement",
    "Sides",
    "Warned",
    "batch_leaks",
    "code_health",
    "content_leaks",
    "find_sides",
    "hasher_leaks",
    "judge",
    "label_leaks",
    "order_leaks",
    "read_arrays",
    "row_leaks",
    "selection_leaks",
]
