"""The protocols of the literature: which rules on which split, who reports by them, and where their code departs."""

from __future__ import annotations

from dataclasses import dataclass

from crossbit.evaluation.protocol import CLIP, DCMH, P50, P5000, PALL, PUKD, UCCH, EvaluationProtocol


@dataclass(frozen=True)
class LiteratureProtocol:
    """A protocol as papers use it.

    rules: the preset. splits: the split by data set, in words. used_by: the papers, by their acronyms. departs: what
    the released codes do otherwise, which moves their numbers. evidence: "code" where that was read in released code,
    "paper" in the text, "inferred" where it follows from what related papers do.
    """

    rules: EvaluationProtocol
    splits: tuple[tuple[str, str], ...]
    used_by: tuple[str, ...]
    departs: str
    evidence: str


_CLASSWISE = (
    (
        "MIRFLICKR-25K",
        "2,000 queries and 5,000 train pairs class by class, 18,015 in the database, train within",
    ),
    ("NUS-WIDE-10", "2,000 queries, 200 a class; 5,000 train pairs, 500 a class; 184,577 in the database"),
)

LITERATURE: dict[str, LiteratureProtocol] = {
    "P50": LiteratureProtocol(
        P50,
        _CLASSWISE,
        ("DJSRH", "JDSH", "DSAH", "AGCH", "CCAH", "CIRH", "DGCPN", "UCMFH"),
        "Ties stand as an unstable sort leaves them; the split is drawn with labels, mostly without a seed; the best "
        "epoch is picked on the queries.",
        "code",
    ),
    "PALL": LiteratureProtocol(
        PALL,
        (
            ("MIRFLICKR-25K", "2,000 queries, 18,015 in the database; train is 5,000, 10,000 or the whole database"),
            ("NUS-WIDE-10", "2,100 queries, 184,457 in the database"),
        ),
        ("DGCPN", "DEMO", "NACD"),
        "Ties stand as an unstable sort leaves them. DGCPN reports mAP@50 beside it.",
        "code",
    ),
    "UCCH": LiteratureProtocol(
        UCCH,
        (("MIRFLICKR-25K", "2,000 queries, 18,015 in the database, all of which train"),),
        ("UCCH",),
        "Queries with nothing relevant are left out of the mean; with raw pictures the query pairs are drawn again for "
        "each part, so that most of them are in train too.",
        "code",
    ),
    "PUKD": LiteratureProtocol(
        PUKD,
        (("MIRFLICKR-25K", "15,000 train pairs, which are the database too"),),
        ("UGACH", "UKD"),
        "What is searched was trained on; checkpoints are chosen by the test labels.",
        "code",
    ),
    "DCMH": LiteratureProtocol(
        DCMH,
        (
            ("MIRFLICKR-25K", "2,000 random queries, 18,015 in the database, 10,000 of it train"),
            ("NUS-WIDE-21", "2,100 queries, 10,500 train pairs, 193,734 in the database"),
        ),
        ("DCMH", "SSAH", "AGAH", "DADH", "MITH"),
        "Queries with nothing relevant add nothing and are counted. Ports of its map_k average over the first k "
        "relevant items instead: preset FIRST_50.",
        "code",
    ),
    "CLIP": LiteratureProtocol(
        CLIP,
        (
            ("MIRFLICKR-25K", "5,000 queries, 10,000 train pairs, all pictures that have a label"),
            ("NUS-WIDE-21, MS COCO", "5,000 queries, 10,000 train pairs, the rest is the database"),
        ),
        ("DCHMT", "DSPH", "DNPH", "TwDH"),
        "One query with nothing relevant makes the released mean NaN; the best I2T and the best T2I may come from two "
        "epochs, picked on the queries.",
        "code",
    ),
    "P5000": LiteratureProtocol(
        P5000, _CLASSWISE, ("DAEH",), "Ties stand as an unstable sort leaves them.", "code"
    ),
}  # fmt: skip
"""The named protocols of the literature. KDCMH's text is not public; that it reports under P50 is inferred."""
