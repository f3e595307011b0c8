"""Evaluation: protocols with an id, mAP exact over ties, curves and monitors. No torch."""

from crossbit.evaluation.average_precision import average_precisions
from crossbit.evaluation.codes import evaluate, evaluate_codes, mean_average_precision
from crossbit.evaluation.full_protocol import FullProtocol, one_protocol, read_protocol
from crossbit.evaluation.literature import LITERATURE, LiteratureProtocol
from crossbit.evaluation.measures import pair_recall, precision_at, precision_recall, precision_within
from crossbit.evaluation.monitors import CodeMonitor, code_monitors, teacher_agreement
from crossbit.evaluation.pair_retrieval import (
    PAIR_PROTOCOLS,
    PairEvaluation,
    PairProtocol,
    PairScores,
    evaluate_pairs,
)
from crossbit.evaluation.protocol import (
    CLIP,
    DCMH,
    FIRST_50,
    P50,
    P5000,
    PALL,
    PROTOCOLS,
    PUKD,
    TEXTBOOK_50,
    UCCH,
    EvaluationProtocol,
)
from crossbit.evaluation.proxies import PROXIES, CodeProxies, code_proxies
from crossbit.evaluation.random_ranking import report_random
from crossbit.evaluation.records import Curves, Evaluation, Scores
from crossbit.evaluation.similarities import evaluate_similarities, mean_average_precision_of
from crossbit.evaluation.split_file import PublishedSplit, read_split

__all__ = [
    "CLIP",
    "DCMH",
    "FIRST_50",
    "LITERATURE",
    "P50",
    "P5000",
    "PAIR_PROTOCOLS",
    "PALL",
    "PROTOCOLS",
    "PROXIES",
    "PUKD",
    "TEXTBOOK_50",
    "UCCH",
    "CodeMonitor",
    "CodeProxies",
    "Curves",
    "Evaluation",
    "EvaluationProtocol",
    "FullProtocol",
    "LiteratureProtocol",
    "PairEvaluation",
    "PairProtocol",
    "PairScores",
    "PublishedSplit",
    "Scores",
    "average_precisions",
    "code_monitors",
    "code_proxies",
    "evaluate",
    "evaluate_codes",
    "evaluate_pairs",
    "evaluate_similarities",
    "mean_average_precision",
    "mean_average_precision_of",
    "one_protocol",
    "pair_recall",
    "precision_at",
    "precision_recall",
    "precision_within",
    "read_protocol",
    "read_split",
    "report_random",
    "teacher_agreement",
]
