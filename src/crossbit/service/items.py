"""The routes that show, add and remove items."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from crossbit.service.access import may_read, may_write
from crossbit.service.additions import check_item
from crossbit.service.bodies import (
    FORM,
    JSON_LINES,
    LinesResponse,
    form_body,
    json_body,
    json_line,
    lines_of,
    media_type,
    parsed,
    problem_line,
)
from crossbit.service.desk import Desk
from crossbit.service.models import AddAnswer, AddRequest, ItemRecord, NewItem, SampleAnswer
from crossbit.service.problems import ProblemError, documented

_AT_ONCE = 64  # lines of a streamed request that are written, and made durable, together


def item_routes(desk: Desk) -> APIRouter:
    """The routes of items."""
    router = APIRouter(prefix="/v1", tags=["items"])
    reads, writes = Depends(may_read(desk.settings)), Depends(may_write(desk.settings))
    limits = desk.settings.limits

    @router.get("/sample", dependencies=[reads], responses=documented(401, 422, 503))
    async def sample(n: Annotated[int, Query(ge=1, le=100)] = 24) -> SampleAnswer:
        """Some items drawn at random, for something to look at before the first search."""
        return await desk.work(lambda: desk.view.sample(n))

    @router.get("/items/{item_id:path}", dependencies=[reads], responses=documented(401, 404, 503))
    async def item(item_id: str) -> ItemRecord:
        """An item: its text, columns, codes and the addresses of its pictures."""
        return await desk.work(lambda: desk.view.item(item_id))

    @router.get("/pictures/{item_id:path}", dependencies=[reads], responses=_PICTURE)
    async def picture(item_id: str) -> Response:
        """The picture of an item, as its file is; only pictures that the collection itself lists are given."""
        content, kind = await desk.work(lambda: desk.view.picture(item_id))
        return Response(content, media_type=kind, headers={"cache-control": "private, max-age=3600"})

    @router.get("/thumbnails/{item_id:path}", dependencies=[reads], responses=_PICTURE)
    async def thumbnail(item_id: str) -> Response:
        """The small picture of an item."""
        content, kind = await desk.work(lambda: desk.view.thumbnail(item_id))
        return Response(content, media_type=kind, headers={"cache-control": "private, max-age=3600"})

    @router.post("/items", dependencies=[writes], responses=_ADD, openapi_extra=_ADD_BODY, response_model=AddAnswer)
    async def add(request: Request, response: Response) -> AddAnswer | LinesResponse:
        """Add items; what the answer names is on disk. The same item twice is added once.

        The body is JSON, a form with a file `picture` and one item as JSON in the part `item`, or one item a line
        (application/x-ndjson), which is answered by one line for each group of items written.
        """
        if media_type(request) == JSON_LINES:
            return LinesResponse(_added_lines(desk, request))
        if media_type(request) == FORM:
            one, content = await form_body(request, NewItem, "item", limits)
            answer = await desk.write([one], {one.id: content} if content is not None else {}, "replace")
        else:
            wanted = await json_body(request, AddRequest)
            if len(wanted.items) > limits.batch:
                raise ProblemError(
                    422, f"A request adds at most {limits.batch} items; got {len(wanted.items)}. Send lines."
                )
            answer = await desk.write(wanted.items, {}, wanted.if_exists)
        response.status_code = 201 if answer.added else 200
        return answer

    @router.delete("/items/{item_id:path}", dependencies=[writes], responses=_REMOVE, status_code=204)
    async def remove(item_id: str) -> Response:
        """Remove an item; once answered, it does not return."""
        await desk.remove(item_id)
        return Response(status_code=204)

    return router


async def _added_lines(desk: Desk, request: Request) -> AsyncIterator[bytes]:
    """Add the items of a streamed body a group at a time; each group's answer comes once it is on disk."""
    waiting: dict[str, NewItem] = {}
    async for number, line in lines_of(request, desk.settings.limits):
        try:
            if isinstance(line, ProblemError):
                raise line
            one = parsed(NewItem, line)
            check_item(one)
        except Exception as error:
            yield problem_line(number, error)
            continue
        if one.id in waiting or len(waiting) >= _AT_ONCE:
            yield await _written(desk, waiting, number)
            waiting = {}
        waiting[one.id] = one
    if waiting:
        yield await _written(desk, waiting, number)


async def _written(desk: Desk, items: dict[str, NewItem], number: int) -> bytes:
    try:
        return json_line(await desk.write(list(items.values()), {}, "replace"))
    except Exception as error:
        return problem_line(number, error)


_PICTURE: dict[int | str, dict[str, Any]] = {
    **documented(401, 404, 503),
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
}
_REMOVE = documented(401, 403, 404, 409, 503)
_ADD: dict[int | str, dict[str, Any]] = {
    **documented(400, 401, 403, 409, 413, 415, 422, 503),
    200: {
        "description": "Nothing was new; or, for a streamed body, one answer or problem a line.",
        "content": {JSON_LINES: {"schema": {"type": "string"}}},
    },
    201: {"model": AddAnswer, "description": "Items were added."},
}
_ADD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/AddRequest"}},
            FORM: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "item": {"$ref": "#/components/schemas/NewItem"},
                        "picture": {"type": "string", "format": "binary"},
                    },
                }
            },
            JSON_LINES: {"schema": {"type": "string"}},
        },
    }
}
