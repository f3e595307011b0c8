"""Experiments: one file says what is measured, one run writes one result, and results say whether they still hold."""

from crossbit.experiment.plan import Experiment, Job, read_experiment, read_experiments
from crossbit.experiment.result import Result, read_result, read_results
from crossbit.experiment.run import run_job
from crossbit.experiment.state import Expected, expected_of, why_due

__all__ = [
    "Expected",
    "Experiment",
    "Job",
    "Result",
    "expected_of",
    "read_experiment",
    "read_experiments",
    "read_result",
    "read_results",
    "run_job",
    "why_due",
]
