"""A collection as requests see it: one moment of its items, and what encodes its queries. Never changed, replaced."""

from __future__ import annotations

import mimetypes
import random
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np

from crossbit import __version__, kernels
from crossbit.calibration import Direction
from crossbit.collection import Collection, Snapshot
from crossbit.collection.gather import alive_among
from crossbit.errors import DataError
from crossbit.service.encoding import SIDES, Encoding, Side
from crossbit.service.models import (
    ColumnRecord,
    Facet,
    FacetsAnswer,
    FacetValue,
    HasherRecord,
    InfoAnswer,
    ItemRecord,
    SampleAnswer,
    ScoreRecord,
)
from crossbit.service.problems import ProblemError
from crossbit.service.records import addresses, hex_of, sample_records
from crossbit.service.settings import ServiceSettings

_TYPES: Mapping[str, Literal["text", "integer", "number", "boolean"]] = {
    "text": "text",
    "integer": "integer",
    "real": "number",
    "boolean": "boolean",
}
_DIRECTIONS: Mapping[tuple[str, str], Direction] = {("image", "text"): "I2T", ("text", "image"): "T2I"}
_SHOWN = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif", "image/bmp"}
_SIGNATURES = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


@dataclass(frozen=True, eq=False)
class View:
    """What one request sees from its beginning to its end. revision: another one whenever the items may be others."""

    name: str
    snapshot: Snapshot
    encoding: Encoding
    settings: ServiceSettings
    scores: tuple[ScoreRecord, ...] = ()
    revision: str = ""
    _facets: dict[int, FacetsAnswer] = field(default_factory=dict)
    _certain: dict[Direction, list[float]] = field(default_factory=dict)
    _counting: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, collection: Collection, encoding: Encoding, settings: ServiceSettings) -> View:
        """The view of a collection's present moment."""
        scores = tuple(ScoreRecord(**score) for score in settings.scores_of(encoding.fingerprint))
        name = collection.path.resolve().name
        return cls(name, collection.snapshot, encoding, settings, scores, _revision(collection))

    def after(self, collection: Collection) -> View:
        """The view of what changes made of the collection; its hasher is still the same."""
        revision = _revision(collection)
        return replace(self, snapshot=collection.snapshot, revision=revision, _facets={}, _certain={}, _counting=Lock())

    def confidence(self, asking: str, among: Side) -> list[float] | None:
        """The confidence at each distance 0 to n_bits of a query of a modality; None where it is not known."""
        calibration, direction = self.encoding.hasher.calibration, _DIRECTIONS.get((asking, among))
        if calibration is None or direction is None:
            return None
        if direction not in self._certain:
            beside = max(self.snapshot.count(among) - 1, 0)  # one match among all items that are searched
            steps = np.arange(calibration.n_bits + 1)
            self._certain[direction] = calibration.confidence(steps, direction, random_per_match=beside).tolist()
        return self._certain[direction]

    def warm_up(self) -> None:
        """Compile all loops and search once, so that no request waits for the compiler or for codes to be mapped."""
        kernels.warm_up()
        for side in SIDES:
            for segment in self.snapshot.segments:
                if len(segment.codes[side]):
                    row = int(self.snapshot.rows_with(side)[0]) if self.snapshot.count(side) else 0
                    code = self.snapshot.code(row, side)
                    if code is not None:
                        self.snapshot.search(code, 1, side)
                    break

    def info(self) -> InfoAnswer:
        """What the collection and the service are."""
        snapshot, limits, hasher = self.snapshot, self.settings.limits, self.encoding.hasher
        shown = ("k", "body_bytes", "picture_pixels", "batch", "text_characters")
        return InfoAnswer(
            name=self.name,
            items=len(snapshot),
            items_with={side: snapshot.count(side) for side in SIDES},
            n_bits=snapshot.n_bits,
            hasher=HasherRecord(
                fingerprint=self.encoding.fingerprint,
                method=hasher.method,
                encoders={side: hasher.encoders.get(side) for side in SIDES},
            ),
            scores=list(self.scores),
            calibrated=hasher.calibration is not None,
            queries={side: self.encoding.can_encode(side) for side in SIDES},
            columns=[ColumnRecord(name=name, type=_TYPES[kind]) for name, kind in snapshot.kinds.items()],
            writable=bool(self.settings.write_tokens),
            limits={name: getattr(limits, name) for name in shown},
            version=__version__,
            collection_revision=self.revision,
        )

    def facets(self, limit: int) -> FacetsAnswer:
        """The most frequent values of every column but those of real numbers; counted once for each view."""
        with self._counting:
            if limit not in self._facets:
                self._facets[limit] = FacetsAnswer(
                    facets=[self._facet(name, limit) for name, kind in self.snapshot.kinds.items() if kind != "real"]
                )
            return self._facets[limit]

    def _facet(self, column: str, limit: int) -> Facet:
        counts = list(self.snapshot.facets(column, None, limit + 1).items())
        values = [FacetValue(value=value, count=count) for value, count in counts[:limit]]
        return Facet(column=column, values=values, more=len(counts) > limit)

    def item(self, item_id: str) -> ItemRecord:
        """An item; raises ProblemError 404."""
        snapshot, row = self.snapshot, self.row_of(item_id)
        item = snapshot.item(row)
        codes = {side: snapshot.code(row, side) for side in SIDES}
        picture, thumbnail = addresses(item.id, item.picture != "", snapshot.thumbnail(row) is not None)
        return ItemRecord(
            id=item.id,
            caption=item.caption,
            metadata=dict(item.metadata),
            has_image=item.has_image,
            has_text=item.has_text,
            codes={side: None if code is None else hex_of(code.packed[0]) for side, code in codes.items()},
            picture=picture,
            thumbnail=thumbnail,
        )

    def sample(self, n: int) -> SampleAnswer:
        """Some items drawn at random, those with a picture before those without."""
        n_rows = int(self.snapshot.starts[-1])
        drawn = np.array(random.Random().sample(range(n_rows), min(4 * n, n_rows)), np.int64)
        return SampleAnswer(items=sample_records(self.snapshot, alive_among(self.snapshot, drawn), n))

    def picture(self, item_id: str) -> tuple[bytes, str]:
        """An item's picture and its media type: the file that the collection lists, or else the small picture.

        Raises ProblemError 404 where there is no such item, or its picture is gone, too large or of a kind not shown.
        """
        listed = self.snapshot.item(self.row_of(item_id)).picture
        kind = mimetypes.guess_type(listed)[0] or ""
        if listed and kind in _SHOWN:
            try:
                path = Path(listed)
                if path.is_file() and path.stat().st_size <= self.settings.limits.body_bytes:
                    return path.read_bytes(), kind
            except (OSError, ValueError):
                pass  # a picture that cannot be read is shown small
        return self.thumbnail(item_id)

    def thumbnail(self, item_id: str) -> tuple[bytes, str]:
        """An item's small picture and its media type; raises ProblemError 404."""
        content = self.snapshot.thumbnail(self.row_of(item_id))
        if content is None:
            raise ProblemError(404, "The item has no picture here.")
        return content, next((kind for sign, kind in _SIGNATURES if content.startswith(sign)), "image/webp")

    def row_of(self, item_id: str) -> int:
        """The row of an item; raises ProblemError 404."""
        try:
            return self.snapshot.row_of(item_id)
        except DataError as error:
            raise ProblemError(404, "There is no item of this id.") from error


def _revision(collection: Collection) -> str:
    return f"{collection.manifest.generation}-{secrets.token_hex(4)}"
