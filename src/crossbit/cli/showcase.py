"""What the demonstration shows: queries, what each hasher finds for them, and the scores, as a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.datasets import Dataset
from crossbit.evaluation import Evaluation
from crossbit.hasher import Hasher
from crossbit.index import ExactIndex
from crossbit.report import Answer, Found, Question, ScoreLine

TYPED = (
    "a red fruit",
    "sad face",
    "vehicle on rails",
    "something cold in winter",
    "a musical instrument",
    "animal that lives in the sea",
    "time to sleep",
    "winning a competition",
)
"""Words that nobody wrote for the data."""


@dataclass(frozen=True, eq=False)
class Searched:
    """A hasher with its codes of the database rows, ready to answer. name: as shown."""

    name: str
    hasher: Hasher
    image_codes: Codes
    text_codes: Codes
    images: ExactIndex
    texts: ExactIndex

    @classmethod
    def of(cls, name: str, hasher: Hasher, dataset: Dataset) -> Searched:
        """Encode and index a data set's database rows; ids in the indexes are rows of the data set."""
        rows = dataset.split.database
        image, text = hasher.encode_images(dataset.pairs.image), hasher.encode_texts(dataset.pairs.text)
        images, texts = ExactIndex(hasher.n_bits), ExactIndex(hasher.n_bits)
        images.add(image[rows], rows)
        texts.add(text[rows], rows)
        return cls(name, hasher, image, text, images, texts)


def text_questions(dataset: Dataset, searched: Sequence[Searched], rows: Sequence[int], k: int = 8) -> list[Question]:
    """Texts of the query split that look for pictures."""
    return [
        Question(
            dataset.captions[row],
            [_answer(dataset, one, one.text_codes[np.array([row])], "image", k, row) for one in searched],
        )
        for row in rows
    ]


def picture_questions(
    dataset: Dataset, searched: Sequence[Searched], rows: Sequence[int], k: int = 5
) -> list[Question]:
    """Pictures of the query split that look for texts."""
    return [
        Question(
            dataset.captions[row],
            [_answer(dataset, one, one.image_codes[np.array([row])], "text", k, row) for one in searched],
            picture=dataset.image_bytes(row),
        )
        for row in rows
    ]


def typed_questions(
    dataset: Dataset, searched: Sequence[Searched], words: Sequence[str], features: NDArray[np.float32], k: int = 8
) -> list[Question]:
    """Typed texts, with a feature row each, that look for pictures."""
    return [
        Question(
            text,
            [_answer(dataset, one, one.hasher.encode_texts(row[None]), "image", k, None) for one in searched],
            typed=True,
        )
        for text, row in zip(words, features, strict=True)
    ]


def query_rows(dataset: Dataset, n: int, seed: int) -> list[int]:
    """n rows of the query split, drawn so that the labels take turns."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(dataset.split.query)
    if dataset.pairs.labels is None:
        return [int(row) for row in rows[:n]]
    groups: dict[int, list[int]] = {}
    for row in rows:
        groups.setdefault(int(dataset.pairs.labels[row].argmax()), []).append(int(row))
    turns = [row for turn in range(n) for rows in groups.values() for row in rows[turn : turn + 1]]
    return turns[:n]


def score_lines(evaluations: Mapping[str, tuple[str, Evaluation]]) -> tuple[list[ScoreLine], dict[str, str]]:
    """A line a method, by name with its role, and each protocol's rules and id."""
    lines = [
        ScoreLine(name, role, {scores.protocol.name: (scores.i2t, scores.t2i) for scores in evaluation.scores})
        for name, (role, evaluation) in evaluations.items()
    ]
    _, first = next(iter(evaluations.values()))
    chance = {scores.protocol.name: (scores.i2t, scores.t2i) for scores in first.random}
    protocols = {
        scores.protocol.name: f"{_rule(scores.protocol.cutoff)}; ties averaged over all their orders; "
        f"{first.n_queries} queries against {first.n_database} items; protocol id {scores.protocol_id}"
        for scores in first.scores
    }
    return [*lines, ScoreLine("random order", "chance", chance)], protocols


def _rule(cutoff: int | None) -> str:
    if cutoff is None:
        return "over the whole ranking"
    return f"over the first {cutoff}, divided by the relevant items among them"


def _answer(dataset: Dataset, one: Searched, query: Codes, among: str, k: int, row: int | None) -> Answer:
    index, codes = (one.images, one.image_codes) if among == "image" else (one.texts, one.text_codes)
    hits = index.search(query, min(k, len(dataset.split.database)))
    found = [
        Found(
            dataset.captions[hit],
            int(distance),
            dataset.image_bytes(hit) if among == "image" else None,
            None if row is None else _share_label(dataset, row, hit),
            codes[np.array([hit])].bits()[0],
        )
        for hit, distance in zip(hits.ids[0].tolist(), hits.distances[0].tolist(), strict=True)
    ]
    return Answer(one.name, found, query.bits()[0])


def _share_label(dataset: Dataset, row: int, other: int) -> bool | None:
    labels = dataset.pairs.labels
    return None if labels is None else bool((labels[row] & labels[other]).any())
