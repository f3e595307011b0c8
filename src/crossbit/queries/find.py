"""The encoder of a query: an export that lies with the collection or the hasher, or else the encoder itself."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from crossbit import encoders
from crossbit.encoders import Encoder, Vocabulary
from crossbit.encoders.tuned import find_tuned
from crossbit.errors import MismatchError, MissingExtraError
from crossbit.hasher import Hasher
from crossbit.queries.manifest import is_export
from crossbit.queries.opened import Queries

FOLDER = "query"
_WHAT = {"text": "words", "image": "pictures"}


def export_place(place: Path) -> Path:
    """Where the export of a hasher or a collection lies: NAME.query beside a file NAME.safetensors, query in a folder.

    place: the hasher's file, or the folder of a collection or of a shared hasher.
    """
    return place / FOLDER if place.is_dir() else place.with_suffix(f".{FOLDER}")


def find_queries(place: Path) -> Queries | None:
    """The export of a hasher's file or a collection's folder, or None where there is none.

    Raises FileFormatError for one that is damaged.
    """
    folder = export_place(place)
    return Queries.open(folder) if is_export(folder) else None


def query_encoder(
    hasher: Hasher,
    modality: str,
    place: Path | None = None,
    vocabulary: Vocabulary | None = None,
    encoder: Encoder | None = None,
) -> Encoder:
    """The encoder that makes queries of a modality ("image" or "text") for a hasher.

    It is the one given as `encoder`, which must have the fingerprint that the hasher names. Else it is the vocabulary
    given or the hasher's own, the export at `place` (see `export_place`), the encoder that was tuned with the hasher
    and lies there, or a packaged encoder; the last two need torch. It is the first of these that has the fingerprint
    that the hasher names, so that queries are encoded as the data was.

    Raises MismatchError where none has, FileFormatError for a damaged export, and MissingExtraError, with what to
    run, where it needs what is not installed.
    """
    fingerprint = hasher.encoders.get(modality)
    if fingerprint is None:
        raise MismatchError(
            f"This hasher was fitted on features from a file, so crossbit cannot encode new {_WHAT[modality]} for it."
        )
    if encoder is not None:
        _check_fingerprint(encoder, fingerprint, modality)
        return encoder
    if vocabulary is not None and vocabulary.fingerprint() == fingerprint:
        return vocabulary
    if hasher.vocabulary and modality == "text":
        return encoders.encoder_of(fingerprint, hasher.vocabulary)
    queries = find_queries(place) if place is not None else None
    exported = queries is not None and queries.encoders.get(modality) == fingerprint
    if queries is not None and exported and _is_installed("onnxruntime"):
        return queries.encoder(modality)
    found = encoders.encoder_of(fingerprint, encoder=None if place is None else find_tuned(fingerprint, place))
    if not _is_installed("torch"):
        raise MissingExtraError(_needed(modality, exported), "query" if exported else "train")
    return found


def _check_fingerprint(encoder: Encoder, fingerprint: str, modality: str) -> None:
    if encoder.fingerprint() != fingerprint:
        raise MismatchError(
            f"The hasher was fitted on {modality} features of {fingerprint}; the encoder given is "
            f"{encoder.fingerprint()}. Name the encoder it was fitted with, with the files of that time."
        )


def _needed(modality: str, exported: bool) -> str:
    if exported:
        return f"Asking with {_WHAT[modality]} by the export that lies with the collection"
    return (
        f"Asking with {_WHAT[modality]} needs torch here, as there is no export. Where crossbit[train,export] is "
        "installed, run  crossbit export COLLECTION  and copy the collection back, then it needs no torch. Without "
        "that, encoding"
    )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # an import hook may refuse by raising
        return False
