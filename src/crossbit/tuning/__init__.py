"""Tuning: settings chosen by a figure of held-out pairs that needs no labels. No torch of its own."""

from crossbit.tuning.experiment_file import experiment_text
from crossbit.tuning.search import PROXY, tune, tuned
from crossbit.tuning.spaces import Choice, Range, Space, Spaces, spaces_of
from crossbit.tuning.study import Study, Trial, read_study

__all__ = [
    "PROXY",
    "Choice",
    "Range",
    "Space",
    "Spaces",
    "Study",
    "Trial",
    "experiment_text",
    "read_study",
    "spaces_of",
    "tune",
    "tuned",
]
