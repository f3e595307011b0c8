"""crossbit demo: the whole way once, from pictures and words to codes, scores, a collection and a page to look at."""

from __future__ import annotations

import json
import platform
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from crossbit import __version__
from crossbit.cli.console import progress_shown, show, show_json, show_table, when_stopped
from crossbit.cli.fit import fit_on
from crossbit.cli.index import build_collection
from crossbit.cli.options import AsJson, Bits, Seed
from crossbit.cli.places import check_folder_place, own_command
from crossbit.cli.queries import query_encoder
from crossbit.cli.showcase import (
    TYPED,
    Searched,
    picture_questions,
    query_rows,
    score_lines,
    text_questions,
    typed_questions,
)
from crossbit.collection.build import check_target
from crossbit.datasets import Dataset, code_dataset, load_dataset
from crossbit.evaluation import P50, PALL, Evaluation
from crossbit.evaluation import evaluate as measure
from crossbit.files import write_whole
from crossbit.hasher import Hasher
from crossbit.method import Method
from crossbit.methods import load_method
from crossbit.progress import Progress
from crossbit.report import Question, Report, write_contact_sheet, write_page

CREDIT = "Emoji pictures: Twemoji, graphics licensed CC BY 4.0 by Twitter, Inc. and other contributors."


ENTRANTS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    # JDSH on its own, at the student's code length: fewer than the published 300 epochs, for the clock. The student
    # fits a teacher of its own inside, by its defaults.
    ("teacher", "jdsh", {"epochs": 60}),
    ("student", "kdcmh", {}),
    ("baseline", "cca-itq", {}),
)
"""Who takes part, by role: a method and where its settings depart from its defaults."""

QUICK_ENTRANTS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("teacher", "cca-sign", {}),
    ("student", "cca-itq", {}),
    ("baseline", "random-projection", {}),
)


@dataclass(frozen=True, eq=False)
class Entrant:
    """A fitted hasher in the demonstration. name: its method as shown. role: teacher, student or baseline."""

    name: str
    role: str
    hasher: Hasher
    seconds: float


