"""Scores of binary codes: mAP, curves and the whole evaluation of a hasher."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossbit.codes import Codes
from crossbit.errors import LabelError
from crossbit.evaluation.average_precision import average_precisions, mean_of
from crossbit.evaluation.counts import check_sides, groups_by_distance, groups_by_id, relevance_rule
from crossbit.evaluation.measures import pair_recall, precision_at, precision_recall, precision_within
from crossbit.evaluation.monitors import code_monitors
from crossbit.evaluation.protocol import P50, PALL, EvaluationProtocol
from crossbit.evaluation.random_ranking import report_random
from crossbit.evaluation.records import Curves, Evaluation, Scores
from crossbit.hasher import Hasher
from crossbit.pairs import Labels, PairedFeatures, Split

PRECISION_AT = (1, 5, 10, 20, 50, 100, 200, 500, 1000)
PAIR_RECALL_AT = (1, 5, 10)


def evaluate(
    hasher: Hasher,
    pairs: PairedFeatures,
    split: Split,
    protocols: Sequence[EvaluationProtocol] = (PALL, P50),
    *,
    threads: int | None = None,
) -> Evaluation:
    """Measure a hasher: the split's query rows search its database rows, images in texts (I2T) and texts in images.

    threads: how many count, as many as there are processors without; the scores do not depend on it.

    Raises LabelError when the pairs have no labels, SplitError for rows beyond the pairs or queries whose content also
    stands in train or database, and WidthError for features of another width than the hasher's.
    """
    if pairs.labels is None:
        raise LabelError("An evaluation needs labels, to tell what is relevant; give PairedFeatures its labels=.")
    split.check_duplicates(pairs)
    return evaluate_codes(
        hasher.encode_images(pairs.image[split.query]),
        hasher.encode_texts(pairs.text[split.query]),
        hasher.encode_images(pairs.image[split.database]),
        hasher.encode_texts(pairs.text[split.database]),
        pairs.labels[split.query],
        pairs.labels[split.database],
        protocols=protocols,
        split_id=split.fingerprint(),
        data_id=pairs.fingerprint(),
        threads=threads,
    )


def evaluate_codes(
    image_query: Codes,
    text_query: Codes,
    image_database: Codes,
    text_database: Codes,
    query_labels: Labels,
    database_labels: Labels,
    *,
    protocols: Sequence[EvaluationProtocol] = (PALL, P50),
    split_id: str = "",
    data_id: str = "",
    threads: int | None = None,
) -> Evaluation:
    """Measure codes: row i of both query codes is query pair i, row j of both database codes is database pair j.

    query_labels: (q, c) bool; database_labels: (n, c) bool; relevant means at least one shared label. split_id: the
    fingerprint of the split the codes come from; with a hash of the labels it is part of every protocol id. data_id:
    the fingerprint of the features that were encoded, part of the ids too where it is known.
    threads: as in `evaluate`.

    Raises WidthError, DataError or LabelError for parts that do not fit each other.
    """
    query_labels, database_labels = check_sides(image_query, text_database, query_labels, database_labels)
    check_sides(text_query, image_database, query_labels, database_labels)
    rest = (query_labels, database_labels, protocols, threads)
    i2t, i2t_curves = _direction(image_query, text_query, text_database, *rest)
    t2i, t2i_curves = _direction(text_query, image_query, image_database, *rest)
    relevance = relevance_rule(query_labels, database_labels)
    ids = [protocol.id(split_id, relevance, data_id) for protocol in protocols]
    return Evaluation(
        scores=tuple(Scores(*values) for values in zip(protocols, ids, i2t, t2i, strict=True)),
        random=report_random(query_labels, database_labels, protocols, split_id, data_id),
        n_queries=len(image_query),
        n_database=len(image_database),
        split_id=split_id,
        relevance=relevance,
        n_bits=image_query.n_bits,
        i2t_curves=i2t_curves,
        t2i_curves=t2i_curves,
        monitor=code_monitors(image_database, text_database),
        data_id=data_id,
    )


def mean_average_precision(
    query_codes: Codes,
    database_codes: Codes,
    query_labels: Labels,
    database_labels: Labels,
    protocol: EvaluationProtocol = PALL,
    *,
    threads: int | None = None,
) -> float:
    """The mAP of one direction, from 0 to 1, exact over ties; 0 when every query is skipped.

    threads: as in `evaluate`. Memory does not grow with queries times items, nor does the time of a mean hang on how
    many items tie. (Under ties="id" each query's whole ranking is held, a block of queries at a time.)

    Raises WidthError, DataError or LabelError for parts that do not fit each other.
    """
    query_labels, database_labels = check_sides(query_codes, database_codes, query_labels, database_labels)
    groups = groups_by_id if protocol.ties == "id" else groups_by_distance
    blocks = groups(query_codes, database_codes, query_labels, database_labels, threads=threads)
    return mean_of(np.concatenate([average_precisions(block.found, block.relevant, protocol) for block in blocks]))


def _direction(
    queries: Codes,
    query_pairs: Codes,
    database: Codes,
    query_labels: Labels,
    database_labels: Labels,
    protocols: Sequence[EvaluationProtocol],
    threads: int | None,
) -> tuple[list[float], Curves]:
    """One direction's mAPs and curves, in one pass over the database."""
    cutoffs = [n for n in PRECISION_AT if n <= len(database)]
    average: list[list[np.ndarray]] = [[] for _ in protocols]
    precisions, within_2, empty = np.zeros(len(cutoffs)), 0.0, 0
    all_found = np.zeros(queries.n_bits + 1, dtype=np.int64)
    all_relevant = all_found.copy()
    for block in groups_by_distance(queries, database, query_labels, database_labels, threads=threads):
        for number, protocol in enumerate(protocols):
            if protocol.ties != "id":
                average[number].append(average_precisions(block.found, block.relevant, protocol))
        precisions += [precision_at(block.found, block.relevant, n).sum() for n in cutoffs]
        within_2 += float(precision_within(block.found, block.relevant, 2).sum())
        empty += int((block.found[:, :3].sum(axis=1) == 0).sum())
        all_found += block.found.sum(axis=0)
        all_relevant += block.relevant.sum(axis=0)
    maps = [
        mean_average_precision(queries, database, query_labels, database_labels, protocol, threads=threads)
        if protocol.ties == "id"
        else mean_of(np.concatenate(average[number]))
        for number, protocol in enumerate(protocols)
    ]
    precision, recall = precision_recall(all_found, all_relevant)
    recalls = pair_recall(queries, query_pairs, np.arange(len(queries)), PAIR_RECALL_AT)
    return maps, Curves(
        precision_at=tuple(zip(cutoffs, (precisions / len(queries)).tolist(), strict=True)),
        precision=tuple(precision.tolist()),
        recall=tuple(recall.tolist()),
        within_2=within_2 / len(queries),
        empty_within_2=empty / len(queries),
        pair_recall=tuple(zip(PAIR_RECALL_AT, recalls, strict=True)),
    )
