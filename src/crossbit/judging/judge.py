"""Codes from any tool under every convention: best, expected and worst ties, signs of collapse, and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossbit.codes import Codes
from crossbit.evaluation import (
    FIRST_50,
    P50,
    PALL,
    TEXTBOOK_50,
    UCCH,
    EvaluationProtocol,
    average_precisions,
    code_monitors,
)
from crossbit.evaluation.average_precision import mean_of
from crossbit.evaluation.counts import check_sides, groups_by_distance, relevance_rule
from crossbit.evaluation.measures import precision_at
from crossbit.evaluation.monitors import CodeMonitor
from crossbit.evaluation.protocol import Ties
from crossbit.evaluation.random_ranking import report_random
from crossbit.judging.health import CodeHealth, code_health
from crossbit.judging.layout import Sides, directions_of
from crossbit.judging.suspicions import suspicions
from crossbit.judging.values import Warned, codes_of, labels_of
from crossbit.pairs import Labels, array_fingerprint

TREC_50 = EvaluationProtocol("AP@50 / all relevant", 50, "relevant")
CONVENTIONS = (PALL, UCCH, P50, TEXTBOOK_50, FIRST_50, TREC_50)
"""The conventions that go by the name of mAP; see docs/protocols.md."""
_TIES: tuple[Ties, ...] = ("best", "expected", "worst")
_NAMES = {
    ("image_query", "text_database"): "I2T",
    ("text_query", "image_database"): "T2I",
    ("image_query", "image_database"): "I2I",
    ("text_query", "text_database"): "T2T",
    ("query_codes", "database_codes"): "Q2D",
}


@dataclass(frozen=True)
class Convention:
    """One meaning of mAP on one direction: the score with ties in the best, mean and worst order, and by chance."""

    name: str
    protocol_id: str
    best: float
    expected: float
    worst: float
    random: float


@dataclass(frozen=True)
class Direction:
    """One direction: I2T, T2I, or Q2D where there is one modality. without_relevant: queries with nothing to find."""

    name: str
    conventions: tuple[Convention, ...]
    precision_at: Mapping[int, float]
    without_relevant: int


@dataclass(frozen=True)
class Judgement:
    """All that is said of codes: scores by direction, figures of each array of codes, and warnings.

    monitor: figures of paired image and text codes of the database, where there are both. names: role -> array.
    """

    n_bits: int
    n_queries: int
    n_database: int
    n_classes: int
    split_id: str
    directions: tuple[Direction, ...]
    health: Mapping[str, CodeHealth]
    monitor: CodeMonitor | None
    warnings: tuple[Warned, ...]
    names: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        plain = {name: getattr(self, name) for name in ("n_bits", "n_queries", "n_database", "n_classes", "split_id")}
        return {
            **plain,
            "directions": [
                {
                    "direction": one.name,
                    "conventions": [vars(convention) for convention in one.conventions],
                    "precision_at": {str(n): value for n, value in one.precision_at.items()},
                    "without_relevant": one.without_relevant,
                }
                for one in self.directions
            ],
            "codes": {role: health.to_json() for role, health in self.health.items()},
            "monitor": None if self.monitor is None else self.monitor.to_json(),
            "warnings": [one.to_json() for one in self.warnings],
            "arrays": dict(self.names),
        }


def judge(sides: Sides, *, threads: int | None = None) -> Judgement:
    """Judge codes of any tool, as `find_sides` gives them.

    Each convention's score is exact over all orders of the ties: their mean, and the two extremes. The split's part of
    the protocol id is a hash of the labels' order, since row numbers of an outside split are not known.

    Raises DataError, LabelError or WidthError for arrays that do not fit each other.
    """
    query_labels, database_labels = labels_of(np.asarray(sides.query_labels), np.asarray(sides.database_labels))
    lengths = {role: len(query_labels if "query" in role else database_labels) for role in sides.codes}
    codes, warned = codes_of(sides.codes, lengths)
    split_id = array_fingerprint(query_labels, database_labels)
    directions = tuple(
        _direction(_NAMES[pair], codes[pair[0]], codes[pair[1]], query_labels, database_labels, split_id, threads)
        for pair in directions_of(sides)
    )
    health = {role: code_health(one) for role, one in codes.items()}
    paired = "image_database" in codes and "text_database" in codes
    return Judgement(
        n_bits=next(iter(codes.values())).n_bits,
        n_queries=len(query_labels),
        n_database=len(database_labels),
        n_classes=query_labels.shape[1],
        split_id=split_id,
        directions=directions,
        health=health,
        monitor=code_monitors(codes["image_database"], codes["text_database"]) if paired else None,
        warnings=(*warned, *suspicions(codes, health, query_labels, database_labels)),
        names=sides.names,
    )


def _direction(
    name: str,
    queries: Codes,
    database: Codes,
    query_labels: Labels,
    database_labels: Labels,
    split_id: str,
    threads: int | None,
) -> Direction:
    check_sides(queries, database, query_labels, database_labels)
    protocols = [replace(one, ties=ties) for one in CONVENTIONS for ties in _TIES]
    values: list[list[np.ndarray]] = [[] for _ in protocols]
    cutoffs = [n for n in (1, 10, 100, 1000) if n <= len(database)]
    precisions, nothing = np.zeros(len(cutoffs)), 0
    for block in groups_by_distance(queries, database, query_labels, database_labels, threads=threads):
        for number, protocol in enumerate(protocols):
            values[number].append(average_precisions(block.found, block.relevant, protocol))
        precisions += [precision_at(block.found, block.relevant, n).sum() for n in cutoffs]
        nothing += int((block.relevant.sum(axis=1) == 0).sum())
    scores = iter(mean_of(np.concatenate(parts)) for parts in values)
    relevance = relevance_rule(query_labels, database_labels)
    random = report_random(query_labels, database_labels, CONVENTIONS, split_id)
    return Direction(
        name=name,
        conventions=tuple(
            Convention(one.name, one.id(split_id, relevance), next(scores), next(scores), next(scores), chance.i2t)
            for one, chance in zip(CONVENTIONS, random, strict=True)
        ),
        precision_at=dict(zip(cutoffs, (precisions / len(queries)).tolist(), strict=True)),
        without_relevant=nothing,
    )
