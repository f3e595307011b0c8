"""Scores of real-valued similarities: what retrieval without hashing reaches, under the same protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossbit.errors import DataError
from crossbit.evaluation.average_precision import average_precisions, mean_of
from crossbit.evaluation.counts import TiedGroups, check_label_sides, relevance_rule, share_label
from crossbit.evaluation.protocol import P50, PALL, EvaluationProtocol
from crossbit.evaluation.random_ranking import report_random
from crossbit.evaluation.records import Evaluation, Scores
from crossbit.pairs import Labels

Similarities = NDArray[Any] | Callable[[slice], NDArray[Any]]
"""A (q, n) array, higher is nearer, or a function from a slice of queries to its rows of that array."""

_SCORED_AT_ONCE = 1 << 22


def evaluate_similarities(
    image_to_text: Similarities,
    text_to_image: Similarities,
    query_labels: Labels,
    database_labels: Labels,
    *,
    protocols: Sequence[EvaluationProtocol] = (PALL, P50),
    split_id: str = "",
    data_id: str = "",
) -> Evaluation:
    """Measure real-valued similarities as `evaluate_codes` measures codes; equal values count as ties.

    image_to_text: the similarity of each image query to each database text; text_to_image: the reverse. Raises
    DataError or LabelError for parts that do not fit each other, DataError for NaN.
    """
    query_labels, database_labels = check_label_sides(
        query_labels, database_labels, len(query_labels), len(database_labels)
    )
    i2t, t2i = (_maps(given, query_labels, database_labels, protocols) for given in (image_to_text, text_to_image))
    relevance = relevance_rule(query_labels, database_labels)
    ids = [protocol.id(split_id, relevance, data_id) for protocol in protocols]
    return Evaluation(
        scores=tuple(Scores(*values) for values in zip(protocols, ids, i2t, t2i, strict=True)),
        random=report_random(query_labels, database_labels, protocols, split_id, data_id),
        n_queries=len(query_labels),
        n_database=len(database_labels),
        split_id=split_id,
        relevance=relevance,
        data_id=data_id,
    )


def mean_average_precision_of(
    similarities: Similarities, query_labels: Labels, database_labels: Labels, protocol: EvaluationProtocol = PALL
) -> float:
    """The mAP of one direction of real-valued similarities; raises as `evaluate_similarities` does."""
    query_labels, database_labels = check_label_sides(
        query_labels, database_labels, len(query_labels), len(database_labels)
    )
    return _maps(similarities, query_labels, database_labels, [protocol])[0]


def _maps(
    similarities: Similarities,
    query_labels: Labels,
    database_labels: Labels,
    protocols: Sequence[EvaluationProtocol],
) -> list[float]:
    n_queries, n_database = len(query_labels), len(database_labels)
    if not n_queries or not n_database:
        raise DataError(f"An evaluation needs queries and a database; got {n_queries} and {n_database} items.")
    average = np.zeros((len(protocols), n_queries))
    block = max(1, _SCORED_AT_ONCE // n_database)
    for start in range(0, n_queries, block):
        rows = slice(start, min(start + block, n_queries))
        values = np.asarray(similarities(rows) if callable(similarities) else similarities[rows])
        if values.shape != (rows.stop - start, n_database):
            raise DataError(f"Similarities are expected as ({n_queries}, {n_database}); rows of {values.shape} came.")
        if np.isnan(values).any():
            raise DataError("Similarities hold NaN, which has no rank; look at the features they came from.")
        relevant = share_label(query_labels[rows], database_labels)
        for by_id in {protocol.ties == "id" for protocol in protocols}:
            for groups in _groups(start, values, relevant, by_id):
                for number, protocol in enumerate(protocols):
                    if by_id == (protocol.ties == "id"):
                        average[number, groups.start] = average_precisions(groups.found, groups.relevant, protocol)[0]
    return [mean_of(scores) for scores in average]


def _groups(start: int, similarities: NDArray[Any], relevant: NDArray[np.bool_], by_id: bool) -> Iterator[TiedGroups]:
    """The groups of equal similarity of one query at a time, highest first; by_id: one item a group."""
    for number, (values, hits) in enumerate(zip(similarities, relevant, strict=True), start):
        # Highest first and ties by lower row, without a minus sign, which unsigned numbers do not take.
        order = len(values) - 1 - np.argsort(values[::-1], kind="stable")[::-1]
        values, hits = values[order], hits[order].astype(np.int64)
        first = np.ones(len(values), dtype=np.bool_)
        if not by_id:
            first[1:] = values[1:] != values[:-1]
        begins = np.flatnonzero(first)
        found = np.diff(begins, append=len(values)).astype(np.int64)
        yield TiedGroups(number, found[None], np.add.reduceat(hits, begins)[None])
