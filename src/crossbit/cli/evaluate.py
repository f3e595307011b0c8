"""crossbit evaluate: the scores of a hasher on data with labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from crossbit.cli.console import progress_shown, show, show_json, show_table, when_stopped
from crossbit.cli.data import check_encoders, data_seed, encoders_for, load_data
from crossbit.cli.judge import judge_files
from crossbit.cli.options import AsJson, DataSeed, DropDuplicates, KnownImageEncoder, KnownTextEncoder
from crossbit.cli.own_pairs import is_of_pairs, pair_evaluation, show_pair_scores
from crossbit.cli.reading import EVERYTHING, reads_source
from crossbit.datasets import Reading
from crossbit.errors import SettingsError
from crossbit.evaluation import (
    PAIR_PROTOCOLS,
    PROTOCOLS,
    CodeMonitor,
    Evaluation,
    EvaluationProtocol,
    PairEvaluation,
    read_split,
    teacher_agreement,
)
from crossbit.evaluation import evaluate as measure
from crossbit.evaluation.protocol import Ties
from crossbit.hasher import Hasher
from crossbit.judging.arrays import SUFFIXES, is_arrays

BY_LABELS = "PALL,P50"
ArrayName = Annotated[str | None, typer.Option(metavar="NAME", help="The name of this array in CODES.")]


@reads_source
def evaluate(
    hasher: Annotated[
        Path,
        typer.Argument(
            help="A hasher file, as crossbit fit writes it; or a file of codes and labels from any tool.",
            metavar="HASHER|CODES",
        ),
    ],
    data: Annotated[
        list[str] | None,
        typer.Argument(help="What the hasher is scored on; after CODES, further files of codes.", metavar="[DATA]"),
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            help=f"Protocols, parted by commas: {', '.join(PROTOCOLS)}; or, of pairs, {', '.join(PAIR_PROTOCOLS)}. "
            "PALL,P50 for data with labels, R1,R5,R10 without."
        ),
    ] = "",
    teacher: Annotated[
        Path | None, typer.Option(help="Another hasher file: how far the codes keep its order is told too.")
    ] = None,
    ties: Annotated[str, typer.Option(help="Tied items: expected (the mean of all orders), best, worst or id.")] = "",
    split: Annotated[
        Path | None, typer.Option(help="A split file: its rows are the queries and the database, not those of DATA.")
    ] = None,
    drop_duplicates: DropDuplicates = False,
    seed: DataSeed = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    reading: Reading = EVERYTHING,
    query_codes: ArrayName = None,
    database_codes: ArrayName = None,
    image_query: ArrayName = None,
    text_query: ArrayName = None,
    image_database: ArrayName = None,
    text_database: ArrayName = None,
    query_labels: ArrayName = None,
    database_labels: ArrayName = None,
    as_json: AsJson = False,
) -> None:
    """Score a hasher on DATA, or judge codes from any tool.

    The query rows of DATA search its database rows, pictures in texts (I2T) and texts in pictures (T2I). The scores
    are mean average precisions, each with the id of its protocol: only scores with one id can be compared. The seed
    also draws the pairs on which the agreement with a teacher is measured.

    Without labels (Flickr30k, COCO with Karpathy's split, photos of your own) the query pairs search each other: how
    often a picture finds one of its captions, and a caption its picture, among the first 1, 5 and 10.

    CODES is .npz, .npy, .mat, .h5, .csv or .tsv, one file or several, with codes in {-1, 1}, {0, 1}, real values or
    packed bytes, and labels. Told are all conventions of mAP with best, expected and worst ties, signs of collapse
    and warnings. Names that released codes use (qB_img, rB_txt, retrieval_L, ...) are known; the eight options from
    --query-codes on name arrays that are called otherwise.
    """
    if is_arrays(hasher):
        named = {
            "query_codes": query_codes,
            "database_codes": database_codes,
            "image_query": image_query,
            "text_query": text_query,
            "image_database": image_database,
            "text_database": text_database,
            "query_labels": query_labels,
            "database_labels": database_labels,
        }
        judge_files([hasher, *map(Path, data or ())], named, as_json=as_json)
        return
    if data is None or len(data) != 1:
        raise SettingsError(
            f"A hasher is evaluated on one DATA; got {', '.join(data or ()) or 'none'}. Files of codes from any tool "
            f"end in {', '.join(SUFFIXES)}."
        )
    _evaluate_hasher(
        hasher,
        data[0],
        (protocol, ties),
        teacher,
        split,
        drop_duplicates,
        seed,
        (text_encoder, image_encoder),
        reading,
        as_json,
    )


def _evaluate_hasher(
    hasher: Path,
    data: str,
    asked: tuple[str, str],
    teacher: Path | None,
    split: Path | None,
    drop_duplicates: bool,
    seed: int | None,
    named: tuple[str | None, str | None],
    reading: Reading,
    as_json: bool,
) -> None:
    """The scores of a hasher. asked: protocols and ties; named: text and image encoder, as a person says them."""
    pairs_asked = is_of_pairs(*asked)
    if not pairs_asked:
        protocols_named(asked[0] or BY_LABELS)
    with when_stopped("Evaluating writes nothing."), progress_shown() as progress:
        loaded = Hasher.load(hasher)
        drawn = data_seed(seed, loaded)
        encoders = encoders_for(loaded, *named, hasher)
        dataset = load_data(data, progress, drop_duplicates=drop_duplicates, seed=drawn, reading=reading, **encoders)
        check_encoders(loaded, dataset)
        rows = dataset.split if split is None else read_split(split).rows_of(dataset.pairs)
        evaluation: Evaluation | PairEvaluation
        if pairs_asked or (not asked[0] and dataset.pairs.labels is None):
            evaluation = pair_evaluation(loaded, dataset, rows, asked[0])
        else:
            protocols = tuple(with_ties(one, asked[1]) for one in protocols_named(asked[0] or BY_LABELS).values())
            evaluation = measure(loaded, dataset.pairs, rows, protocols)
        taught = None if teacher is None else Hasher.load(teacher)
        agreement = None if taught is None else teacher_agreement(loaded, taught, dataset.pairs, seed=drawn)
    if as_json:
        about = {"hasher": loaded.fingerprint(), "method": loaded.method, "data": dataset.name}
        told = {} if agreement is None else {"teacher_agreement": agreement}
        show_json({**about, **evaluation.to_json(), **told})
        return
    title = f"{loaded.method} at {loaded.n_bits} bits on {dataset.name}"
    if isinstance(evaluation, PairEvaluation):
        show_pair_scores(evaluation, title)
    else:
        show_scores(evaluation, title)
        if evaluation.monitor is not None:
            show_monitor(evaluation.monitor)
    if agreement is not None:
        show(f"Agreement with the teacher's order of pairs: {agreement:.3f} (1 is the same order, 0 is chance).")


def with_ties(protocol: EvaluationProtocol, ties: str) -> EvaluationProtocol:
    """The protocol with another rule of ties, and another name and id with it; "" leaves it as it is."""
    if not ties or ties == protocol.ties:
        return protocol
    if ties not in get_args(Ties):
        raise SettingsError(f"--ties is one of {', '.join(get_args(Ties))}; got {ties!r}.")
    return replace(protocol, name=f"{protocol.name} ({ties} ties)", ties=cast(Ties, ties))


def show_monitor(monitor: CodeMonitor) -> None:
    """Signs of collapse in one sentence; no labels are behind them."""
    show(
        f"Codes: {monitor.balanced_bits:.0%} of bits balanced; {monitor.unique_image:.0%} of image and "
        f"{monitor.unique_text:.0%} of text codes unique; the two codes of a pair differ in "
        f"{monitor.paired_distance:.0%} of bits."
    )


def protocols_named(names: str) -> dict[str, EvaluationProtocol]:
    """The presets of names parted by commas; raises SettingsError for an unknown one, listing them."""
    chosen = {}
    for name in (part.strip() for part in names.split(",")):
        if name not in PROTOCOLS:
            known = ", ".join([*PROTOCOLS, *PAIR_PROTOCOLS])
            raise SettingsError(f"There is no protocol {name!r}; there are {known}.")
        chosen[name] = PROTOCOLS[name]
    return chosen


def show_scores(evaluation: Evaluation, title: str) -> None:
    """The scores as a table, with the protocol's id beside every number."""
    rows = [
        [
            scores.protocol.name,
            f"{scores.i2t:.4f}",
            f"{scores.t2i:.4f}",
            f"{scores.mean:.4f}",
            f"{chance.mean:.4f}",
            scores.protocol_id,
        ]
        for scores, chance in zip(evaluation.scores, evaluation.random, strict=True)
    ]
    figures = ["I2T", "T2I", "mean", "random"]
    show_table(title, ["protocol", *figures, "protocol id"], rows, right=figures)
    show(f"{evaluation.n_queries} queries against {evaluation.n_database} items; split {evaluation.split_id}.")