def demo(
    out: Annotated[Path, typer.Option("--out", help="The folder that everything goes to.")] = Path("crossbit-demo"),
    bits: Bits = 64,
    seed: Seed = 0,
    quick: Annotated[bool, typer.Option("--quick", hidden=True, help="Shallow methods in place of deep ones.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go the whole way on emoji and show what came out.

    Encodes pictures and texts, fits a teacher and its student, evaluates, builds a collection, asks it, and writes
    a page (report.html), a contact sheet (contact_sheet.png) and the scores (scores.json).
    """
    check_target(out / "collection", overwrite=True)
    check_folder_place(out)
    began = time.perf_counter()
    tell: Callable[[str], None] = (lambda sentence: None) if as_json else show
    kept = f"What was finished stands in {out}; encoded features are kept, so the same command starts faster."
    with when_stopped(kept), progress_shown() as progress:
        tell("1. Pictures and texts of emoji become feature rows (kept for the next time).")
        dataset = load_dataset("emoji", progress=progress)
        tell(f"2. Three methods learn {bits}-bit codes from {len(dataset.split.train)} pairs, without labels.")
        entrants = fit_entrants(dataset, bits, seed, progress, quick=quick)
        result = present(dataset, entrants, out, seed, progress)
    result["seconds"] = round(time.perf_counter() - began, 1)
    if as_json:
        show_json(result)
        return
    show_table("", *_score_table(result["scores"]), right=["I2T", "T2I"])
    show(f"\nDone in {result['seconds']:.0f} s. Look at")
    for name in ("report", "contact_sheet", "scores_file"):
        show(f"  {result[name]}")
    show(f"Next, search the collection with words of your own:\n  {result['next']}")


def fit_entrants(dataset: Dataset, bits: int, seed: int, progress: Progress, *, quick: bool = False) -> list[Entrant]:
    """The teacher, the student that it taught and a shallow baseline, fitted on the train rows."""
    entrants = []
    for role, name, settings in QUICK_ENTRANTS if quick else ENTRANTS:
        method: Method = load_method(name)().with_settings({**settings, "n_bits": bits, "seed": seed})
        began = time.perf_counter()
        hasher = fit_on(method, dataset, _named(role, progress))
        entrants.append(Entrant(name.upper(), role, hasher, time.perf_counter() - began))
    return entrants


def _named(role: str, progress: Progress) -> Progress:
    """The same progress with the role before each stage: the student's own teacher is not the teacher shown."""
    return lambda step: progress(replace(step, stage=f"{role}: {step.stage}"))


def present(dataset: Dataset, entrants: Sequence[Entrant], out: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """Evaluate, build the student's collection, ask, and write all files; returns what stands where."""
    teacher, student = entrants[0], entrants[1]
    evaluations = {
        one.name: (one.role, measure(one.hasher, dataset.pairs, dataset.split, (PALL, P50))) for one in entrants
    }
    student.hasher.save(out / "hasher.safetensors")
    collection = build_collection(
        out / "collection", student.hasher, code_dataset(dataset, student.hasher), progress, overwrite=True
    )
    scores = {
        "data": dataset.name,
        "n_bits": student.hasher.n_bits,
        "seed": seed,
        "methods": {name: {"role": role, **evaluation.to_json()} for name, (role, evaluation) in evaluations.items()},
        "fit_seconds": {one.name: round(one.seconds, 2) for one in entrants},
        "crossbit": __version__,
    }
    write_whole(out / "scores.json", (json.dumps(scores, indent=1, allow_nan=False) + "\n").encode())
    report = report_of(dataset, (teacher, student), entrants, evaluations, seed)
    write_page(report, out / "report.html")
    write_contact_sheet(report, out / "contact_sheet.png")
    return {
        "report": str(out / "report.html"),
        "contact_sheet": str(out / "contact_sheet.png"),
        "scores_file": str(out / "scores.json"),
        "hasher": str(out / "hasher.safetensors"),
        "collection": str(collection.path),
        "next": f'{own_command()} search {shlex.quote(str(collection.path))} "{TYPED[0]}"',
        "scores": {
            name: {scores.protocol.name: scores.to_json() for scores in evaluation.scores}
            for name, (_, evaluation) in evaluations.items()
        },
    }


def report_of(
    dataset: Dataset,
    compared: Sequence[Entrant],
    entrants: Sequence[Entrant],
    evaluations: Mapping[str, tuple[str, Evaluation]],
    seed: int,
) -> Report:
    """The report: typed words, texts and pictures of the query split, the hits of each compared hasher, scores."""
    searched = [Searched.of(f"{one.name} {one.role}", one.hasher, dataset) for one in compared]
    rows = query_rows(dataset, 14, seed)
    questions: list[Question] = []
    if "text" in dataset.encoders:
        features = query_encoder(compared[-1].hasher, "text").encode(list(TYPED)).features
        questions += typed_questions(dataset, searched, TYPED, np.asarray(features))
    questions += text_questions(dataset, searched, rows[:8])
    questions += picture_questions(dataset, searched, rows[8:])
    lines, protocols = score_lines(evaluations)
    n_bits = compared[0].hasher.n_bits
    introduction = (
        f"{len(dataset):,} {dataset.name} pictures and their words, each made a code of {n_bits} bits "
        f"({n_bits // 8} bytes), learned from pairs without a single label. A search counts differing bits. "
        "Every query below is new: none was among the pairs learned from and searched."
    )
    made = {
        "data": f"{dataset.name} {dataset.revision}, split {dataset.split.fingerprint()}",
        "seed": str(seed),
        **{f"{one.name} ({one.role})": f"{one.seconds:.1f} s; {_settings(one.hasher)}" for one in entrants},
        "encoders": "; ".join(f"{side}: {name}" for side, name in dataset.encoders.items()),
        "versions": f"crossbit {__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
    }
    if "teacher" in compared[-1].hasher.settings:
        teacher, student = compared[0], compared[-1]
        made["teacher and student"] = (
            f"{teacher.name} is shown on its own, at the student's code length, after "
            f"{teacher.hasher.report['epochs']} epochs, fewer than the published 300; {student.name} learns from a "
            "teacher of its own, named among its settings."
        )
    title = f"crossbit: {dataset.name} in {n_bits} bits"
    return Report(title, introduction, n_bits, questions, lines, protocols, made, CREDIT)


def _settings(hasher: Hasher) -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in hasher.settings.items())


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items()) + ")"
    return str(value)


def _score_table(scores: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    rows = [
        [name, protocol, f"{values['i2t']:.3f}", f"{values['t2i']:.3f}", values["protocol_id"]]
        for name, protocols in scores.items()
        for protocol, values in protocols.items()
    ]
    return ["method", "protocol", "I2T", "T2I", "protocol id"], rows
