"""Scores of a hasher under presets of both kinds: mAP by labels, and recall of the own pair without them."""

from __future__ import annotations

from collections.abc import Sequence

from crossbit.datasets import Dataset
from crossbit.datasets.sentences import sentences_or_texts
from crossbit.errors import LabelError
from crossbit.evaluation import PAIR_PROTOCOLS, PROTOCOLS, Evaluation, PairScores, Scores, evaluate, evaluate_pairs
from crossbit.evaluation.counts import relevance_rule
from crossbit.evaluation.pair_retrieval import own_pair_rule
from crossbit.hasher import Hasher


def scores_of(
    hasher: Hasher, dataset: Dataset, presets: Sequence[str]
) -> tuple[dict[str, Scores | PairScores], Evaluation | None]:
    """The scores by preset, and the whole evaluation by labels where a preset asks for one.

    Raises LabelError for a preset of mAP where the data has no labels.
    """
    pairs, split = dataset.pairs, dataset.split
    found: dict[str, Scores | PairScores] = {}
    evaluation = None
    if labelled := [preset for preset in presets if preset in PROTOCOLS]:
        evaluation = evaluate(hasher, pairs, split, [PROTOCOLS[preset] for preset in labelled])
        found |= dict(zip(labelled, evaluation.scores, strict=True))
    if paired := [preset for preset in presets if preset in PAIR_PROTOCOLS]:
        text, owner = sentences_or_texts(dataset.sentences, pairs, split.query)
        own = evaluate_pairs(
            hasher,
            pairs.image[split.query],
            text,
            owner,
            [PAIR_PROTOCOLS[preset] for preset in paired],
            split_id=split.fingerprint(),
        )
        found |= dict(zip(paired, own.scores, strict=True))
    return {preset: found[preset] for preset in presets}, evaluation


def protocol_ids(dataset: Dataset, presets: Sequence[str]) -> list[str]:
    """Each preset with the id of its protocol on the data, features left out.

    Raises LabelError for a preset of mAP where the data has no labels.
    """
    labels, split = dataset.pairs.labels, dataset.split
    told = []
    for preset in presets:
        if preset in PAIR_PROTOCOLS:
            _, owner = sentences_or_texts(dataset.sentences, dataset.pairs, split.query)
            told.append(f"{preset} {PAIR_PROTOCOLS[preset].id(split.fingerprint(), own_pair_rule(owner))}")
            continue
        if labels is None:
            raise LabelError(
                f"{dataset.name} has no labels, so {preset} cannot be scored on it; give its file labels, or take "
                f"protocols of pairs ({', '.join(PAIR_PROTOCOLS)})."
            )
        relevance = relevance_rule(labels[split.query], labels[split.database])
        told.append(f"{preset} {PROTOCOLS[preset].id(split.fingerprint(), relevance)}")
    return told
