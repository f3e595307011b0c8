"""What stands beside the methods without codes: random ranking and un-hashed retrieval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from crossbit.correlation import weighted_cca
from crossbit.errors import LabelError
from crossbit.evaluation import EvaluationProtocol, Scores, evaluate_similarities, report_random
from crossbit.pairs import Features, Labels, PairedFeatures, Split

Reference = Callable[[PairedFeatures, Split, Sequence[EvaluationProtocol]], tuple[Scores, ...]]


def random_ranking(pairs: PairedFeatures, split: Split, protocols: Sequence[EvaluationProtocol]) -> tuple[Scores, ...]:
    """The expected scores of a ranking by chance, exact. Raises LabelError without labels."""
    labels = _labels(pairs)
    return report_random(labels[split.query], labels[split.database], protocols, split.fingerprint())


def unhashed_cca(pairs: PairedFeatures, split: Split, protocols: Sequence[EvaluationProtocol]) -> tuple[Scores, ...]:
    """Real-valued retrieval: weighted CCA fitted on the train rows, compared by cosine. Raises LabelError."""
    labels = _labels(pairs)
    image, text = weighted_cca(pairs[split.train].without_labels())
    image_query, image_database = (_unit(image(pairs.image[rows])) for rows in (split.query, split.database))
    text_query, text_database = (_unit(text(pairs.text[rows])) for rows in (split.query, split.database))
    return evaluate_similarities(
        lambda rows: image_query[rows] @ text_database.T,
        lambda rows: text_query[rows] @ image_database.T,
        labels[split.query],
        labels[split.database],
        protocols=protocols,
        split_id=split.fingerprint(),
    ).scores


REFERENCES: Mapping[str, Reference] = {"random-ranking": random_ranking, "unhashed-cca": unhashed_cca}
"""The references by the name that an experiment file gives as its method."""


def _labels(pairs: PairedFeatures) -> Labels:
    if pairs.labels is None:
        raise LabelError("A reference is scored by labels, and the pairs have none; give PairedFeatures its labels=.")
    return pairs.labels


def _unit(rows: Features) -> Features:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)
