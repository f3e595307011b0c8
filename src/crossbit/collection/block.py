"""Some items with all that belongs to them: what is added, logged, moved from segment to segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from crossbit.collection.filters import as_mask, booleans

Modality = Literal["image", "text"]
MODALITIES: tuple[Modality, Modality] = ("image", "text")

Packed = NDArray[np.uint8]
Real = NDArray[np.float32]
Kept = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Block:
    """n items. batch: their columns. codes: by modality, (m, bytes) of the m items that have it, in their order.

    features: by modality, (m, d) float32, only where a collection stores them.
    """

    batch: pa.RecordBatch
    codes: Mapping[Modality, Packed]
    features: Mapping[Modality, Real] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    @property
    def ids(self) -> pa.Array:
        """The items' ids."""
        return self.batch.column("id")

    def present(self, modality: Modality) -> Kept:
        """Which items have this modality, (n,) bool."""
        return present_in(self.batch, modality)

    def filter(self, kept: Kept) -> Block:
        """The items for which kept (n,) is True."""
        if kept.all():
            return self
        codes, features = {}, {}
        for modality in MODALITIES:
            inside = kept[self.present(modality)]
            codes[modality] = self.codes[modality][inside]
            if modality in self.features:
                features[modality] = self.features[modality][inside]
        return Block(self.batch.filter(as_mask(kept)), codes, features)

    def dense(self, modality: Modality) -> Packed:
        """Codes (n, bytes) with zeros where an item lacks the modality."""
        codes = self.codes[modality]
        dense = np.zeros((len(self), codes.shape[1]), np.uint8)
        dense[self.present(modality)] = codes
        return dense


def present_in(batch: pa.RecordBatch, modality: Modality) -> Kept:
    """Which rows of a batch have a modality, (n,) bool."""
    return booleans(batch.column(f"has_{modality}"))


def same_items(left: Block, right: Block) -> Kept:
    """Which items of two blocks of equal length agree in all columns and codes, (n,) bool.

    A column that one of them lacks counts as without values. Features are not compared: equal items have equal ones.
    """
    same = np.ones(len(left), dtype=np.bool_)
    for name in dict.fromkeys([*left.batch.schema.names, *right.batch.schema.names]):
        columns = [_column(block.batch, name) for block in (left, right)]
        if columns[0] is None or columns[1] is None:
            only = next(column for column in columns if column is not None)
            equal: Any = pc.is_null(only)
        else:
            both = pc.and_(pc.is_null(columns[0]), pc.is_null(columns[1]))
            equal = pc.or_(pc.fill_null(pc.equal(*columns), False), both)
        same &= booleans(equal)
    for modality in MODALITIES:
        same &= (left.dense(modality) == right.dense(modality)).all(axis=1)
    return same


def _column(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    place = batch.schema.get_field_index(name)
    return None if place < 0 else batch.column(place)
