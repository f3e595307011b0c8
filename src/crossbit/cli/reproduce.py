"""crossbit reproduce: run an experiment file, store its results, and say how they stand beside the paper's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from crossbit.cli.console import progress_shown, say, show, show_json, show_table, when_stopped
from crossbit.cli.options import AsJson
from crossbit.cli.places import check_folder_place, own_command
from crossbit.errors import SettingsError
from crossbit.experiment import Experiment, Job, Result, expected_of, read_experiment, read_result, run_job, why_due
from crossbit.experiment.comparison import EVIDENCE, Comparison, compare
from crossbit.experiment.data import experiment_data
from crossbit.experiment.files import experiment_named, experiment_paths, read_published
from crossbit.progress import Progress


def reproduce(
    name: Annotated[str, typer.Argument(help="An experiment's name or .toml file; without it, all are listed.")] = "",
    data: Annotated[
        Path | None,
        typer.Option(help="The folder with NAME.npz files and prepared data; else CROSSBIT_DATA, else ./data."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder that results go to.")] = Path("results"),
    bits: Annotated[list[int] | None, typer.Option(help="Only these code lengths of the plan; repeatable.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only these seeds of the plan; repeatable.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Run also what has a result that holds.")] = False,
    image_encoder: Annotated[
        str, typer.Option(help="Encodes the pictures of prepared data without an image.npy.")
    ] = "efficientnet-lite0",
    as_json: AsJson = False,
) -> None:
    """Run an experiment, store each result, and print it beside the paper's number.

    Every difference between the two is named: data, features, split, ties, selection; and how the paper's number is
    known. A result that holds is not run again. Where the data is absent, what to prepare is said.
    """
    if not name:
        _list(as_json=as_json)
        return
    experiment = experiment_named(name)
    jobs = _chosen(experiment, bits or (), seed or ())
    check_folder_place(out)
    folder = data or Path(os.environ.get("CROSSBIT_DATA") or "data")
    kept = f"Finished results are kept in {out}; the same command goes on from there."
    with when_stopped(kept), progress_shown() as progress:
        found = [
            compared
            for result in _results(jobs, folder, out, image_encoder, progress, again=again)
            for compared in result
        ]
    if as_json:
        show_json({"experiment": name, "results": str(out), "comparisons": [each.to_json() for each in found]})
        return
    _show(name, found)
    show(f"Next:  {own_command()} report {out}")


def _chosen(experiment: Experiment, bits: Sequence[int], seeds: Sequence[int]) -> list[Job]:
    """The jobs of the plan with the code lengths and the seeds asked for."""
    jobs = [
        job
        for job in experiment.jobs()
        if (not bits or job.n_bits in bits or not job.n_bits) and (not seeds or job.seed in seeds)
    ]
    if not jobs:
        plan = "; ".join(f"{n} bits: seeds {', '.join(map(str, own))}" for n, own in experiment.plan.items())
        raise SettingsError(f"The experiment's plan has no such job; it has {plan}.")
    return jobs


def _results(
    jobs: Sequence[Job], folder: Path, out: Path, image_encoder: str, progress: Progress, *, again: bool
) -> list[list[Comparison]]:
    """Every job's result, run or read, compared."""
    dataset = experiment_data(jobs[0].experiment.data, folder, image_encoder=image_encoder, progress=progress)
    published = read_published()
    compared = []
    for job in jobs:
        path = job.result_path(out)
        why = "asked for" if again else why_due(path, expected_of(job, dataset))
        if why:
            say(f"crossbit: {job.name} is measured ({why}).")
            run_job(job, dataset, progress=progress).write(path)
        result: Result = read_result(path)
        compared.append(compare(result, published))
    return compared


def _list(*, as_json: bool) -> None:
    """All experiments, with the data they need."""
    rows: list[dict[str, Any]] = []
    for name, path in sorted(
        experiment_paths().items(), key=lambda item: (item[1].parent.name != "reproduce", item[0])
    ):
        experiment = read_experiment(path)
        lengths = ", ".join(str(n) for n in experiment.plan if n)
        rows.append({"name": name, "method": experiment.row, "data": experiment.data, "bits": lengths})
    if as_json:
        show_json(rows)
        return
    show_table("", ["experiment", "method", "data", "bits"], [list(row.values()) for row in rows])


def _show(name: str, found: Sequence[Comparison]) -> None:
    figures = ["ours I2T", "ours T2I", "paper I2T", "paper T2I"]
    rows = [
        [
            *(each.result, each.preset, f"{each.ours[0]:.4f}", f"{each.ours[1]:.4f}"),
            *(("-", "-") if each.paper is None else (f"{each.paper[0]:.3f}", f"{each.paper[1]:.3f}")),
            *(each.protocol_id, each.evidence),
        ]
        for each in found
    ]
    show_table(name, ["result", "protocol", *figures, "our protocol id", "evidence"], rows, right=figures)
    for source in dict.fromkeys((each.source, each.paper_protocol, each.evidence) for each in found if each.paper):
        show(f"Paper: {source[0]}, {source[1]} ({source[2]}: {EVIDENCE.get(source[2], 'unknown')})")
    if not any(each.paper for each in found):
        show("No published number of this method is known to us at these code lengths and protocols.")
    told = dict.fromkeys(sentence for each in found for sentence in each.differences)
    if told:
        show("What keeps the two from meaning the same:")
    for sentence in told:
        show(f"- {sentence}")
