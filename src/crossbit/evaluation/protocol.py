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

    def id(self, split_fingerprint: str, relevance: str = "shared label") -> str:
        """A 10-digit hash of all rules, the split and the relevance rule: only scores with one id can be compared.

        The name is left out: two names for the same rules are the same protocol.
        """
        rules = {"version": 1, "split": split_fingerprint, "relevance": relevance, **self.rules()}
        return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()[:10]


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

PROTOCOLS = {"P50": P50, "PALL": PALL, "PUKD": PUKD, "TEXTBOOK_50": TEXTBOOK_50, "FIRST_50": FIRST_50}
"""The presets by their short names."""
