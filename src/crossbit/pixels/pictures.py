"""Prepared pictures by row number: decoded when they are asked for, and kept where all of them fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossbit.encoders.backbones import Backbone, Pixels
from crossbit.encoders.encoder import Skipped
from crossbit.encoders.pictures import open_picture
from crossbit.errors import DataError


class PreparedPictures:
    """n pictures as a backbone takes them. Memory stays at one batch, or at `cache_bytes` where that holds them all.

    pictures: contents of picture files, or their paths; read again at every use unless they are kept.
    """

    def __init__(self, pictures: Sequence[bytes | Path], backbone: Backbone, cache_bytes: int) -> None:
        self.pictures = pictures
        self.backbone = backbone
        n, side = len(pictures), backbone.side
        fits = n * 3 * side * side <= cache_bytes
        self._kept: Pixels | None = np.empty((n, 3, side, side), np.uint8) if fits else None
        self._known = np.zeros(n, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def kept(self) -> bool:
        """Whether decoded pictures are kept."""
        return self._kept is not None

    def one(self, row: int) -> Pixels:
        """(3, side, side) of one picture; raises DataError with the reason where it cannot be opened."""
        if self._kept is not None and self._known[row]:
            return self._kept[row]  # type: ignore[no-any-return]
        prepared = self.backbone.prepare(open_picture(self.pictures[row]))
        if self._kept is not None:
            self._kept[row] = prepared
            self._known[row] = True
        return prepared

    def readable(self, rows: Sequence[int]) -> tuple[Pixels, list[int], list[Skipped]]:
        """The rows that can be opened, as (k, 3, side, side) and their numbers, and the others with their reasons."""
        found: list[Pixels] = []
        kept: list[int] = []
        skipped: list[Skipped] = []
        for row in rows:
            try:
                found.append(self.one(row))
                kept.append(row)
            except DataError as error:
                skipped.append(Skipped(row, str(error)))
        side = self.backbone.side
        return (np.stack(found) if found else np.empty((0, 3, side, side), np.uint8)), kept, skipped

    def batch(self, rows: NDArray[np.int64]) -> Pixels:
        """(b, 3, side, side) of rows that could be opened before; raises DataError where one no longer can."""
        pixels, _, skipped = self.readable([int(row) for row in rows])
        if skipped:
            raise DataError(
                f"Picture {skipped[0].row} could be opened before and no longer can: {skipped[0].reason}. "
                "Keep the files in place while training runs; the same call goes on from its checkpoint."
            )
        return pixels
