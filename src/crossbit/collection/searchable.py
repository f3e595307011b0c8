"""A collection: created from a hasher, codes and items; opened; searched and changed while others search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from crossbit import __version__
from crossbit.codes import Codes
from crossbit.collection.additions import Added, IfExists
from crossbit.collection.block import MODALITIES, Modality
from crossbit.collection.build import build_folder
from crossbit.collection.commit import commit, new_mark, write_hasher, write_segment
from crossbit.collection.engines import (
    Asked,
    BuiltEngine,
    EngineName,
    build_engine,
    check_engine,
    forget_engines,
    learned_prefixes,
    recall_for,
)
from crossbit.collection.ids import Rows, id_column
from crossbit.collection.items import Items
from crossbit.collection.manifest import Manifest
from crossbit.collection.migrate import CodesOf, FeaturesOf, Migrated, migrate
from crossbit.collection.prepared import Given, Prepared, Without, check_vocabulary
from crossbit.collection.reader import Reader
from crossbit.collection.state import State, load_state
from crossbit.collection.writer import Writer
from crossbit.encoders import Vocabulary
from crossbit.errors import DataError, FileFormatError, MismatchError, SettingsError
from crossbit.hasher import Hasher
from crossbit.progress import Progress, silent


class Collection(Reader):
    """A searchable folder, opened with `open` or made with `create`.

    What is read is a snapshot: the collection as it was when it was opened, last refreshed, or last changed through
    this object. Searches from many threads are safe while other threads add and remove. Rows number the items of one
    snapshot; an item's id is its name for good.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @classmethod
    def create(
        cls,
        path: str | Path,
        hasher: Hasher,
        items: Items | None = None,
        *,
        image: Codes | None = None,
        text: Codes | None = None,
        image_features: NDArray[Any] | None = None,
        text_features: NDArray[Any] | None = None,
        without_image: Without = (),
        without_text: Without = (),
        vocabulary: Vocabulary | None = None,
        store_features: bool = False,
        overwrite: bool = False,
    ) -> Self:
        """Build a collection at `path`, whole or not at all, and open it; an empty one without items.

        image, text, image_features, text_features, without_image, without_text: see `add`. vocabulary: the bag of
        words or TF-IDF that the hasher's text features come from, kept so that typed words can ask. store_features:
        keep the features beside the codes (4 bytes a value), so that `migrate` can encode them with another hasher;
        then features are given in place of codes. overwrite: replace a collection there.

        Raises SettingsError, WidthError, MismatchError or DataError for what does not fit, FileFormatError when
        something stands at `path` that is no collection.
        """
        check_vocabulary(None if vocabulary is None else vocabulary.fingerprint(), hasher)
        prepared = None
        if items is not None:
            given = Given(
                items,
                {"image": image, "text": text},
                {"image": image_features, "text": text_features},
                {"image": without_image, "text": without_text},
            )
            prepared = Prepared.of(given, hasher, store_features=store_features)
        widths: dict[Modality, int] = {}
        if store_features:
            widths = {"image": hasher.image.width, "text": hasher.text.width}

        def write_files(folder: Path) -> None:
            generation = _generation(folder)
            hasher_folder = folder / f"hasher-{new_mark(generation)}"
            manifest = Manifest(
                generation=generation - 1,
                n_bits=hasher.n_bits,
                hasher=hasher.fingerprint(),
                method=hasher.method,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                crossbit=__version__,
                hasher_folder=hasher_folder.name,
                hasher_files=write_hasher(hasher_folder, hasher, vocabulary),
                log="",
                widths=widths,
            )
            entry = None
            if prepared is not None:
                entry = write_segment(folder, manifest, prepared.blocks({}, widths), {})
            commit(folder, manifest, [] if entry is None else [(entry, None, False)])

        build_folder(Path(path), write_files, overwrite=overwrite)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path, *, hasher: Hasher | None = None, patience: float = 5.0) -> Self:
        """Open a collection. hasher: if given, it must be the one that made the codes.

        patience: seconds that a change waits while another process changes the collection, before BusyError.

        Files are mapped, not read: sizes, headers and the manifest are checked here, contents by `crossbit check`.
        Raises MismatchError for another hasher, and FileFormatError, naming the file and what to do, for one that is
        missing, truncated, altered or of an unknown format version.
        """
        path = Path(path)
        state = load_state(path)
        if hasher is not None and hasher.fingerprint() != state.manifest.hasher:
            raise MismatchError(
                f"{path} was built with the hasher {state.manifest.hasher} ({state.manifest.method}); the one given is "
                f"{hasher.fingerprint()} ({hasher.method}). Codes of two hashers cannot be compared: open the "
                "collection with its own hasher (leave hasher= out), or encode it anew with  crossbit migrate."
            )
        return cls(Writer(path, state, patience))

    @property
    def path(self) -> Path:
        """The folder."""
        return self._writer.path

    @property
    def _state(self) -> State:
        return self._writer.state

    def add(
        self,
        items: Items,
        *,
        image: Codes | None = None,
        text: Codes | None = None,
        image_features: NDArray[Any] | None = None,
        text_features: NDArray[Any] | None = None,
        without_image: Without = (),
        without_text: Without = (),
        if_exists: IfExists = "error",
        made_by: str | None = None,
    ) -> Added:
        """Add items, all or none; when this returns, they outlive a power cut. Adding the same again does nothing.

        image, text: (n, n_bits) codes, one row an item; None where no item has that modality. image_features,
        text_features: (n, d) features in their place, which the collection's hasher encodes. without_image,
        without_text: rows of items that lack it. if_exists: what to do with items whose id stands there with other
        content: "error" refuses all, "replace" puts these in their place, "keep" leaves those. made_by: if given, the
        fingerprint that the collection's hasher must still have: another process may have rebuilt it meanwhile.

        Raises as `create` does, DataError under "error", MismatchError where made_by does not hold, BusyError while
        another process changes the collection.
        """
        if if_exists not in get_args(IfExists):
            raise SettingsError(f"if_exists is one of {', '.join(get_args(IfExists))}; got {if_exists!r}.")
        given = Given(
            items,
            {"image": image, "text": text},
            {"image": image_features, "text": text_features},
            {"image": without_image, "text": without_text},
        )
        with self._writer.changing("add"):
            state = self._writer.state
            if made_by is not None and made_by != state.manifest.hasher:
                raise MismatchError(
                    f"{self.path} was rebuilt with the hasher {state.manifest.hasher}; these items are for {made_by}. "
                    "Nothing was added. Open the collection again and encode them anew."
                )
            widths = state.manifest.widths
            prepared = Prepared.of(given, state.hasher, store_features=bool(widths))
            return self._writer.add(len(items), prepared.blocks(state.snapshot.kinds, widths), if_exists)

    def remove(self, ids: Sequence[str], *, missing: Literal["error", "ignore"] = "error") -> int:
        """Remove items by their ids and say how many; when this returns, they stay removed even after a power cut.

        missing: "error" raises DataError, and removes none, when one of them is not there; "ignore" passes it over.
        """
        if isinstance(ids, str) or missing not in ("error", "ignore"):
            raise SettingsError("remove takes a list of ids, and missing= is 'error' or 'ignore'.")
        wanted = list(dict.fromkeys(ids))
        with self._writer.changing("remove"):
            rows: Rows = self.snapshot.find(id_column(wanted))
            absent = np.flatnonzero(rows < 0)
            if len(absent) and missing == "error":
                raise DataError(
                    f"{len(absent)} of the ids are not in the collection, the first is {wanted[int(absent[0])]!r}. "
                    "Nothing was removed."
                )
            there = [name for name, row in zip(wanted, rows, strict=True) if row >= 0]
            if there:
                self._writer.remove(there, rows[rows >= 0])
            return len(there)

    def compact(self) -> None:
        """Put all segments together and drop what was removed. Searches, also in other processes, go on meanwhile."""
        with self._writer.changing("compact"):
            state = self._writer.state
            removed = any(entry.removed for entry in state.manifest.segments)
            if state.place.number or removed or len(state.manifest.segments) > 1:
                self._writer.put_together(0)

    def build_engines(self, engine: EngineName = "auto", *, target_recall: float | None = None) -> list[BuiltEngine]:
        """Choose an engine for each segment on disk, build it and keep it in the folder `engines`; say why each.

        engine: "auto" goes by the size and the recall asked for (`choose_engine`); "exact" keeps none; "ivf" is
        approximate (needs faiss), and so is "prefix", which searches the first bits and ranks what it finds again;
        "pruned" is exact. target_recall: the share of the nearest that must be found, on a sample
        without filters; None for 1 under "auto", which only a full comparison gives, and for 0.95 by another name.

        Codes are searched so from then on, here and wherever the collection is opened. Compact before, so that there
        is one segment: what is added later is compared in full until engines are built again, and so is a segment
        that `compact` or later additions put together with others. Raises SettingsError, MissingExtraError.
        """
        check_engine(engine, to_build=True)
        with self._writer.changing("build engines"):
            asked = Asked(engine, recall_for(engine, target_recall), learned_prefixes(self.hasher))
            segments, built = [segment for segment in self.snapshot.segments if segment.name], []
            forget_engines(self.path, {segment.name for segment in segments})
            for segment in segments:
                for modality in MODALITIES:
                    codes, rows = Codes(segment.codes[modality], self.n_bits), segment.rows[modality]
                    built.append(build_engine(self.path, segment.name, modality, codes, rows, asked))
                segment.forget_indexes()
            return built

    def migrate(
        self,
        hasher: Hasher,
        *,
        features: FeaturesOf | None = None,
        codes: CodesOf | None = None,
        vocabulary: Vocabulary | None = None,
        progress: Progress = silent,
    ) -> Migrated:
        """Encode all items with another hasher, and switch to it in one step.

        Until that step the old codes answer, here and in other processes; nothing can be added meanwhile. A stop or
        kill before it leaves everything as it was. features: gives the features of some items for a modality, as the
        new hasher takes them. codes: gives their codes instead; features are then no longer stored. Without both, the
        stored features are used (`create` with store_features). vocabulary: as in `create`. Exported query encoders
        (the folder `query`) are of the old hasher and are deleted.

        Raises DataError or MismatchError where there are no such features, BusyError while another process writes.
        """
        return migrate(self._writer, hasher, features=features, codes=codes, vocabulary=vocabulary, progress=progress)

    def refresh(self) -> None:
        """Take in what other processes changed since."""
        self._writer.refresh()

    def close(self) -> None:
        """Close what changes opened. A collection needs no closing: what was acknowledged is on the disk."""
        self._writer.close()


def _generation(folder: Path) -> int:
    """The number of a folder's next manifest."""
    try:
        return Manifest.read(folder).generation + 1
    except FileFormatError:
        return 1
