"""crossbit data prepare: a public data set, from the files of its site to what the other commands take."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from crossbit.cli.console import progress_shown, show, show_json, show_table, when_stopped
from crossbit.cli.options import AsJson
from crossbit.cli.places import check_folder_place, own_command
from crossbit.datasets.benchmarks import BENCHMARKS, benchmark_named
from crossbit.datasets.prepared import PreparedFolder, prepare_benchmark
from crossbit.errors import SettingsError


def prepare(
    name: Annotated[str, typer.Argument(help="A public data set; without it, all are listed.")] = "",
    source: Annotated[
        Path | None, typer.Option("--from", help="The folder with the unpacked downloads of the data set's own site.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The folder to write; by default NAME-VARIANT.")] = None,
    variant: Annotated[str, typer.Option(help="One of the data set's variants; by default its first.")] = "",
    allow_counts: Annotated[
        list[str] | None,
        typer.Option(help="A count that may differ from the record, or all; kept in the output. May be repeated."),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--without-pictures", help="Whether the picture files must be there.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Draws the splits that the data set does not ship.", min=0)] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what was prepared there before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Prepare a public benchmark data set from its original files; nothing is downloaded.

    Reads the files as their site ships them, checks every count that is known of the data set, and writes a table of
    items, labels, bag-of-words features and splits as lists of ids. A file that is missing is named, with the official
    page. The folder that is written is DATA for fit, index and evaluate (with --text-encoder bag-of-words: by the data
    set's own vocabulary); FOLDER/splits/NAME.json is the same with another split.
    """
    if not name:
        _show_all(as_json=as_json)
        return
    benchmark = benchmark_named(name)
    if source is None:
        raise SettingsError(
            f"Say with --from where the unpacked files of {benchmark.title} are: {'; '.join(benchmark.files)}. They "
            f"come from {benchmark.page}."
        )
    folder = out or Path(f"{name}-{variant or next(iter(benchmark.variants))}")
    check_folder_place(folder)
    with when_stopped(f"{folder} is not whole; prepare it again."), progress_shown() as progress:
        written = prepare_benchmark(
            benchmark,
            source,
            folder,
            variant=variant,
            allow_counts=allow_counts or (),
            pictures=pictures,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        show_json(_as_json(name, written))
        return
    _show(written)


def _show_all(*, as_json: bool) -> None:
    if as_json:
        show_json(
            [
                {
                    "name": each.name,
                    "title": each.title,
                    "page": each.page,
                    "files": list(each.files),
                    "variants": dict(each.variants),
                    "counts": {variant: dict(record.counts) for variant, record in each.records.items()},
                    "evidence": {
                        variant: {what: record.evidence_of(what) for what in record.counts}
                        for variant, record in each.records.items()
                    },
                }
                for each in BENCHMARKS.values()
            ]
        )
        return
    for each in BENCHMARKS.values():
        show(f"{each.name}: {each.title}, {each.page}")
        show(f"  files: {'; '.join(each.files)}")
        for variant, told in each.variants.items():
            show(f"  {variant}: {told}")


def _as_json(name: str, written: PreparedFolder) -> dict[str, Any]:
    return {
        "name": name,
        "folder": str(written.folder),
        "pairs": written.n,
        "revision": written.revision,
        "missing_pictures": written.missing_pictures,
        "counts": {
            count.what: {"expected": count.expected, "found": count.found, "differs": count.differs}
            | ({"evidence": count.evidence} if count.evidence else {})
            for count in written.counts
        },
        "splits": {split: dict(sizes) for split, sizes in written.splits.items()},
        "splits_left_out": dict(written.left_out),
    }


def _show(written: PreparedFolder) -> None:
    rows = [
        [
            count.what,
            "-" if count.expected is None else f"{count.expected:,}",
            f"{count.found:,}",
            count.evidence,
            "allowed to differ" if count.differs else "",
        ]
        for count in written.counts
    ]
    show(f"{written.folder}: {written.n:,} pairs, revision {written.revision}.")
    show_table("", ["count", "expected", "found", "known by", ""], rows, right=["expected", "found"])
    for split, sizes in written.splits.items():
        told = ", ".join(f"{n:,} {part}" for part, n in sizes.items())
        show(f"Split {split}: {told} ({written.folder / 'splits' / split}.json)")
    for split, why in written.left_out.items():
        show(f"Split {split} was not drawn: {why}")
    if written.missing_pictures:
        show(f"Without a picture: {written.missing_pictures:,} pairs; fit and index leave them out.")
    show(f"Next:  {own_command()} fit {shlex.quote(str(written.folder))} --text-encoder bag-of-words")
