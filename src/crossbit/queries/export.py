"""Writing an export: a graph from prepared input to features and code for each modality, held to the encoder itself."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from crossbit import __version__
from crossbit.encoders import Encoder
from crossbit.encoders.tuned import TunedEncoder
from crossbit.errors import FileFormatError, MismatchError
from crossbit.files import flush, write_whole
from crossbit.hasher import Hasher, HashFunction
from crossbit.progress import Progress, Step, silent
from crossbit.queries.agreement import agreement
from crossbit.queries.exportable import can_trace, traceable
from crossbit.queries.graphs import check_installed, write_graph
from crossbit.queries.manifest import MANIFEST, QueryManifest, Side, is_export
from crossbit.queries.opened import Queries
from crossbit.queries.traceable import NoGraphError, Traceable

MODALITIES = ("image", "text")
_VOCABULARIES = ("bag-of-words-", "tf-idf-")


@dataclass(frozen=True)
class Exported:
    """What was written, and where. left_out: modalities without a graph, each with the reason."""

    folder: Path
    manifest: QueryManifest
    left_out: Mapping[str, str]

    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {name: (self.folder / name).stat().st_size for name in self.manifest.files}


def export_queries(
    hasher: Hasher,
    folder: str | Path,
    progress: Progress = silent,
    *,
    tuned: TunedEncoder | None = None,
    named: Mapping[str, Encoder] | None = None,
) -> Exported:
    """Write the query side of a hasher as ONNX to a folder, whole or not at all; an export there is replaced.

    For each modality whose encoder is a network: a graph from prepared input to features, values and code, and the
    tokenizer of texts. What is written is first compared with the encoder itself. tuned: the image encoder, where it
    was tuned with the hasher; `find_tuned` reads it. named: encoders of the hub by modality, where their files
    are in a folder that the hasher cannot know.

    Raises MismatchError where no encoder of the hasher can be exported, MissingExtraError where torch, onnx,
    onnxscript or onnxruntime is not installed, FileFormatError where something else stands at `folder`, DataError
    where a graph gives other codes than its encoder.
    """
    folder = Path(folder).absolute()
    check_place(folder)
    left_out = reasons_against(hasher, tuned)
    _check_something(left_out)
    check_installed()
    wanted = [modality for modality in MODALITIES if modality not in left_out]
    with _replaced(folder) as part:
        sides, encoders = {}, {}
        for done, modality in enumerate(wanted):
            progress(Step("export", done, len(wanted)))
            try:
                source = traceable(hasher.encoders[modality], tuned, (named or {}).get(modality))
                sides[modality] = _write_side(part, modality, source, getattr(hasher, modality))
            except NoGraphError as error:
                left_out[modality] = str(error)
                continue
            encoders[modality] = source.encoder
        _check_something(left_out)
        manifest = _manifest(part, hasher, sides)
        opened = Queries(part, manifest)
        agreed = {m: replace(sides[m], agreement=agreement(opened.encoder(m), hasher, m, encoders[m])) for m in sides}
        manifest = replace(manifest, sides=agreed)
        write_whole(part / MANIFEST, manifest.to_json())
        progress(Step("export", len(wanted), len(wanted)))
    return Exported(folder, manifest, left_out)


def reasons_against(hasher: Hasher, tuned: TunedEncoder | None = None) -> dict[str, str]:
    """Why a modality's encoder gets no graph, by modality; none where it gets one."""
    reasons = {}
    for modality in MODALITIES:
        fingerprint = hasher.encoders.get(modality)
        if fingerprint is None:
            reasons[modality] = "the hasher was fitted on features from elsewhere, so crossbit knows no encoder."
        elif fingerprint.startswith(_VOCABULARIES):
            reasons[modality] = f"{fingerprint} is a vocabulary, which needs no graph and no torch."
        elif not can_trace(fingerprint, tuned):
            reasons[modality] = f"crossbit does not know how to export the encoder {fingerprint}."
    return reasons


def _check_something(left_out: Mapping[str, str]) -> None:
    if len(left_out) == len(MODALITIES):
        raise MismatchError("There is nothing to export. " + " ".join(f"{m}: {left_out[m]}" for m in MODALITIES))


def check_place(folder: Path) -> None:
    """Raise FileFormatError where something stands at `folder` that is no export: it is never replaced."""
    if not (folder.is_symlink() or folder.exists()) or is_export(folder):
        return
    if not folder.is_dir() or any(folder.iterdir()):
        raise FileFormatError(f"{folder} holds something else than an export and is left alone; choose another place.")


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its place when the block succeeds."""
    mark = secrets.token_hex(4)
    part, old = (folder.parent / f".{folder.name}.{mark}.{kind}" for kind in ("part", "old"))
    try:
        part.mkdir(parents=True)
        yield part
        for file in [*part.iterdir(), part]:
            flush(file)
        if folder.exists():
            os.rename(folder, old)
        os.rename(part, folder)
        flush(folder.parent)
    finally:
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _write_side(folder: Path, modality: str, source: Traceable, function: HashFunction) -> Side:
    graph, tokenizer = f"{modality}.onnx", ""
    write_graph(folder / graph, source, function)
    if source.tokenizer:
        tokenizer = "tokenizer.json"
        (folder / tokenizer).write_text(source.tokenizer, encoding="utf-8")
    how = source.pictures or source.texts
    assert how is not None  # a traceable has one of the two
    return Side(source.encoder.fingerprint(), source.encoder.width, graph, tokenizer, asdict(how))


def _manifest(folder: Path, hasher: Hasher, sides: Mapping[str, Side]) -> QueryManifest:
    files = sorted(name for side in sides.values() for name in side.files)
    return QueryManifest(
        hasher=hasher.fingerprint(),
        n_bits=hasher.n_bits,
        sides=dict(sides),
        files={name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
        versions={"crossbit": __version__, **{name: version(name) for name in ("torch", "onnx", "onnxscript")}},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
