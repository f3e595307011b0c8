"""Tiny pictures, and the files in which people keep pictures and texts, for the tests of sources."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from crossbit.encoders import Encoded, Skipped, open_picture
from crossbit.errors import DataError
from crossbit.sources import Record, Source


def png(shade: int) -> bytes:
    """A small picture that differs by its shade, 0 to 255."""
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), (shade, 255 - shade, 40)).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(folder: Path, *names: str) -> Path:
    """A folder with a picture of each name; picture i has the shade 10 * i."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(10 * number))
    return folder


def jsonl(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tar(path: Path, *members: tuple[str | tarfile.TarInfo, bytes]) -> Path:
    """An archive; a member is a name or a whole header, and its content."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            if isinstance(name, str):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def saved_dataset(folder: Path, columns: dict[str, Any], features: dict[str, Any], files: int = 1) -> Path:
    """A folder as `datasets.Dataset.save_to_disk` writes it."""
    folder.mkdir(parents=True)
    table = pa.table(columns)
    names = [f"data-{number:05d}-of-{files:05d}.arrow" for number in range(files)]
    for number, name in enumerate(names):
        first, last = (len(table) * place // files for place in (number, number + 1))
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.slice(first, last - first), max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in names], "_indices_data_files": None, "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


IMAGES = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def read(source: Source) -> list[Record]:
    """All records, after what holds for every source: the same again, and the same from any place on."""
    records = list(source.records())
    assert list(source.records()) == records
    assert len({record.id for record in records}) == len(records)
    assert source.count() in (None, len(records))
    for start in range(len(records) + 2):
        assert list(source.records(start)) == records[start:]
    assert source.fingerprint() == source.fingerprint()
    return records


def problems(records: Sequence[Record]) -> list[str]:
    return [record.problem for record in records]


class MeanColour:
    """Pictures to their mean red, green, blue and brightness; needs no torch."""

    width = 4

    def fingerprint(self) -> str:
        return "mean-colour-1"

    def encode(self, items: Sequence[Any]) -> Encoded:
        rows, kept, skipped = [], [], []
        for row, item in enumerate(items):
            try:
                colour = np.asarray(open_picture(item), np.float32).mean(axis=(0, 1)) / 255
            except DataError as error:
                skipped.append(Skipped(row, str(error)))
                continue
            kept.append(row)
            rows.append([*colour, colour.mean() + 0.01])
        return Encoded(np.array(rows, np.float32).reshape(-1, 4), np.array(kept, np.int64), tuple(skipped))


class LetterCounts:
    """Texts to how often they hold a, e, i, o and u; needs no torch."""

    width = 5

    def fingerprint(self) -> str:
        return "letter-counts-1"

    def encode(self, items: Sequence[str]) -> Encoded:
        return Encoded.whole(np.array([[item.count(letter) for letter in "aeiou"] for item in items]).reshape(-1, 5))
