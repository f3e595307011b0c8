"""Judging codes from any tool: read them, say what they are, score them under every convention, and warn."""

from crossbit.judging.arrays import read_arrays
from crossbit.judging.health import CodeHealth, code_health
from crossbit.judging.judge import CONVENTIONS, Convention, Direction, Judgement, judge
from crossbit.judging.layout import ROLES, Sides, find_sides
from crossbit.judging.values import Warned

__all__ = [
    "CONVENTIONS",
    "ROLES",
    "CodeHealth",
    "Convention",
    "Direction",
    "Judgement",
    "Sides",
    "Warned",
    "code_health",
    "find_sides",
    "judge",
    "read_arrays",
]
