"""crossbit data leaks: what of DATA's split, or of a hasher's way to encode, would make scores wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crossbit.cli.console import progress_shown, show, show_json, when_stopped
from crossbit.cli.data import check_encoders, data_seed, encoders_for, load_items
from crossbit.cli.options import AsJson, Data, KnownImageEncoder, KnownTextEncoder
from crossbit.datasets import Dataset
from crossbit.evaluation import read_split
from crossbit.hasher import Hasher
from crossbit.judging.leaks import Finding, content_leaks, hasher_leaks, order_leaks

_ENCODED = 600  # queries that a hasher encodes again, alone and in batches


def leaks(
    data: Data,
    hasher: Annotated[
        Path | None, typer.Option(help="A hasher file: its codes must not depend on batches or their order.")
    ] = None,
    split: Annotated[Path | None, typer.Option(help="A split file, in place of the split of DATA.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of what is drawn from DATA.", min=0)] = None,
    text_encoder: KnownTextEncoder = None,
    image_encoder: KnownImageEncoder = None,
    as_json: AsJson = False,
) -> None:
    """Look for leaks in DATA: queries that stand in train or database, exactly or nearly, and rows sorted by label.

    Pictures are compared by a difference hash and captions by their words, where DATA holds them. Exit code 1 where
    something found makes scores wrong; notes alone leave it 0. Nothing is written.
    """
    with when_stopped("Checking writes nothing."), progress_shown() as progress:
        loaded = None if hasher is None else Hasher.load(hasher)
        if loaded is None:
            dataset = load_items(data, progress, seed=seed or 0)
        else:
            encoders = encoders_for(loaded, text_encoder, image_encoder, hasher)
            dataset = load_items(data, progress, seed=data_seed(seed, loaded), **encoders)
            check_encoders(loaded, dataset)
        found = findings(dataset, loaded, split)
    if as_json:
        show_json({"data": dataset.name, "leaks": sum(f.leak for f in found), "findings": [f.to_json() for f in found]})
    else:
        for one in found:
            rows = ", ".join(f"{query} = {other}" for query, other in one.rows[:5])
            show(f"{'Leak' if one.leak else 'Note'} ({one.what}): {one.told}" + (f" Rows {rows}." if rows else ""))
        show(f"{dataset.name}: {sum(f.leak for f in found)} leaks, {sum(not f.leak for f in found)} notes.")
    raise typer.Exit(1 if any(one.leak for one in found) else 0)


def findings(dataset: Dataset, hasher: Hasher | None, split_file: Path | None) -> list[Finding]:
    """All that is found of a data set, its split and a hasher."""
    split = dataset.split if split_file is None else read_split(split_file).rows_of(dataset.pairs)
    found = []
    # What repeats a query was taken out when the data was loaded; whoever reads it otherwise has it in.
    repeated = [one for one in dataset.skipped if "same content as query row" in one.reason]
    if repeated:
        told = f"{len(repeated):,} train or database rows repeat a query, picture and text: evaluate --drop-duplicates."
        couples = tuple((int(one.reason.split("query row ")[1].split(";")[0]), one.row) for one in repeated[:10])
        found.append(Finding("same pair", True, told, len(repeated), couples))
    found += content_leaks(dataset.pairs, split, captions=dataset.captions, pictures=dataset.pictures)
    found += order_leaks(dataset.pairs, split)
    return found + ([] if hasher is None else hasher_leaks(hasher, dataset.pairs, split.query[:_ENCODED]))
