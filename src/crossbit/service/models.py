"""The records of the HTTP interface: what may be asked, and what is answered."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

Side = Literal["image", "text"]
Scalar = StrictStr | StrictBool | StrictInt | StrictFloat | None
Values = Annotated[list[Scalar], Field(min_length=1, max_length=1000)]
ItemId = Annotated[str, Field(min_length=1, max_length=500, description="An item's id.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SearchRequest(_Strict):
    """A search. Exactly one of text, picture, item and code asks (a picture may also come as a file, see the route)."""

    text: str | None = Field(None, description="Words to search for.")
    picture: str | None = Field(None, description="The content of a picture file in base64.")
    item: ItemId | None = Field(None, description="An item of the collection; it is not among its own hits.")
    code: str | None = Field(None, pattern=r"^([0-9a-fA-F]{2})+$", description="A packed code in hex.")
    by: Side | None = Field(None, description="Which of the item's codes asks, or of which modality the code is.")
    among: Side | None = Field(None, description="What is searched: pictures, unless a picture asks.")
    k: int = Field(24, ge=1, le=1_000_000, description="At most so many hits.")
    offset: int = Field(0, ge=0, le=1_000_000, description="So many of the nearest are passed over.")
    max_distance: int | None = Field(None, ge=0, le=4096, description="Only hits of at most so many differing bits.")
    min_confidence: float | None = Field(None, ge=0, le=1, description="Only hits of at least this confidence.")
    where: str | None = Field(
        None, max_length=10_000, description="A condition on the items' columns, such as  year > 2019."
    )
    filters: dict[str, Values] = Field(
        default_factory=dict, max_length=50, description="For each column named, any of these values."
    )
    ranking: Literal["hamming", "asymmetric"] = Field(
        "hamming", description="asymmetric: the order is that of the query before it is cut to bits."
    )

    def asks_by(self) -> tuple[str, ...]:
        """Which of text, picture, item and code are given."""
        return tuple(name for name in ("text", "picture", "item", "code") if getattr(self, name) is not None)


class HitRecord(BaseModel):
    """One item found."""

    rank: int
    id: str
    distance: int = Field(description="Differing bits.")
    score: float | None = Field(description="The score of asymmetric ranking, higher is closer; else null.")
    confidence: float | None = Field(description="Probability of a true match; null where the hasher has none.")
    caption: str
    metadata: dict[str, Scalar]
    has_image: bool
    has_text: bool
    picture: str | None = Field(description="The address of the picture.")
    thumbnail: str | None = Field(description="The address of the small picture.")


class Nearest(BaseModel):
    """The best item before the bars were applied."""

    distance: int
    confidence: float | None


class QueryRecord(BaseModel):
    """What asked, as a code."""

    modality: Literal["image", "text", "code"]
    code: str


class SearchAnswer(BaseModel):
    """What a search found, nearest first, ties in the order of the items."""

    hits: list[HitRecord]
    nearest: Nearest | None
    cut: bool = Field(description="Items were found, and the bars (max_distance, min_confidence) removed them all.")
    more: bool = Field(description="There are further hits beyond offset + k.")
    query: QueryRecord
    took_ms: dict[str, float] = Field(description="decode, encode, search and total, in milliseconds.")
    n_bits: int
    hasher: str
    revision: str = Field(description="Of the collection's items, which this answer is of; see /v1/info.")


class NewItem(_Strict):
    """An item to add; it needs a text, a picture or both."""

    id: ItemId
    text: str | None = None
    picture: str | None = Field(None, description="The content of a picture file in base64.")
    metadata: dict[str, Scalar] = Field(default_factory=dict, max_length=200)


class AddRequest(_Strict):
    """Items to add, idempotent by id."""

    items: list[NewItem] = Field(min_length=1)
    if_exists: Literal["replace", "keep", "refuse"] = "replace"

    @model_validator(mode="after")
    def _different(self) -> Self:
        names = [item.id for item in self.items]
        if len(set(names)) < len(names):
            raise ValueError("an id is given twice")
        return self


class AddAnswer(BaseModel):
    """What adding did. Everything named here is on disk."""

    ids: list[str] = Field(description="The items of the request, in its order.")
    added: int
    replaced: int
    unchanged: int
    items: int = Field(description="Items in the collection now.")


class SampleItem(BaseModel):
    """An item to look at."""

    id: str
    caption: str
    metadata: dict[str, Scalar]
    has_image: bool
    has_text: bool
    picture: str | None
    thumbnail: str | None


class SampleAnswer(BaseModel):
    """Some items, drawn at random."""

    items: list[SampleItem]


class ItemRecord(BaseModel):
    """An item of the collection."""

    id: str
    caption: str
    metadata: dict[str, Scalar]
    has_image: bool
    has_text: bool
    codes: dict[str, str | None]
    picture: str | None
    thumbnail: str | None


class EncodeRequest(_Strict):
    """One of text and picture, to be encoded."""

    text: str | None = None
    picture: str | None = Field(None, description="The content of a picture file in base64.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.text is None) == (self.picture is None):
            raise ValueError("give exactly one of text and picture")
        return self


class EncodeAnswer(BaseModel):
    """A code."""

    code: str
    n_bits: int
    hasher: str


class ColumnRecord(BaseModel):
    """A metadata column."""

    name: str
    type: Literal["text", "integer", "number", "boolean"]


class HasherRecord(BaseModel):
    """What made the codes."""

    fingerprint: str
    method: str
    encoders: dict[str, str | None]


class ScoreRecord(BaseModel):
    """A score of the hasher, with the protocol it was measured under."""

    protocol: str
    protocol_id: str
    data: str
    i2t: float
    t2i: float
    mean: float


class InfoAnswer(BaseModel):
    """What the collection and the service are."""

    name: str
    items: int
    items_with: dict[str, int]
    n_bits: int
    hasher: HasherRecord
    scores: list[ScoreRecord]
    calibrated: bool
    queries: dict[str, bool] = Field(description="Whether words and pictures can be encoded here.")
    columns: list[ColumnRecord]
    writable: bool
    limits: dict[str, int]
    version: str
    collection_revision: str


class FacetValue(BaseModel):
    """A value of a column and how many items have it."""

    value: Scalar
    count: int


class Facet(BaseModel):
    """The most frequent values of a column."""

    column: str
    values: list[FacetValue]
    more: bool


class FacetsAnswer(BaseModel):
    """The facets of all columns."""

    facets: list[Facet]


class ReloadAnswer(BaseModel):
    """What stands after a reload."""

    items: int
    revision: str


class Status(BaseModel):
    """Alive, or ready."""

    status: str
