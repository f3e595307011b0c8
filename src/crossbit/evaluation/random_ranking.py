"""What a random ranking scores: the floor below every result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crossbit.evaluation.average_precision import average_precisions, mean_of
from crossbit.evaluation.counts import check_label_sides, relevance_rule
from crossbit.evaluation.protocol import EvaluationProtocol
from crossbit.evaluation.records import Scores
from crossbit.kernels import count_relevant, label_words
from crossbit.pairs import Labels


def report_random(
    query_labels: Labels,
    database_labels: Labels,
    protocols: Sequence[EvaluationProtocol],
    split_id: str = "",
    data_id: str = "",
) -> tuple[Scores, ...]:
    """The expected mAP of a random ranking under each protocol, exact.

    A random ranking is one in which the whole database ties, so the closed form of the ties gives its mean; it stays
    the mean also under protocols that ask for the best or worst order. Both directions have the same. Raises
    LabelError for labels that do not fit each other.
    """
    query_labels, database_labels = check_label_sides(
        query_labels, database_labels, len(query_labels), len(database_labels)
    )
    relevant = count_relevant(label_words(query_labels), label_words(database_labels))[:, None]
    found = np.full_like(relevant, len(database_labels))
    relevance = relevance_rule(query_labels, database_labels)
    scores = []
    for protocol in protocols:
        value = mean_of(average_precisions(found, relevant, replace(protocol, ties="expected")))
        scores.append(Scores(protocol, protocol.id(split_id, relevance, data_id), value, value))
    return tuple(scores)
