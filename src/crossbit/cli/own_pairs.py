"""What crossbit evaluate says of data without labels: whether the one right pair is found."""

from __future__ import annotations

from crossbit.cli.console import show, show_table
from crossbit.datasets import Dataset
from crossbit.datasets.sentences import sentences_or_texts
from crossbit.errors import SettingsError
from crossbit.evaluation import PAIR_PROTOCOLS, PairEvaluation, evaluate_pairs
from crossbit.hasher import Hasher
from crossbit.pairs import Split

WITHOUT_LABELS = "R1,R5,R10"


def is_of_pairs(names: str, ties: str) -> bool:
    """Whether protocols parted by commas are those of pairs; raises SettingsError where both kinds are named."""
    asked = [name.strip() for name in names.split(",") if name.strip()]
    of_pairs = [name for name in asked if name in PAIR_PROTOCOLS]
    if of_pairs and len(of_pairs) < len(asked):
        other = next(name for name in asked if name not in PAIR_PROTOCOLS)
        raise SettingsError(f"{of_pairs[0]} finds pairs and {other} does not; evaluate once for each kind.")
    if of_pairs and ties not in ("", "expected"):
        raise SettingsError(f"Recall of pairs counts ties as the mean of all orders; --ties {ties} is for mAP.")
    return bool(of_pairs)


def pair_evaluation(hasher: Hasher, dataset: Dataset, rows: Split, names: str) -> PairEvaluation:
    """The recalls of the query pairs under protocols parted by commas."""
    wanted = [PAIR_PROTOCOLS[name.strip()] for name in (names or WITHOUT_LABELS).split(",")]
    rows.check_range(len(dataset.pairs))
    text, owner = sentences_or_texts(dataset.sentences, dataset.pairs, rows.query)
    return evaluate_pairs(hasher, dataset.pairs.image[rows.query], text, owner, wanted, split_id=rows.fingerprint())


def show_pair_scores(evaluation: PairEvaluation, title: str) -> None:
    """The recalls as a table, with the protocol's id beside every number."""
    figures = ["I2T", "T2I", "mean", "random I2T", "random T2I"]
    rows = [
        [
            own.protocol.name,
            *(f"{value:.4f}" for value in (own.i2t, own.t2i, own.mean, chance.i2t, chance.t2i)),
            own.protocol_id,
        ]
        for own, chance in zip(evaluation.scores, evaluation.random, strict=True)
    ]
    show_table(title, ["protocol", *figures, "protocol id"], rows, right=figures)
    show(
        f"By pairs, not labels: {evaluation.n_images} query pictures and {evaluation.n_texts} captions search each "
        f"other for a caption of their own or their picture; split {evaluation.split_id}."
    )
