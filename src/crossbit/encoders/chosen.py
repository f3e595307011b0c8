"""Some of a sequence of pictures, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from crossbit.pairs import Rows


@dataclass(frozen=True, eq=False)
class Chosen(Sequence[bytes | Path]):
    """The pictures of some rows, in that order; nothing is read or copied before one is asked for."""

    pictures: Sequence[bytes | Path]
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> bytes | Path: ...
    @overload
    def __getitem__(self, place: slice) -> Chosen: ...
    def __getitem__(self, place: int | slice) -> bytes | Path | Chosen:
        """One picture, or those of a part of the rows."""
        if isinstance(place, slice):
            return Chosen(self.pictures, self.rows[place])
        return self.pictures[int(self.rows[place])]
