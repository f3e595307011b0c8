"""The results of an evaluation: scores with their protocol's id, curves and monitors, as immutable records."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from crossbit.errors import SettingsError
from crossbit.evaluation.full_protocol import FullProtocol
from crossbit.evaluation.monitors import CodeMonitor
from crossbit.evaluation.protocol import EvaluationProtocol


@dataclass(frozen=True)
class Scores:
    """The mAP of both directions under one protocol, from 0 to 1.

    i2t: image queries against text codes; t2i: the reverse. protocol_id: the hash of rules, split and relevance.
    """

    protocol: EvaluationProtocol
    protocol_id: str
    i2t: float
    t2i: float

    @property
    def mean(self) -> float:
        """The mean of both directions."""
        return (self.i2t + self.t2i) / 2

    def to_json(self) -> dict[str, Any]:
        """The scores as plain JSON values."""
        values = {"i2t": self.i2t, "t2i": self.t2i, "mean": self.mean}
        return {"protocol": self.protocol.name, "protocol_id": self.protocol_id, **self.protocol.rules(), **values}


@dataclass(frozen=True)
class Curves:
    """One direction's curves.

    precision_at: pairs of N and the mean precision among the first N, expected over ties. precision, recall: within
    Hamming radius 0 to n_bits, over all queries together; precision is NaN where nothing is inside.
    within_2: the mean precision within radius 2, 0 for a query that finds nothing. empty_within_2: the share of
    queries that find nothing. pair_recall: pairs of k and the share of queries whose own pair, among the codes of
    all queries' pairs, is in the first k.
    """

    precision_at: tuple[tuple[int, float], ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    within_2: float
    empty_within_2: float
    pair_recall: tuple[tuple[int, float], ...]

    def to_json(self) -> dict[str, Any]:
        """The curves as plain JSON values, an unknown precision as null."""
        values = asdict(self)
        values["precision"] = [None if math.isnan(value) else value for value in self.precision]
        values["precision_at"] = {str(n): value for n, value in self.precision_at}
        values["pair_recall"] = {str(k): value for k, value in self.pair_recall}
        values["recall"] = list(self.recall)
        return values


@dataclass(frozen=True)
class Evaluation:
    """All that was measured of one hasher (or of real-valued scores) on one split.

    scores: one entry a protocol. random: the expected mAP of a random ranking under the same protocols; a method
    below it is broken. relevance: the rule by which items are relevant, with a hash of the labels. data_id: the
    fingerprint of the features, "" where only codes are known. n_bits,
    i2t_curves, t2i_curves and monitor are None for real-valued scores.
    """

    scores: tuple[Scores, ...]
    random: tuple[Scores, ...]
    n_queries: int
    n_database: int
    split_id: str
    relevance: str
    n_bits: int | None = None
    i2t_curves: Curves | None = None
    t2i_curves: Curves | None = None
    monitor: CodeMonitor | None = None
    data_id: str = ""

    def __getitem__(self, protocol: EvaluationProtocol | str) -> Scores:
        """The scores under a protocol, by value or name; raises SettingsError for one that was not measured."""
        for scores in self.scores:
            if protocol in (scores.protocol, scores.protocol.name):
                return scores
        wanted = protocol if isinstance(protocol, str) else protocol.name
        measured = ", ".join(scores.protocol.name for scores in self.scores)
        raise SettingsError(f"{wanted} was not measured, only {measured}; name it in protocols=.")

    def full(self, protocol: EvaluationProtocol | str) -> FullProtocol:
        """All that decides a score: rules, split, relevance and data; its id is the score's protocol id."""
        return FullProtocol(self[protocol].protocol, self.split_id, self.relevance, self.data_id)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values, ready for json.dumps."""
        return {
            "scores": [scores.to_json() for scores in self.scores],
            "random": [scores.to_json() for scores in self.random],
            "n_queries": self.n_queries,
            "n_database": self.n_database,
            "split_id": self.split_id,
            "relevance": self.relevance,
            "data_id": self.data_id,
            "n_bits": self.n_bits,
            "i2t_curves": self.i2t_curves.to_json() if self.i2t_curves else None,
            "t2i_curves": self.t2i_curves.to_json() if self.t2i_curves else None,
            "monitor": self.monitor.to_json() if self.monitor else None,
        }
