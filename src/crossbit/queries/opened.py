"""An export opened: for each modality the encoder that stands in for the one the hasher was fitted on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from crossbit.errors import FileFormatError, MismatchError
from crossbit.queries.manifest import QueryManifest, Side, checked_file
from crossbit.queries.preparation import PicturePreparation
from crossbit.queries.runtime import ExportedPictures, ExportedTexts, Graph
from crossbit.queries.text_preparation import TextPreparation


@dataclass(frozen=True, eq=False)
class Queries:
    """An export's encoders. Each is loaded when it first encodes and then kept; threads may share it.

    folder: where the files are. manifest: what they are. threads: how many compute one batch.
    """

    folder: Path
    manifest: QueryManifest
    threads: int = 1
    _encoders: dict[str, ExportedPictures | ExportedTexts] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for modality, side in self.manifest.sides.items():
            self._encoders[modality] = self._encoder(modality, side)

    @classmethod
    def open(cls, folder: str | Path, *, threads: int = 1) -> Self:
        """Open an export; its graphs are checked and loaded when they are first used.

        Raises FileFormatError where there is none, or where its manifest is damaged or of another version.
        """
        return cls(Path(folder), QueryManifest.read(Path(folder)), threads)

    @property
    def encoders(self) -> dict[str, str]:
        """The fingerprints of the encoders that the export stands for, by modality."""
        return {modality: side.encoder for modality, side in self.manifest.sides.items()}

    def encoder(self, modality: str) -> ExportedPictures | ExportedTexts:
        """The encoder of a modality, "image" or "text"; raises MismatchError where the export has none."""
        if modality not in self._encoders:
            held = ", ".join(self.manifest.sides) or "none"
            raise MismatchError(f"The export at {self.folder} has no {modality} encoder; it holds: {held}.")
        return self._encoders[modality]

    def _encoder(self, modality: str, side: Side) -> ExportedPictures | ExportedTexts:
        graph = Graph(self.folder, side.graph, self.manifest, self.threads)
        if modality == "image":
            return ExportedPictures(graph, side.encoder, side.width, PicturePreparation.from_json(side.preparation))
        if modality == "text" and side.tokenizer:
            tokenizer = partial(checked_file, self.folder, side.tokenizer, self.manifest)
            preparation = TextPreparation.from_json(side.preparation)
            return ExportedTexts(graph, side.encoder, side.width, tokenizer, preparation)
        raise FileFormatError(f"{self.folder} has a {modality} side that this crossbit does not know. Export again.")
