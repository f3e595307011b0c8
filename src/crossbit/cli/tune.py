"""crossbit tune: settings chosen without labels."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from crossbit.cli.console import progress_shown, show, show_json, show_table, when_stopped
from crossbit.cli.data import load_data
from crossbit.cli.options import AsJson, Bits, Data, DropDuplicates, ImageEncoderName, Seed, TextEncoderName
from crossbit.cli.places import check_folder_place, own_command
from crossbit.cli.reading import EVERYTHING, reading_words, reads_source
from crossbit.cli.settings import method_with
from crossbit.cli.spaces import spaces_given
from crossbit.datasets import Dataset, Reading
from crossbit.files import write_whole
from crossbit.method import Method
from crossbit.tuning import PROXY, Study, Trial, experiment_text
from crossbit.tuning import tune as run_study
from crossbit.tuning import tuned as best_of
from crossbit.tuning.search import check_asked

STUDY, BEST = "study.json", "best.toml"
_SHOWN = 5


@reads_source
def tune(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="The folder of the study; the same command goes on there.")] = Path(
        "study"
    ),
    method: Annotated[str, typer.Option(help="The method whose settings are looked for.")] = "kdcmh",
    bits: Bits = 64,
    seed: Seed = 0,
    trials: Annotated[int, typer.Option(help="How many settings are drawn, beside those at hand.", min=1)] = 20,
    timeout: Annotated[float | None, typer.Option(help="Begin no fit after so many seconds.", min=0)] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=LOW..HIGH|NAME=A,B,C",
            help="Where a setting is looked for, instead of the method's usual spaces; may be given several times.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting that stays; may be given several times."),
    ] = None,
    proxy: Annotated[
        str, typer.Option(help="The figure of held-out pairs to choose by; see docs/choosing.md.")
    ] = PROXY,
    held_out: Annotated[float, typer.Option(help="Share of the train pairs that settings are judged on.")] = 0.2,
    pairs: Annotated[
        int | None, typer.Option(help="Take so many random train pairs, since each trial is a fit; else all.", min=2)
    ] = None,
    text_encoder: TextEncoderName = "minilm",
    image_encoder: ImageEncoderName = "efficientnet-lite0",
    drop_duplicates: DropDuplicates = False,
    reading: Reading = EVERYTHING,
    as_json: AsJson = False,
) -> None:
    """Look for settings of a method by figures of held-out train pairs that need no labels.

    Queries, the database and all labels stay out of it. The study is kept after each fit, and the best settings are
    written as an experiment file.
    """
    check_folder_place(out)
    learner = method_with(method, settings or (), n_bits=bits, seed=seed)
    spaces = check_asked(learner, spaces_given(learner, space or ()), proxy=proxy, held_out=held_out)
    kept = f"Finished trials are kept in {out / STUDY}; the same command goes on from there."
    with when_stopped(kept), progress_shown() as progress:
        dataset = load_data(
            data,
            progress,
            drop_duplicates=drop_duplicates,
            text_encoder=text_encoder,
            image_encoder=image_encoder,
            seed=seed,
            reading=reading,
        )
        found = run_study(
            learner,
            dataset.pairs.without_labels()[dataset.split.train],
            spaces=spaces,
            trials=trials,
            timeout=timeout,
            proxy=proxy,
            held_out=held_out,
            at_most=pairs,
            seed=seed,
            study=out / STUDY,
            progress=progress,
        )
    best = best_of(learner, found)
    write_whole(out / BEST, experiment_text(best, _known_as(data, dataset), note=_note(found)).encode())
    words = [own_command(), "fit", data, "--method", method, "--bits", str(bits), "--seed", str(seed)]
    after = f"{shlex.join([*words, '--set', f'@{out / BEST}'])}{reading_words(reading)}"
    if as_json:
        show_json(_result(found, best, out, after))
        return
    _show(found, out, after)


def _known_as(data: str, dataset: Dataset) -> str:
    """What an experiment file calls the data: the name that FOLDER/NAME.npz is found by."""
    return Path(data).stem if Path(data).suffix == ".npz" else dataset.name


def _note(study: Study) -> str:
    held, fitted = study.about["pairs"]["held_out"], study.about["pairs"]["fitted"]
    return (
        f"settings chosen without labels from {len(study.trials)} fits on {fitted} train pairs by {study.proxy} of "
        f"{held} others"
    )


def _result(study: Study, best: Method, out: Path, after: str) -> dict[str, Any]:
    return {
        "study": str(out / STUDY),
        "experiment": str(out / BEST),
        "proxy": study.proxy,
        "best": study.best.to_json(),
        "settings": best.settings(),
        "next": after,
        **study.to_json(),
    }


def _show(study: Study, out: Path, after: str) -> None:
    ended = [trial for trial in study.trials if trial.proxies is not None]
    order = sorted(ended, key=lambda trial: -(trial.judged(study.proxy) or 0.0))
    shown = order[:_SHOWN] + [trial for trial in order[_SHOWN:] if trial.number == 0]
    show(f"{study.about['method']}, {len(study.trials)} fits, the best by {study.proxy} of held-out pairs:")
    show_table(
        "",
        ["trial", study.proxy, "settings"],
        [[str(trial.number), f"{trial.judged(study.proxy):.4f}", _told(trial)] for trial in shown],
        right=["trial", study.proxy],
    )
    failed = [trial for trial in study.trials if trial.problem]
    if failed:
        show(f"{len(failed)} fits failed; the first, trial {failed[0].number}: {failed[0].problem}")
    if study.best.number == 0:
        show("No draw was judged better than the settings as they were.")
    show(f"Settings: {out / BEST}; study: {out / STUDY}")
    show(f"Next:  {after}")


def _told(trial: Trial) -> str:
    if not trial.number:
        return "as they were"
    return ", ".join(f"{name}={value}" for name, value in trial.values.items())
