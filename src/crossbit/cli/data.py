"""Data sets as the commands load them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossbit.cli.console import show
from crossbit.datasets import Dataset, load_dataset
from crossbit.datasets.folder import Files
from crossbit.encoders import Encoder, Skipped, encoder_of, load_image_encoder, load_text_encoder
from crossbit.encoders.names import IMAGE_ENCODER, TEXT_ENCODER
from crossbit.errors import SplitError
from crossbit.hasher import Hasher
from crossbit.progress import Progress


def load_data(
    source: str,
    progress: Progress,
    *,
    drop_duplicates: bool,
    text_encoder: str | Encoder = TEXT_ENCODER,
    image_encoder: str | Encoder = IMAGE_ENCODER,
    seed: int = 0,
) -> Dataset:
    """The data set of a name or path. drop_duplicates: take what a query repeats out of train and database.

    text_encoder, image_encoder: read what is encoded here; a .npz file has its features already. seed: draws the
    split of a folder, and with it the train captions whose words are a vocabulary.

    Raises what the loader raises; a split with such repetitions is refused with a word on --drop-duplicates.
    """
    try:
        duplicates = "drop" if drop_duplicates else "refuse"
        return load_dataset(
            source,
            text_encoder=text_encoder,
            image_encoder=image_encoder,
            duplicates=duplicates,
            seed=seed,
            progress=progress,
        )
    except SplitError as error:
        raise SplitError(str(error).replace('duplicates="drop"', "--drop-duplicates")) from error


def load_items(
    source: str,
    progress: Progress,
    *,
    text_encoder: str | Encoder = TEXT_ENCODER,
    image_encoder: str | Encoder = IMAGE_ENCODER,
    seed: int = 0,
) -> Dataset:
    """A data set whose pairs are wanted and whose split is not: repetitions within it do not matter."""
    encoders = {"text_encoder": text_encoder, "image_encoder": image_encoder}
    return load_data(source, progress, drop_duplicates=True, seed=seed, **encoders)


def left_out(dataset: Dataset) -> tuple[Skipped, ...]:
    """The items that are not among a data set's pairs. (Of a .npz file only rows of its split are ever left out.)"""
    return dataset.skipped if isinstance(dataset.pictures, Files) else ()


def show_left_out(skipped: Sequence[Skipped]) -> None:
    """A line on what was left out, where something was."""
    if skipped:
        show(f"Left out: {len(skipped)}, the first: {skipped[0].reason}")


def listed(skipped: Sequence[Skipped]) -> list[dict[str, Any]]:
    """What was left out as plain values."""
    return [{"row": skip.row, "reason": skip.reason} for skip in skipped]


def encoders_for(hasher: Hasher, text: str | None = None, image: str | None = None) -> dict[str, str | Encoder]:
    """What encodes data for a hasher as that was encoded which it was fitted on, as `load_items` takes it.

    text, image: names of encoders, where the hasher's fingerprints do not tell how to load them. Raises MismatchError
    for an encoder that is not known, before anything is encoded. A hasher on ready features takes ready features.
    """
    return {"text_encoder": _text_encoder(hasher, text), "image_encoder": _image_encoder(hasher, image)}


def _text_encoder(hasher: Hasher, name: str | None) -> str | Encoder:
    fingerprint = hasher.encoders.get("text")
    if fingerprint is None:
        return name or TEXT_ENCODER
    if fingerprint.startswith("bag-of-words-") and not hasher.vocabulary:
        return "bag-of-words"  # a hasher from before it carried its vocabulary: right on the data it was fitted on
    return encoder_of(fingerprint, hasher.vocabulary, encoder=None if name is None else load_text_encoder(name))


def _image_encoder(hasher: Hasher, name: str | None) -> str | Encoder:
    fingerprint = hasher.encoders.get("image")
    if fingerprint is None:
        return name or IMAGE_ENCODER
    return encoder_of(fingerprint, encoder=None if name is None else load_image_encoder(name))


def data_seed(seed: int | None, hasher: Hasher) -> int:
    """The seed that draws from data for a hasher: as given, else the one it was fitted with: both draw alike."""
    return int(hasher.settings.get("seed", 0)) if seed is None else seed
