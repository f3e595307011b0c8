"""What outside methods and indexes are held to: the conformance suites and the planted world they run on."""

from crossbit.testing.index import check_index, index_checks
from crossbit.testing.method import MethodCheck, Outcome, check_method, method_checks
from crossbit.testing.planted import PlantedWorld, planted_pairs, planted_score
from crossbit.testing.torch_free import run_without_torch

__all__ = [
    "MethodCheck",
    "Outcome",
    "PlantedWorld",
    "check_index",
    "check_method",
    "index_checks",
    "method_checks",
    "planted_pairs",
    "planted_score",
    "run_without_torch",
]
