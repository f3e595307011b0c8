"""Encoders that run exported graphs on onnxruntime: pictures and texts to features with no torch installed."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from crossbit.encoders import Encoded, Skipped, open_picture
from crossbit.errors import DataError, FileFormatError, MissingExtraError
from crossbit.queries.manifest import QueryManifest, checked_file
from crossbit.queries.preparation import PicturePreparation
from crossbit.queries.text_preparation import TextPreparation


class Graph:
    """A graph of an export, checked and loaded when it is first run. Any number of threads may run it at once."""

    def __init__(self, folder: Path, name: str, manifest: QueryManifest, threads: int = 1) -> None:
        """threads: how many compute one batch. One is best where several requests are answered at once."""
        self._checked = partial(checked_file, folder, name, manifest)
        self._threads = threads
        self._loading = threading.Lock()
        self._session: Any = None

    def run(self, output: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """One output of the graph; inputs that it does not take are left out.

        Raises FileFormatError for a file that is not what was exported, MissingExtraError without onnxruntime.
        """
        session = self._loaded()
        taken = {node.name for node in session.get_inputs()}
        (values,) = session.run([output], {name: array for name, array in inputs.items() if name in taken})
        return np.asarray(values)

    def _loaded(self) -> Any:
        with self._loading:
            if self._session is None:
                self._session = _session(self._checked(), self._threads)
            return self._session


def _session(path: Path, threads: int) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415 - an optional package, needed only where queries are encoded
    except ModuleNotFoundError as error:
        raise MissingExtraError("Encoding queries without torch", "query") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors only: what it says of its own optimisations is nothing for a person
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a class of its own for each kind of fault
        raise FileFormatError(f"{path} is not a graph that onnxruntime can run ({error}).") from error


class ExportedPictures:
    """Pictures to features by an exported graph. It stands for the encoder of the same fingerprint."""

    def __init__(self, graph: Graph, encoder: str, width: int, preparation: PicturePreparation, batch: int = 4) -> None:
        """encoder: the fingerprint it stands for. batch: pictures computed at once."""
        self.graph, self.preparation = graph, preparation
        self._encoder, self._width, self._batch = encoder, width, batch

    @property
    def width(self) -> int:
        """d, the number of features a picture has."""
        return self._width

    def fingerprint(self) -> str:
        """That of the encoder it stands for."""
        return self._encoder

    def encode(self, items: Sequence[bytes | Path]) -> Encoded:
        """Features (k, d) of the pictures (file contents or paths) that can be opened; the others are named."""
        rows: list[NDArray[np.float32]] = []
        kept: list[int] = []
        skipped: list[Skipped] = []
        waiting: list[NDArray[np.float32]] = []
        for row, item in enumerate(items):
            try:
                waiting.append(self.preparation(open_picture(item)))
                kept.append(row)
            except DataError as error:
                skipped.append(Skipped(row, str(error)))
            if len(waiting) == self._batch or (waiting and row == len(items) - 1):
                rows.append(self.graph.run("features", {"pixels": np.stack(waiting)}))
                waiting.clear()
        features = np.concatenate(rows) if rows else np.zeros((0, self.width), np.float32)
        return Encoded(features, np.array(kept, dtype=np.int64), tuple(skipped))

    def inputs(self, items: Sequence[bytes | Path]) -> dict[str, NDArray[np.float32]]:
        """What the graph takes: the pixels (n, 3, side, side) of pictures; raises DataError for one that is damaged."""
        return {"pixels": np.stack([self.preparation(open_picture(item)) for item in items])}


class ExportedTexts:
    """Texts to features by an exported graph and its tokenizer. It stands for the encoder of the same fingerprint."""

    def __init__(
        self,
        graph: Graph,
        encoder: str,
        width: int,
        tokenizer: partial[Path],
        preparation: TextPreparation,
        batch: int = 32,
    ) -> None:
        """encoder: the fingerprint it stands for. tokenizer: gives the path of the checked file. batch: of texts."""
        self.graph, self.preparation = graph, preparation
        self._encoder, self._width, self._batch = encoder, width, batch
        self._tokenizer_file = tokenizer
        self._loading = threading.Lock()
        self._tokenizer: Tokenizer | None = None

    @property
    def width(self) -> int:
        """d, the number of features a text has."""
        return self._width

    def fingerprint(self) -> str:
        """That of the encoder it stands for."""
        return self._encoder

    def encode(self, items: Sequence[str]) -> Encoded:
        """Features (k, d) of the texts; an item that is no text is named in the outcome.

        A text without a letter or a figure gives a row of zeros.
        """
        skipped = tuple(
            Skipped(row, f"a text is given as str, not as {type(item).__name__}")
            for row, item in enumerate(items)
            if not isinstance(item, str)
        )
        kept = np.array([row for row, item in enumerate(items) if isinstance(item, str)], dtype=np.int64)
        texts = [item for item in items if isinstance(item, str)]
        features = np.zeros((len(kept), self.width), np.float32)
        spoken = [place for place, text in enumerate(texts) if any(letter.isalnum() for letter in text)]
        spoken.sort(key=lambda place: len(texts[place]))  # texts of like length share a batch: little padding
        for start in range(0, len(spoken), self._batch):
            places = spoken[start : start + self._batch]
            inputs = self.inputs([texts[place] for place in places])
            features[places] = self.graph.run("features", inputs)
        return Encoded(features, kept, skipped)

    def inputs(self, items: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """What the graph takes: the tokens (n, length) of the texts, and a mask of those that are no padding."""
        encodings = self._loaded_tokenizer().encode_batch([self.preparation(item) for item in items])
        return {
            "tokens": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
            "mask": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
        }

    def _loaded_tokenizer(self) -> Tokenizer:
        with self._loading:
            if self._tokenizer is None:
                path = self._tokenizer_file()
                try:
                    self._tokenizer = Tokenizer.from_file(str(path))
                except Exception as error:  # tokenizers raises plain Exception
                    raise FileFormatError(f"{path} is not a tokenizer that can be read ({error}).") from error
            return self._tokenizer
