"""crossbit fit: learn a hasher from data."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossbit.cli.calibrate import hold_out, with_calibration
from crossbit.cli.console import progress_shown, show, show_json, when_stopped
from crossbit.cli.data import Encoders, keep_left_out, listed, load_data, show_left_out
from crossbit.cli.evaluate import show_monitor
from crossbit.cli.options import (
    AsJson,
    Bits,
    Data,
    DropDuplicates,
    ImageEncoderName,
    Seed,
    TextEncoderName,
)
from crossbit.cli.pixels import BackboneName, FromPixelsOption, fit_from_pixels, pixel_learner
from crossbit.cli.places import check_file_place, check_folder_place, own_command
from crossbit.cli.queries import Named
from crossbit.cli.reading import EVERYTHING, reading_words, reads_source
from crossbit.cli.settings import method_with
from crossbit.datasets import Dataset, Reading
from crossbit.evaluation import CodeMonitor, code_monitors
from crossbit.hasher import Hasher
from crossbit.method import Method
from crossbit.progress import Progress

if TYPE_CHECKING:
    from crossbit.pixels import FromPixels


@reads_source
def fit(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Where the hasher file goes.")] = Path("hasher.safetensors"),
    method: Annotated[str, typer.Option(help="The method that learns; crossbit methods lists them.")] = "kdcmh",
    bits: Bits = 64,
    seed: Seed = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A setting of the method; may be given several times. @FILE: those of an experiment file.",
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A folder for the last finished epoch: the same command goes on from there after a stop."),
    ] = None,
    text_encoder: TextEncoderName = "minilm",
    image_encoder: ImageEncoderName = "efficientnet-lite0",
    calibrate: Annotated[
        float | None,
        typer.Option(
            help="Share of the train rows that is not learned from but tells what distances say; 0 for none. Without "
            "it: database rows that are no train rows where there are 200, else 0.05 where that is enough.",
            min=0,
            max=0.5,
        ),
    ] = None,
    from_pixels: FromPixelsOption = False,
    backbone: BackboneName = "tiny",
    drop_duplicates: DropDuplicates = False,
    reading: Reading = EVERYTHING,
    as_json: AsJson = False,
) -> None:
    """Learn a hasher from DATA and write it to a file.

    Only the train rows of DATA are learned from; labels are used by supervised methods alone. The hasher also keeps
    what its distances say of a match, measured on pairs it did not learn from.
    """
    check_file_place(out)
    if checkpoint is not None:
        check_folder_place(checkpoint, "--checkpoint")
    learner = method_with(method, settings or (), n_bits=bits, seed=seed)
    pixels = pixel_learner(from_pixels, learner, backbone, image_encoder, settings or ())
    with when_stopped(_kept(out, checkpoint)), progress_shown() as progress:
        painter = pixels.start() if pixels else image_encoder
        encoders: Encoders = {"text_encoder": text_encoder, "image_encoder": painter}
        dataset = load_data(data, progress, drop_duplicates=drop_duplicates, seed=seed, reading=reading, **encoders)
        dataset, held_out = hold_out(dataset, calibrate, seed)
        began = time.perf_counter()
        hasher, dataset = learned_by(pixels or learner, dataset, out, progress, checkpoint)
        seconds = time.perf_counter() - began
        hasher = with_calibration(hasher, dataset, held_out, seed)
        hasher.save(out)
        monitor = training_monitor(hasher, dataset)
    listing = keep_left_out(out, dataset.skipped)
    result = {
        "hasher": str(out),
        "fingerprint": hasher.fingerprint(),
        "method": hasher.method,
        "n_bits": hasher.n_bits,
        "data": dataset.name,
        "train_pairs": len(dataset.split.train),
        "calibration_pairs": 0 if hasher.calibration is None else hasher.calibration.pairs,
        "skipped": listed(dataset.skipped),
        "skipped_file": listing,
        "seconds": round(seconds, 3),
        "settings": dict(hasher.settings),
        "report": dict(hasher.report),
        "monitor": monitor.to_json(),
    }
    if as_json:
        show_json(result)
        return
    named = Named(text_encoder, image_encoder).words("image", "text")
    _show_fitted(out, f"{shlex.quote(data)}{reading_words(reading)}{named}", hasher, dataset, seconds)
    show_left_out(dataset.skipped, listing)
    show_monitor(monitor)


def _kept(out: Path, checkpoint: Path | None) -> str:
    """What is there when the command is stopped."""
    if checkpoint:
        return f"The last finished epoch is kept in {checkpoint}; the same command goes on from there."
    return f"No hasher was written; what stood at {out} before is untouched. (--checkpoint FOLDER keeps epochs.)"


def _show_fitted(out: Path, data: str, hasher: Hasher, dataset: Dataset, seconds: float) -> None:
    show(
        f"{out}: {hasher.n_bits} bits by {hasher.method}, learned from {hasher.report['pairs']} pairs of "
        f"{dataset.name} in {seconds:.1f} s."
    )
    if "left_out" in hasher.report:
        show(f"Left out: {hasher.report['left_out']}")
    files = f"{shlex.quote(str(out))} {data}"
    show(f"Next:  {own_command()} index {files} --out collection")
    if dataset.pairs.labels is not None:
        show(f"or     {own_command()} evaluate {files}")


def training_monitor(hasher: Hasher, dataset: Dataset) -> CodeMonitor:
    """Signs of collapse in the codes of the training pairs; no labels are involved."""
    pairs = dataset.pairs[dataset.split.train]
    return code_monitors(hasher.encode_images(pairs.image), hasher.encode_texts(pairs.text))


def learned_by(
    learner: Method | FromPixels, dataset: Dataset, out: Path, progress: Progress, checkpoint: Path | None
) -> tuple[Hasher, Dataset]:
    """The hasher, bound to its encoders, and the data set as these encode it; from pixels these are new."""
    if isinstance(learner, Method):
        return fit_on(learner, dataset, progress, checkpoint), dataset
    hasher, encoded = fit_from_pixels(learner, dataset, out, progress, checkpoint)
    return bound_to(hasher, encoded), encoded


def fit_on(method: Method, dataset: Dataset, progress: Progress, checkpoint: Path | None = None) -> Hasher:
    """A hasher learned from a data set's train rows, bound to the encoders of its features."""
    hasher = method.fit(dataset.pairs[dataset.split.train], progress=progress, checkpoint=checkpoint)
    return bound_to(hasher, dataset)


def bound_to(hasher: Hasher, dataset: Dataset) -> Hasher:
    """The hasher with the fingerprints of the encoders that made a data set's features, where they are known."""
    if {"image", "text"} <= set(dataset.encoders):
        vocabulary = None if dataset.vocabulary is None else dataset.vocabulary.to_json()
        names = dataset.encoders
        return hasher.with_encoders(image=names["image"], text=names["text"], vocabulary=vocabulary)
    return hasher
