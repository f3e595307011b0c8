"""crossbit evaluate: the scores of a hasher on data with labels."""

from __future__ import annotations

from typing import Annotated

import typer

from crossbit.cli.console import progress_shown, show, show_json, show_table, when_stopped
from crossbit.cli.data import load_data, text_encoder_of
from crossbit.cli.encode import check_encoders
from crossbit.cli.options import AsJson, Data, DropDuplicates, HasherFile
from crossbit.errors import SettingsError
from crossbit.evaluation import PROTOCOLS, Evaluation, EvaluationProtocol
from crossbit.evaluation import evaluate as measure
from crossbit.hasher import Hasher


def evaluate(
    hasher: HasherFile,
    data: Data,
    protocol: Annotated[str, typer.Option(help=f"Protocols, parted by commas: {', '.join(PROTOCOLS)}.")] = "PALL,P50",
    drop_duplicates: DropDuplicates = False,
    as_json: AsJson = False,
) -> None:
    """Score a hasher on DATA with labels.

    The query rows of DATA search its database rows, pictures in texts (I2T) and texts in pictures (T2I). The scores
    are mean average precisions, each with the id of its protocol: only scores with one id can be compared.
    """
    protocols = protocols_named(protocol)
    with when_stopped("Evaluating writes nothing."), progress_shown() as progress:
        loaded = Hasher.load(hasher)
        dataset = load_data(data, progress, drop_duplicates=drop_duplicates, text_encoder=text_encoder_of(loaded))
        check_encoders(loaded, dataset)
        evaluation = measure(loaded, dataset.pairs, dataset.split, tuple(protocols.values()))
    if as_json:
        about = {"hasher": loaded.fingerprint(), "method": loaded.method, "data": dataset.name}
        show_json({**about, **evaluation.to_json()})
        return
    show_scores(evaluation, f"{loaded.method} at {loaded.n_bits} bits on {dataset.name}")


def protocols_named(names: str) -> dict[str, EvaluationProtocol]:
    """The presets of names parted by commas; raises SettingsError for an unknown one, listing them."""
    chosen = {}
    for name in (part.strip() for part in names.split(",")):
        if name not in PROTOCOLS:
            raise SettingsError(f"There is no protocol {name!r}; there are {', '.join(PROTOCOLS)}.")
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
