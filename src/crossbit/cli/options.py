"""The options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        help="emoji, a file of features (.npz, .mat), a folder of pictures with .txt captions, a CSV, TSV, JSON Lines "
        "or Parquet file, WebDataset shards, the output of img2dataset or a saved datasets folder.",
        metavar="DATA",
    ),
]
HasherFile = Annotated[Path, typer.Argument(help="A hasher file, as crossbit fit writes it.", metavar="HASHER")]
CollectionFolder = Annotated[Path, typer.Argument(help="A folder that crossbit index built.", metavar="COLLECTION")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document on stdout.")]
DropDuplicates = Annotated[
    bool,
    typer.Option("--drop-duplicates", help="Take what repeats a query out of train and database, not refuse DATA."),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random: the same seed gives the same codes.", min=0)]
DataSeed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        help="Seed of what is drawn from DATA: a folder's split and vocabulary. Without it the seed the hasher was "
        "fitted with, which draws the same again.",
        min=0,
    ),
]
TextEncoderName = Annotated[
    str,
    typer.Option(
        "--text-encoder",
        metavar="NAME",
        help="What reads the texts of DATA that are not features yet: minilm, bag-of-words, tf-idf, "
        "hub:PACKAGE/NAME or own:package.module:Class. The hasher keeps the vocabulary of bag-of-words and tf-idf.",
    ),
]
ImageEncoderName = Annotated[
    str,
    typer.Option(
        "--image-encoder",
        metavar="NAME",
        help="What reads the pictures of DATA that are not features yet: efficientnet-lite0, "
        "hub:PACKAGE/NAME or own:package.module:Class.",
    ),
]
KnownTextEncoder = Annotated[
    str | None,
    typer.Option(
        "--text-encoder", metavar="NAME", help="The text encoder, where the hasher does not tell how to load it."
    ),
]
KnownImageEncoder = Annotated[
    str | None,
    typer.Option(
        "--image-encoder", metavar="NAME", help="The picture encoder, where the hasher does not tell how to load it."
    ),
]
Bits = Annotated[int, typer.Option("--bits", help="Code length in bits.", min=1, max=4096)]
Where = Annotated[
    str | None,
    typer.Option(
        "--where", metavar="CONDITION", help="Only items for which it holds: \"year > 2019 AND tag = 'cat'\"."
    ),
]
