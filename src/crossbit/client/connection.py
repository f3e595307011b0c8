"""The connection to a service: each verb of its interface is a method."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from crossbit.client.asked import Search, in_base64
from crossbit.client.problem import ServiceError
from crossbit.errors import MissingExtraError, SettingsError
from crossbit.service.models import (
    AddAnswer,
    EncodeAnswer,
    FacetsAnswer,
    InfoAnswer,
    ItemRecord,
    NewItem,
    ReloadAnswer,
    SampleAnswer,
    SearchAnswer,
)

if TYPE_CHECKING:
    import httpx

Model = TypeVar("Model", bound=BaseModel)
Sent = TypeVar("Sent")
_JSON_LINES = {"Content-Type": "application/x-ndjson"}
_HITS, _LINES, _BYTES = 2_000, 256, 4_000_000  # of one streamed request: its answer fits the buffers on the way


class Client:
    """A connection to a service, for one thread or many. It is closed by `close`, or at the end of a with block.

    address: as `crossbit serve` prints it, such as http://127.0.0.1:8080. token: for services that ask for one.
    timeout: seconds to wait for an answer. Every method raises ServiceError with what the service says is wrong.
    """

    def __init__(self, address: str, *, token: str | None = None, timeout: float = 60.0) -> None:
        try:
            import httpx  # noqa: PLC0415 - an optional package, needed only where a service is asked
        except ModuleNotFoundError as error:
            raise MissingExtraError("Asking a service", "client") from error
        if not address.startswith(("http://", "https://")):
            raise SettingsError(f"A service's address begins with http:// or https://; got {address!r}.")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout)
        self._failed = httpx.HTTPError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def search(self, search: Search | str) -> SearchAnswer:
        """Search; a text alone stands for `Search(text=...)`."""
        asked = Search(text=search) if isinstance(search, str) else search
        return self._json(SearchAnswer, "POST", "/v1/search", json=asked.body())

    def search_many(self, searches: Iterable[Search]) -> Iterator[SearchAnswer | ServiceError]:
        """Search for each of many, in order; one that cannot be answered gives its error as a value, with its line.

        Searches are taken from the iterable as they are needed, and any number of them takes little memory.
        """
        for before, part in _parts(searches, Search.body, lambda one: one.k):
            yield from self._lines(SearchAnswer, "/v1/search/bulk", part, before)

    def add(
        self, items: NewItem | Sequence[NewItem], *, if_exists: Literal["replace", "keep", "refuse"] = "replace"
    ) -> AddAnswer:
        """Add items; once this returns they outlive a power cut. The same item twice is added once."""
        some = [items] if isinstance(items, NewItem) else list(items)
        body = {"items": [one.model_dump(exclude_defaults=True) for one in some], "if_exists": if_exists}
        return self._json(AddAnswer, "POST", "/v1/items", json=body)

    def add_many(self, items: Iterable[NewItem]) -> Iterator[AddAnswer | ServiceError]:
        """Add any number of items; an answer for each group that was made durable, an error for each item refused."""
        for before, part in _parts(items, lambda one: one.model_dump(exclude_defaults=True), lambda one: 1):
            yield from self._lines(AddAnswer, "/v1/items", part, before)

    def remove(self, item_id: str) -> None:
        """Remove an item; raises ServiceError with status 404 where it is not there."""
        self._answer("DELETE", f"/v1/items/{quote(item_id, safe='')}")

    def item(self, item_id: str) -> ItemRecord:
        """An item."""
        return self._json(ItemRecord, "GET", f"/v1/items/{quote(item_id, safe='')}")

    def picture(self, item_id: str) -> bytes:
        """The content of an item's picture."""
        return self._answer("GET", f"/v1/pictures/{quote(item_id, safe='')}").content

    def thumbnail(self, item_id: str) -> bytes:
        """The content of an item's small picture."""
        return self._answer("GET", f"/v1/thumbnails/{quote(item_id, safe='')}").content

    def encode(self, text: str | None = None, *, picture: bytes | Path | None = None) -> EncodeAnswer:
        """The code of a text or of a picture."""
        body = {"text": text, "picture": None if picture is None else in_base64(picture)}
        return self._json(EncodeAnswer, "POST", "/v1/encode", json=body)

    def info(self) -> InfoAnswer:
        """What the collection and the service are."""
        return self._json(InfoAnswer, "GET", "/v1/info")

    def facets(self, limit: int = 20) -> FacetsAnswer:
        """The most frequent values of the columns."""
        return self._json(FacetsAnswer, "GET", f"/v1/facets?limit={limit}")

    def sample(self, n: int = 24) -> SampleAnswer:
        """Some items, drawn at random."""
        return self._json(SampleAnswer, "GET", f"/v1/sample?n={n}")

    def reload(self) -> ReloadAnswer:
        """Have the service take over what stands on its disk."""
        return self._json(ReloadAnswer, "POST", "/v1/admin/reload")

    def _json(self, model: type[Model], method: str, path: str, **body: Any) -> Model:
        return _read(model, self._answer(method, path, **body).content)

    def _answer(self, method: str, path: str, **body: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **body)
        except self._failed as error:
            raise ServiceError(0, "The service does not answer", f"{error}") from error
        if answer.is_success:
            return answer
        after = answer.headers.get("retry-after", "")
        raise _error(answer.content, answer.status_code, float(after) if after.isdigit() else None)

    def _lines(self, model: type[Model], path: str, lines: list[bytes], before: int) -> Iterator[Model | ServiceError]:
        answer = self._answer("POST", path, content=b"".join(lines), headers=_JSON_LINES)
        for line in answer.content.splitlines():
            content = json.loads(line)
            if "title" in content and "status" in content:
                yield ServiceError.of(content, before + content.get("line", 0))
            else:
                yield _read(model, line)


def _parts(
    values: Iterable[Sent], body: Callable[[Sent], dict[str, Any]], weight: Callable[[Sent], int]
) -> Iterator[tuple[int, list[bytes]]]:
    """The values as lines, in parts that one request takes, each with the number of lines before it."""
    part: list[bytes] = []
    before = hits = size = 0
    for value in values:
        line = json.dumps(body(value)).encode() + b"\n"
        if part and (len(part) >= _LINES or hits + weight(value) > _HITS or size + len(line) > _BYTES):
            yield before, part
            before += len(part)
            part, hits, size = [], 0, 0
        part.append(line)
        hits, size = hits + weight(value), size + len(line)
    if part:
        yield before, part


def _read(model: type[Model], content: bytes) -> Model:
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise ServiceError(0, "The answer is none of a crossbit service", str(error)) from error


def _error(content: bytes, status: int, retry_after: float | None) -> ServiceError:
    try:
        told = json.loads(content)
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {"title": "No problem details came with it"}
    return ServiceError.of({**told, "status": status}, retry_after=retry_after)
