"""A collection: created from a hasher, codes and items; opened; searched by text, by picture and by item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from crossbit import __version__
from crossbit.codes import Codes
from crossbit.collection.build import build_folder
from crossbit.collection.items import Items, StoredItems, write_items
from crossbit.collection.manifest import Manifest, file_checksum
from crossbit.encoders import Vocabulary, load_vocabulary
from crossbit.errors import CrossbitError, DataError, FileFormatError, MismatchError, SettingsError, WidthError
from crossbit.hasher import Hasher
from crossbit.index import ExactIndex

Modality = Literal["image", "text"]
OTHER: dict[Modality, Modality] = {"image": "text", "text": "image"}
HASHER, ITEMS, VOCABULARY = "hasher.safetensors", "items.parquet", "vocabulary.json"
CODES: dict[Modality, str] = {"image": "image-codes.npy", "text": "text-codes.npy"}


@dataclass(frozen=True)
class Hit:
    """One item found. rank: from 1. row, id, caption, picture: which item. distance: differing bits, 0 to n_bits."""

    rank: int
    row: int
    id: str
    distance: int
    caption: str
    picture: str


@dataclass(frozen=True, eq=False)
class Collection:
    """A searchable folder, opened. path: the folder. hasher: what made its codes and encodes queries.

    items: the names of the items. codes: by modality, the codes of the items that have it, in the order of `rows`.
    rows: by modality, the item rows the codes belong to. vocabulary: what makes typed words into features where the
    hasher's texts are bags of words; None with another encoder, or where it was not given.
    """

    path: Path
    manifest: Manifest
    hasher: Hasher
    items: StoredItems
    codes: dict[Modality, Codes]
    rows: dict[Modality, NDArray[np.int64]]
    vocabulary: Vocabulary | None = None

    @classmethod
    def create(
        cls,
        path: str | Path,
        hasher: Hasher,
        items: Items,
        *,
        image: Codes | None = None,
        text: Codes | None = None,
        without_image: NDArray[np.integer] | tuple[int, ...] = (),
        without_text: NDArray[np.integer] | tuple[int, ...] = (),
        vocabulary: Vocabulary | None = None,
        overwrite: bool = False,
    ) -> Self:
        """Build a collection at `path`, whole or not at all, and open it.

        image, text: (n, n_bits) codes, one row an item; None where no item has that modality. without_image,
        without_text: rows of items that lack it, whose codes are left out. vocabulary: the bag of words that the
        hasher's text features come from, kept so that typed words can ask. overwrite: replace a collection there.

        Raises SettingsError, WidthError, MismatchError or DataError for what does not fit, FileFormatError when
        something stands at `path` that is no collection.
        """
        n = len(items)
        present = {"image": _present(image, without_image, n, "image"), "text": _present(text, without_text, n, "text")}
        nothing = ~(present["image"] | present["text"])
        if nothing.any():
            raise DataError(
                f"{int(nothing.sum())} items have neither an image nor a text code, the first is row "
                f"{int(np.flatnonzero(nothing)[0])}; leave them out."
            )

        _check_vocabulary(vocabulary, hasher)

        def write_files(folder: Path) -> Manifest:
            hasher.save(folder / HASHER)
            if vocabulary is not None:
                vocabulary.save(folder / VOCABULARY)
            for modality, codes in (("image", image), ("text", text)):
                rows = np.flatnonzero(present[modality])
                _check_bits(codes, hasher)
                packed = codes[rows].packed if codes is not None else np.empty((0, (hasher.n_bits + 7) // 8), np.uint8)
                np.save(folder / f"{modality}-codes.npy", packed, allow_pickle=False)
            write_items(folder / ITEMS, items, present["image"], present["text"])
            return Manifest(
                folder=folder.name,
                n=n,
                n_image=int(present["image"].sum()),
                n_text=int(present["text"].sum()),
                n_bits=hasher.n_bits,
                hasher=hasher.fingerprint(),
                method=hasher.method,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                crossbit=__version__,
                files={file.name: file_checksum(file) for file in sorted(folder.iterdir())},
            )

        build_folder(Path(path), write_files, overwrite=overwrite)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path, *, hasher: Hasher | None = None) -> Self:
        """Open a collection. hasher: if given, it must be the one that made the codes.

        Raises MismatchError for another hasher, and FileFormatError, naming the file and what to do, for one that is
        missing, truncated, altered or of an unknown format version.
        """
        path = Path(path)
        manifest = Manifest.read(path)
        if hasher is not None and hasher.fingerprint() != manifest.hasher:
            raise MismatchError(
                f"{path} was built with the hasher {manifest.hasher} ({manifest.method}); the one given is "
                f"{hasher.fingerprint()} ({hasher.method}). Codes of two hashers cannot be compared: open the "
                "collection with its own hasher (leave hasher= out), or build it again with  crossbit index."
            )
        try:
            return cls._read(path, manifest)
        except CrossbitError:
            if Manifest.read(path).folder == manifest.folder:
                raise
        return cls._read(path, Manifest.read(path))  # another build took its place while it was being read

    @classmethod
    def _read(cls, path: Path, manifest: Manifest) -> Self:
        folder = path / manifest.folder
        optional = [VOCABULARY] if VOCABULARY in manifest.files else []
        for name in (HASHER, *CODES.values(), ITEMS, *optional):
            if not (folder / name).is_file():
                raise FileFormatError(f"{folder / name} is missing. Build the collection again with  crossbit index.")
            if file_checksum(folder / name) != manifest.files.get(name):
                raise FileFormatError(
                    f"{folder / name} was truncated or altered: its checksum does not fit. "
                    "Build the collection again with  crossbit index, or restore the file from a copy."
                )
        items = StoredItems(folder / ITEMS)
        codes: dict[Modality, Codes] = {}
        rows: dict[Modality, NDArray[np.int64]] = {}
        for modality, name in CODES.items():
            codes[modality] = Codes(np.load(folder / name, allow_pickle=False), manifest.n_bits)
            rows[modality] = items.rows_with(modality)
            if len(rows[modality]) != len(codes[modality]):
                raise FileFormatError(
                    f"{folder / name} has {len(codes[modality])} codes for {len(rows[modality])} items."
                )
        vocabulary = load_vocabulary(folder / VOCABULARY) if optional else None
        return cls(path, manifest, Hasher.load(folder / HASHER), items, codes, rows, vocabulary)

    def __len__(self) -> int:
        return self.manifest.n

    @property
    def n_bits(self) -> int:
        """The code length in bits."""
        return self.manifest.n_bits

    def search(self, queries: Codes, k: int = 10, *, among: Modality) -> list[list[Hit]]:
        """The k nearest items of each query code (q, n_bits), nearest first, ties by row; fewer where there are fewer.

        among: "image" searches pictures, "text" searches texts. Raises WidthError for codes of another length.
        """
        _check_modality(among)
        if queries.n_bits != self.n_bits:
            raise WidthError(
                f"The collection holds {self.n_bits}-bit codes; the queries have {queries.n_bits}. "
                "Encode queries with the collection's own hasher."
            )
        if isinstance(k, bool) or k < 1:
            raise SettingsError(f"k is the number of hits and must be 1 or more; got {k}.")
        if len(self.rows[among]) == 0:
            raise DataError(f"No item of this collection has a code for its {among}; search the {OTHER[among]} side.")
        hits = self._indexes[among].search(queries, min(k, len(self.rows[among])))
        return [self._hits(ids, distances) for ids, distances in zip(hits.ids, hits.distances, strict=True)]

    def search_texts(self, features: NDArray[Any], k: int = 10, *, among: Modality = "image") -> list[list[Hit]]:
        """Search by text features (q, d_text), pictures unless told otherwise. See `search`."""
        return self.search(self.hasher.encode_texts(features), k, among=among)

    def search_images(self, features: NDArray[Any], k: int = 10, *, among: Modality = "text") -> list[list[Hit]]:
        """Search by image features (q, d_image), texts unless told otherwise. See `search`."""
        return self.search(self.hasher.encode_images(features), k, among=among)

    def search_item(
        self, item_id: str, k: int = 10, *, by: Modality | None = None, among: Modality | None = None
    ) -> list[Hit]:
        """Search by an item that stands in the collection; the item itself is not among the hits.

        by: which of its codes asks; its text unless it has none. among: what is searched; the other modality.
        """
        row = self.items.row_of(item_id)
        if by is None:
            by = "text" if row in self.rows["text"] else "image"
        _check_modality(by)
        place = np.flatnonzero(self.rows[by] == row)
        if not place.size:
            raise DataError(f"The item {item_id!r} has no {by} code; ask by its {OTHER[by]}.")
        hits = self.search(self.codes[by][place], k + 1, among=among or OTHER[by])[0]
        others = [hit for hit in hits if hit.row != row][:k]
        return [
            Hit(rank, hit.row, hit.id, hit.distance, hit.caption, hit.picture) for rank, hit in enumerate(others, 1)
        ]

    @cached_property
    def _indexes(self) -> dict[Modality, ExactIndex]:
        indexes: dict[Modality, ExactIndex] = {}
        for modality in get_args(Modality):
            indexes[modality] = ExactIndex(self.n_bits)
            if len(self.rows[modality]):
                indexes[modality].add(self.codes[modality], self.rows[modality])
        return indexes

    def _hits(self, ids: NDArray[np.int64], distances: NDArray[np.integer]) -> list[Hit]:
        return [
            Hit(
                rank,
                int(row),
                self.items.id(int(row)),
                int(distance),
                self.items.caption(int(row)),
                self.items.picture(int(row)),
            )
            for rank, (row, distance) in enumerate(zip(ids, distances, strict=True), 1)
            if row >= 0
        ]


def _present(codes: Codes | None, without: Any, n: int, what: str) -> NDArray[np.bool_]:
    present = np.full(n, codes is not None)
    if codes is not None and len(codes) != n:
        raise DataError(
            f"There are {n} items and {len(codes)} {what} codes; every item needs one (see without_{what})."
        )
    rows = np.asarray(without, dtype=np.int64)
    if rows.size and (rows.min() < 0 or rows.max() >= n):
        raise DataError(f"without_{what} names rows outside 0 to {n - 1}.")
    present[rows] = False
    return present


def _check_bits(codes: Codes | None, hasher: Hasher) -> None:
    if codes is not None and codes.n_bits != hasher.n_bits:
        raise WidthError(f"The hasher makes {hasher.n_bits}-bit codes; the codes given have {codes.n_bits} bits.")


def _check_vocabulary(vocabulary: Vocabulary | None, hasher: Hasher) -> None:
    wanted = hasher.encoders.get("text")
    if vocabulary is not None and vocabulary.fingerprint() != wanted:
        raise MismatchError(
            f"The vocabulary given is {vocabulary.fingerprint()}; the hasher's texts come from "
            f"{wanted or 'elsewhere'}. Give the vocabulary that the hasher was fitted on, and bind the hasher to it "
            "(Hasher.with_encoders)."
        )


def _check_modality(modality: str) -> None:
    if modality not in get_args(Modality):
        raise SettingsError(f"A modality is 'image' or 'text'; got {modality!r}.")
