"""Data sets as the commands load them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from crossbit.cli.console import show
from crossbit.datasets import Dataset, Reading, load_dataset
from crossbit.datasets.parts import write_left_out
from crossbit.encoders import Encoder, Skipped, encoder_of, load_image_encoder, load_text_encoder
from crossbit.encoders.names import IMAGE_ENCODER, TEXT_ENCODER
from crossbit.encoders.tuned import find_tuned
from crossbit.errors import MismatchError, SplitError
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
    reading: Reading | None = None,
) -> Dataset:
    """The data set of a name or path. drop_duplicates: take what a query repeats out of train and database.

    text_encoder, image_encoder: read what is encoded here; a .npz file has its features already. seed: draws the
    split of a source, and with it the train captions whose words are a vocabulary. reading: how a source is read.

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
            reading=reading,
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
    reading: Reading | None = None,
) -> Dataset:
    """A data set whose pairs are wanted and whose split is not: repetitions within it do not matter."""
    given: Encoders = {"text_encoder": text_encoder, "image_encoder": image_encoder}
    return load_data(source, progress, drop_duplicates=True, seed=seed, reading=reading, **given)


def check_encoders(hasher: Hasher, dataset: Dataset) -> None:
    """Raise MismatchError when hasher and data set both name their encoders and these differ."""
    check_fingerprints(hasher, dataset.encoders, dataset.name)


def check_fingerprints(hasher: Hasher, encoders: Mapping[str, str], name: str) -> None:
    """Raise MismatchError when hasher and data both name their encoders and these differ."""
    for modality in ("image", "text"):
        wanted, given = hasher.encoders.get(modality), encoders.get(modality)
        if wanted and given and wanted != given:
            raise MismatchError(
                f"The hasher was fitted on {modality} features of {wanted}; those of {name} are of {given}. "
                "Encode the data with the same encoder, or fit a hasher on this data."
            )


def keep_left_out(out: Path, skipped: Sequence[Skipped]) -> str | None:
    """Write what was left out beside a result, `NAME.skipped.jsonl`; its path, or None where nothing was."""
    path = write_left_out(out.with_name(f"{out.stem}.skipped.jsonl"), skipped)
    return None if path is None else str(path)


def show_left_out(skipped: Sequence[Skipped], path: str | None = None) -> None:
    """A line on what was left out, where something was. path: the file that lists it."""
    if skipped:
        more = f" (all in {path})" if path else ""
        show(f"Left out: {len(skipped)}, the first: {skipped[0].reason}{more}")


def listed(skipped: Sequence[Skipped]) -> list[dict[str, Any]]:
    """What was left out as plain values."""
    return [{"row": skip.row, "reason": skip.reason} for skip in skipped]


class Encoders(TypedDict):
    """The encoders of data, as the loaders take them."""

    text_encoder: str | Encoder
    image_encoder: str | Encoder


def encoders_for(
    hasher: Hasher, text: str | None = None, image: str | None = None, place: Path | None = None
) -> Encoders:
    """What encodes data for a hasher as that was encoded which it was fitted on, as `load_items` takes it.

    text, image: names of encoders, where the hasher's fingerprints do not tell how to load them. place: the hasher's
    file, beside which an encoder lies that was tuned with it. Raises MismatchError for an encoder that is not known,
    before anything is encoded. A hasher on ready features takes ready features.
    """
    return {"text_encoder": _text_encoder(hasher, text), "image_encoder": _image_encoder(hasher, image, place)}


def _text_encoder(hasher: Hasher, name: str | None) -> str | Encoder:
    fingerprint = hasher.encoders.get("text")
    if fingerprint is None:
        return name or TEXT_ENCODER
    if fingerprint.startswith("bag-of-words-") and not hasher.vocabulary:
        return "bag-of-words"  # a hasher from before it carried its vocabulary: right on the data it was fitted on
    return encoder_of(fingerprint, hasher.vocabulary, encoder=None if name is None else load_text_encoder(name))


def _image_encoder(hasher: Hasher, name: str | None, place: Path | None) -> str | Encoder:
    fingerprint = hasher.encoders.get("image")
    if fingerprint is None:
        return name or IMAGE_ENCODER
    if name is None and place is not None:
        return encoder_of(fingerprint, encoder=find_tuned(fingerprint, place))
    return encoder_of(fingerprint, encoder=None if name is None else load_image_encoder(name))


def data_seed(seed: int | None, hasher: Hasher) -> int:
    """The seed that draws from data for a hasher: as given, else the one it was fitted with: both draw alike."""
    return int(hasher.settings.get("seed", 0)) if seed is None else seed
