"""Evaluation: protocols with an id, mAP exact over ties, curves and monitors. No torch."""

from crossbit.evaluation.average_precision import average_precisions
from crossbit.evaluation.codes import evaluate, evaluate_codes, mean_average_precision
from crossbit.evaluation.measures import pair_recall, precision_at, precision_recall, precision_within
from crossbit.evaluation.monitors import CodeMonitor, code_monitors, teacher_agreement
from crossbit.evaluation.protocol import FIRST_50, P50, PALL, PROTOCOLS, PUKD, TEXTBOOK_50, EvaluationProtocol
from crossbit.evaluation.random_ranking import report_random
from crossbit.evaluation.records import Curves, Evaluation, Scores
from crossbit.evaluation.similarities import evaluate_similarities, mean_average_precision_of

__all__ = [
    "FIRST_50",
    "P50",
    "PALL",
    "PROTOCOLS",
    "PUKD",
    "TEXTBOOK_50",
    "CodeMonitor",
    "Curves",
    "Evaluation",
    "EvaluationProtocol",
    "Scores",
    "average_precisions",
    "code_monitors",
    "evaluate",
    "evaluate_codes",
    "evaluate_similarities",
    "mean_average_precision",
    "mean_average_precision_of",
    "pair_recall",
    "precision_at",
    "precision_recall",
    "precision_within",
    "report_random",
    "teacher_agreement",
]
