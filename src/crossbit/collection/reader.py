"""What can be read from a collection: its facts, its items, and searches in both directions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from crossbit.codes import Codes
from crossbit.collection.block import Modality
from crossbit.collection.conditions import Plain
from crossbit.collection.engines import BuiltEngine, EngineName
from crossbit.collection.hits import Hit, Wanted, check_modality, checked_k, search_snapshot
from crossbit.collection.ids import id_column
from crossbit.collection.manifest import Manifest
from crossbit.collection.prepared import OTHER
from crossbit.collection.snapshot import Item, Snapshot
from crossbit.collection.state import State
from crossbit.encoders import Vocabulary
from crossbit.errors import DataError
from crossbit.hasher import Hasher


class Reader(ABC):
    """Reads the present state of a collection. What it reads never changes under it: a change makes a new state."""

    @property
    @abstractmethod
    def _state(self) -> State: ...

    @property
    def manifest(self) -> Manifest:
        """What stands in the folder; `len`, `n_image` and `n_text` also count what its log adds."""
        return self._state.manifest

    @property
    def hasher(self) -> Hasher:
        """What made the codes and encodes queries."""
        return self._state.hasher

    @property
    def vocabulary(self) -> Vocabulary | None:
        """What makes typed words into features where the hasher's texts are bags of words or TF-IDF; None elsewhere."""
        return self._state.vocabulary

    @property
    def snapshot(self) -> Snapshot:
        """The items at this moment: for several reads that must agree with each other."""
        return self._state.snapshot

    def __len__(self) -> int:
        return len(self.snapshot)

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and int(self.snapshot.find(id_column([item_id]))[0]) >= 0

    @property
    def n_bits(self) -> int:
        """The code length in bits."""
        return self.manifest.n_bits

    @property
    def n_image(self) -> int:
        """How many items have an image code."""
        return self.snapshot.count("image")

    @property
    def n_text(self) -> int:
        """How many items have a text code."""
        return self.snapshot.count("text")

    @property
    def columns(self) -> dict[str, str]:
        """The metadata columns by name, each "text", "integer", "real" or "boolean"."""
        return dict(self.snapshot.kinds)

    @property
    def engines(self) -> tuple[BuiltEngine, ...]:
        """What searches the codes of each segment and modality, why, and with what recall; see `build_engines`."""
        return self.snapshot.engines()

    def ids(self) -> Iterator[str]:
        """The ids of all items, in the order of their rows."""
        return self.snapshot.ids()

    def ids_where(self, where: str) -> list[str]:
        """The ids of the items for which a condition holds; raises SettingsError where it cannot be read."""
        return self.snapshot.ids_where(where)

    def get(self, item_id: str) -> Item:
        """An item by its id; raises DataError when there is none."""
        snapshot = self.snapshot
        return snapshot.item(snapshot.row_of(item_id))

    def thumbnail(self, item_id: str) -> bytes | None:
        """The bytes of an item's small picture (PNG, JPEG or WebP), if it has one; raises DataError without item."""
        snapshot = self.snapshot
        return snapshot.thumbnail(snapshot.row_of(item_id))

    def code(self, item_id: str, modality: Modality) -> Codes:
        """The (1, n_bits) code of an item; raises DataError where there is none."""
        check_modality(modality)
        snapshot = self.snapshot
        code = snapshot.code(snapshot.row_of(item_id), modality)
        if code is None:
            raise DataError(f"The item {item_id!r} has no {modality} code; ask by its {OTHER[modality]}.")
        return code

    def facets(self, column: str, *, where: str | None = None, limit: int = 100) -> dict[Plain, int]:
        """The values of a column with the number of items that have each, most frequent first, at most `limit`.

        column: a metadata column, or has_image, has_text, caption, picture. where: count only what it keeps. None
        stands for items without a value. Raises SettingsError for an unknown column or a filter that cannot be read.
        """
        return self.snapshot.facets(column, where, limit)

    def search(
        self,
        queries: Codes,
        k: int = 10,
        *,
        among: Modality,
        by: Modality | None = None,
        where: str | None = None,
        max_distance: int | None = None,
        min_confidence: float | None = None,
        engine: EngineName = "auto",
    ) -> list[list[Hit]]:
        """The k nearest items of each query code (q, n_bits), nearest first, ties by row; fewer where there are fewer.

        among: "image" searches pictures, "text" searches texts. by: what the queries are codes of; the other kind
        unless told otherwise (only confidences depend on it). where: a condition on the columns, such as
        "year > 2019 AND tag = 'cat'"; only items that fulfil it are searched. max_distance: leave out hits that
        differ in more bits. min_confidence: leave out hits below it; needs a calibrated hasher. engine: "auto" for the
        engines that were built (`engines`), "exact" to compare every code all the same, or the name of one of them.

        Raises WidthError for codes of another length, SettingsError for settings out of range or a filter that
        cannot be read, DataError when no item has a code of that kind.
        """
        check_modality(among)
        state, wanted = self._state, Wanted(by or OTHER[among], among, where, max_distance, min_confidence, engine)
        return search_snapshot(state.snapshot, state.hasher.calibration, queries, k, wanted)

    def search_texts(
        self,
        features: NDArray[Any],
        k: int = 10,
        *,
        among: Modality = "image",
        where: str | None = None,
        max_distance: int | None = None,
        min_confidence: float | None = None,
        engine: EngineName = "auto",
    ) -> list[list[Hit]]:
        """Search by text features (q, d_text), pictures unless told otherwise. See `search`."""
        state = self._state
        wanted = Wanted("text", among, where, max_distance, min_confidence, engine)
        return search_snapshot(state.snapshot, state.hasher.calibration, state.hasher.encode_texts(features), k, wanted)

    def search_images(
        self,
        features: NDArray[Any],
        k: int = 10,
        *,
        among: Modality = "text",
        where: str | None = None,
        max_distance: int | None = None,
        min_confidence: float | None = None,
        engine: EngineName = "auto",
    ) -> list[list[Hit]]:
        """Search by image features (q, d_image), texts unless told otherwise. See `search`."""
        state = self._state
        wanted = Wanted("image", among, where, max_distance, min_confidence, engine)
        return search_snapshot(
            state.snapshot, state.hasher.calibration, state.hasher.encode_images(features), k, wanted
        )

    def search_item(
        self,
        item_id: str,
        k: int = 10,
        *,
        by: Modality | None = None,
        among: Modality | None = None,
        where: str | None = None,
        max_distance: int | None = None,
        min_confidence: float | None = None,
        engine: EngineName = "auto",
    ) -> list[Hit]:
        """Search by an item that stands in the collection; the item itself is not among the hits. See `search`.

        by: which of its codes asks; its text unless it has none. among: what is searched; the other modality.
        """
        state = self._state
        snapshot = state.snapshot
        row = snapshot.row_of(item_id)
        if by is None:
            by = "text" if snapshot.item(row).has_text else "image"
        check_modality(by)
        code = snapshot.code(row, by)
        if code is None:
            raise DataError(f"The item {item_id!r} has no {by} code; ask by its {OTHER[by]}.")
        wanted = Wanted(by, among or OTHER[by], where, max_distance, min_confidence, engine)
        found = search_snapshot(snapshot, state.hasher.calibration, code, checked_k(k) + 1, wanted)[0]
        others = [hit for hit in found if hit.row != row][:k]
        return [replace(hit, rank=rank) for rank, hit in enumerate(others, 1)]
