"""Our result beside the paper's number, with every difference between the two named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crossbit.evaluation import LITERATURE, PROTOCOLS, LiteratureProtocol
from crossbit.experiment.files import Published
from crossbit.experiment.result import Result

EVIDENCE = {
    "paper": "read in the method's own paper or release",
    "quoted": "read in another paper's table",
    "recalled": "not confirmed in any text that was open to us",
}
TITLES = {
    "mirflickr25k": "MIRFLICKR-25K",
    "nus-wide": "NUS-WIDE",
    "coco": "MS COCO",
    "iapr-tc12": "IAPR TC-12",
    "wikipedia": "Wikipedia",
    "wiki": "Wikipedia",
}
"""Public data by the beginning of our names for it, and as papers call it."""


@dataclass(frozen=True)
class PaperRules:
    """What a protocol means where a published number stands under it. preset: ours of the same rules, "" for none."""

    preset: str
    features: str
    split: str


_P50 = PaperRules(
    "P50", "fc7 of AlexNet or VGG, fine-tuned by some; bag of words", "drawn class by class, mostly without a seed"
)
_VGG = PaperRules("PALL", "fc7 of VGG-19; bag of words", "the last 2,000 rows of a feature file as queries")
_TRAINED = PaperRules("PALL", "fc7 of VGG-19; bag of words", "the training items as database")
_LABELS = PaperRules("PALL", "CNN-F trained with the codes; bag of words", "2,000 queries and 10,000 train pairs")
_CLIP = PaperRules("PALL", "CLIP ViT-B/32 trained with the codes; tags", "5,000 queries and 10,000 train pairs")
_CLIP_DCMH = PaperRules("PALL", _CLIP.features, _LABELS.split)
PAPER_RULES: Mapping[str, PaperRules] = {
    "mAP@50, hits found": _P50,
    "mAP@all, VGG-19": _VGG,
    "mAP@all, VGG-19, the training items as database": _TRAINED,
    "mAP@all, with labels": _LABELS,
    "mAP@all, CLIP fine-tuned, with labels": _CLIP,
    "mAP@all, CLIP fine-tuned, DCMH's split": _CLIP_DCMH,
}
"""By what published.toml calls a protocol."""


@dataclass(frozen=True)
class Comparison:
    """One of our results under one protocol and one published row, or none.

    ours, paper: I2T and T2I, mAP from 0 to 1. protocol_id: of ours; a published number has none, so the two never
    share a column. differences: sentences, what keeps the two from meaning the same. evidence: how the paper's number
    is known.
    """

    result: str
    preset: str
    protocol_id: str
    ours: tuple[float, float]
    paper: tuple[float, float] | None
    paper_protocol: str = ""
    source: str = ""
    evidence: str = ""
    differences: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def compare(result: Result, published: Sequence[Published]) -> list[Comparison]:
    """Every score of a result beside each published row of its method with that code length.

    Rows are those on the result's own data; where there are none, those on the first data set that any is for. A
    score without a row stands alone, with paper None.
    """
    method = str(result.details.get("method", result.row)).split("@")[0]
    rows = [row for row in published if row.method == method and row.at(result.n_bits)]
    own_data = [row for row in rows if row.data == title_of(result.data)]
    rows = own_data or [row for row in rows if row.data == rows[0].data]
    found = []
    for preset, score in result.scores.items():
        fitting = [row for row in rows if published_preset(row.protocol) == preset]
        name = f"{result.data}/{result.row}/{result.n_bits}-{result.seed}"
        ours = (score["I2T"], score["T2I"])
        if not fitting:
            found.append(Comparison(name, preset, score["protocol_id"], ours, None))
        for row in fitting:
            found.append(
                Comparison(
                    *(name, preset, score["protocol_id"], ours, row.at(result.n_bits), row.protocol, row.source),
                    evidence=row.evidence,
                    differences=tuple(differences(result, preset, row)),
                )
            )
    return found


def published_preset(protocol: str) -> str:
    """Our preset of the same rules as a published protocol, by its name where we know it, else by its cutoff."""
    if protocol in PAPER_RULES:
        return PAPER_RULES[protocol].preset
    return "P50" if protocol.startswith("mAP@50") else "PALL" if protocol.startswith("mAP@all") else ""


def title_of(data: str) -> str:
    """What papers call our data set; our own name where they do not know it."""
    return next((title for start, title in TITLES.items() if data.startswith(start)), data)


def measured_by(row: Published) -> tuple[str, LiteratureProtocol] | None:
    """The protocol of the literature by which the paper behind a row measured, with its name; None if not known.

    The paper is the one that the number was read of, which may be another than the method's own: it measured.
    """
    paper, preset = row.source.split()[0], published_preset(row.protocol)
    known = [
        (name, own)
        for name, own in LITERATURE.items()
        if preset and own.rules.cutoff == PROTOCOLS[preset].cutoff and paper in own.used_by
    ]
    return known[0] if known else None


def conventions(row: Published, preset: str) -> list[str]:
    """What the paper behind a row does otherwise in its rules, and what its released code is known to do."""
    found = measured_by(row)
    if found is None or preset not in PROTOCOLS:
        return []
    name, literature = found
    theirs, ours = literature.rules.rules(), PROTOCOLS[preset].rules()
    told = [
        f"Rules of {row.source.split()[0]} ({name}): {key.replace('_', ' ')}: ours {ours[key]}, theirs {theirs[key]}."
        for key in ours
        if ours[key] != theirs[key]
    ]
    splits = "; ".join(f"{data}: {split}" for data, split in literature.splits)
    start = f"Conventions of {row.source.split()[0]} ({name}, {literature.evidence})"
    return [*told, f"{start}: {literature.departs} Split: {splits}."]


def differences(result: Result, preset: str, row: Published) -> list[str]:
    """What differs between a result and a published row, each as a sentence."""
    told = []
    own = title_of(result.data)
    if own != row.data:
        told.append(f"Data: ours {own}, theirs {row.data}; numbers on two data sets say nothing of each other.")
    rules = PAPER_RULES.get(row.protocol)
    features = ", ".join(f"{side} {name}" for side, name in sorted(result.details.get("encoders", {}).items()))
    theirs = rules.features if rules else "as their paper has them"
    told.append(f"Features: ours {features or 'as the data file holds them'}; theirs {theirs}.")
    parts = ", ".join(f"{n:,} {part}" for part, n in result.details.get("pairs", {}).items())
    told.append(
        f"Split: ours {result.expected.get('split', 'unknown')} ({parts}); theirs "
        f"{rules.split if rules else 'of their own'}; which pairs they drew was not published."
    )
    ties = PROTOCOLS[preset].ties if preset in PROTOCOLS else "expected"
    told.append(f"Ties: ours {ties}; theirs as a sort of their code left them.")
    if preset not in PROTOCOLS or rules is None:
        told.append(f"Rules: theirs are called {row.protocol!r}; ours are {preset}.")
    told += conventions(row, preset)
    told.append("Selection: ours by no query; many released codes show the best epoch on the queries.")
    if result.details.get("note"):
        told.append(f"Ours: {result.details['note']}")
    return told
