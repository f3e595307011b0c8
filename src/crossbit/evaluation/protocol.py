"""What a score means: the rules of an evaluation as one value, whose id is printed beside every number."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from crossbit.errors import SettingsError

DivideBy = Literal["found", "relevant", "reachable", "first_relevant"]
Ties = Literal["expected", "best", "worst", "id"]
WithoutRelevant = Literal["zero", "skip"]
_DATA_DIGITS = 6


@dataclass(frozen=True)
class EvaluationProtocol:
    """The rules of a mean average precision (mAP).

    The average precision of a query adds up the precision at every relevant item of the ranking and divides.

    name: what people call it. cutoff: how many items of the ranking count; None for all.
    divide_by: "found" divides by the relevant items within the cutoff (the habit of the hashing literature);
        "relevant" by all relevant items; "reachable" by as many as the cutoff can hold, min(relevant, cutoff), the
        textbook's AP@k; "first_relevant" lets the cutoff count relevant items instead, wherever they rank, and
        divides by their number. Without a cutoff the four are one.
    ties: what is done about items at the same distance. "expected" is the exact mean over all their orders, "best"
        and "worst" the highest and the lowest score that any order gives, "id" the order of the database rows.
    without_relevant: a query with nothing relevant in the database scores "zero", or "skip" leaves it out of the mean.

    Raises SettingsError for a rule it does not know.
    """

    name: str
    cutoff: int | None
    divide_by: DivideBy
    ties: Ties = "expected"
    without_relevant: WithoutRelevant = "zero"

    def __post_init__(self) -> None:
        whole = isinstance(self.cutoff, int | np.integer) and not isinstance(self.cutoff, bool)
        if self.cutoff is not None and not (whole and self.cutoff >= 1):
            raise SettingsError(f"cutoff must be a whole number of 1 or more, or None for all; got {self.cutoff!r}.")
        for field, known in (("divide_by", DivideBy), ("ties", Ties), ("without_relevant", WithoutRelevant)):
            if getattr(self, field) not in get_args(known):
                raise SettingsError(f"{field} is one of {', '.join(get_args(known))}; got {getattr(self, field)!r}.")

    def rules(self) -> dict[str, str | int | None]:
        """The rules as plain values, without the name."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "name"}

    def id(self, split_fingerprint: str, relevance: str = "shared label", data_id: str = "") -> str:
        """A 10-digit hash of all rules, the split and the relevance rule: only scores with one id can be compared.

        data_id: the fingerprint of the features; where it is known, the id ends in a point and its first six digits.
        The name is left out: two names for the same rules are the same protocol.
        """
        rules = {"version": 1, "split": split_fingerprint, "relevance": relevance, **self.rules()}
        return with_data(hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:10], data_id)


def with_data(protocol_id: str, data_id: str) -> str:
    """A protocol id with the revision of the data behind a point; as it is where that stands there or is not known.

    So ids that were stored before they named the data get the same one when they are read.
    """
    return f"{protocol_id}.{data_id[:_DATA_DIGITS]}" if data_id and "." not in protocol_id else protocol_id


P50 = EvaluationProtocol("mAP@50", 50, "found")
"""mAP@50 as DJSRH, JDSH and most of their family report it: divided by the hits among the first 50."""

PALL = EvaluationProtocol("mAP@all", None, "relevant")
"""mAP over the whole ranking, as DCMH, DGCPN and UCCH report it."""

PUKD = EvaluationProtocol("mAP@all (UKD)", None, "relevant")
"""The rules of PALL; UGACH and UKD search the training set, so what sets it apart is the split."""

TEXTBOOK_50 = EvaluationProtocol("AP@50 (textbook)", 50, "reachable")
"""AP@50 divided by min(relevant, 50): a query that finds few of many relevant items scores low, unlike under P50."""

FIRST_50 = EvaluationProtocol("mAP@50 (first relevant)", 50, "first_relevant")
"""The mean precision at the first 50 relevant items wherever they rank, the `map_k` of DCMH's many ports."""

UCCH = EvaluationProtocol("mAP@all (UCCH)", None, "relevant", without_relevant="skip")
"""PALL without the queries that have nothing relevant, as UCCH's code has it."""

P5000 = EvaluationProtocol("mAP@5000", 5000, "found")
"""P50's rule with a cutoff of 5,000, as DAEH reports it."""

DCMH = EvaluationProtocol("mAP@all (DCMH)", None, "relevant")
"""The rules of PALL; DCMH and the supervised papers after it train on 10,000 pairs, so what differs is the split."""

CLIP = EvaluationProtocol("mAP@all (CLIP line)", None, "relevant")
"""mAP over the whole ranking of DCHMT, DSPH and DNPH, who divide by the relevant items; the split is their own."""

PROTOCOLS = {
    "P50": P50,
    "PALL": PALL,
    "PUKD": PUKD,
    "UCCH": UCCH,
    "DCMH": DCMH,
    "CLIP": CLIP,
    "P5000": P5000,
    "TEXTBOOK_50": TEXTBOOK_50,
    "FIRST_50": FIRST_50,
}
"""The presets by their short names."""
