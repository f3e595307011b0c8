"""The routes that search and encode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from crossbit.service.access import may_read
from crossbit.service.bodies import (
    FORM,
    JSON_LINES,
    LinesResponse,
    form_body,
    json_body,
    lines_of,
    media_type,
    parsed,
    problem_line,
)
from crossbit.service.desk import Desk
from crossbit.service.models import EncodeAnswer, EncodeRequest, SearchAnswer, SearchRequest
from crossbit.service.problems import ProblemError, documented


def search_routes(desk: Desk) -> APIRouter:
    """The routes of search."""
    router = APIRouter(prefix="/v1", tags=["search"], dependencies=[Depends(may_read(desk.settings))])
    limits = desk.settings.limits

    @router.post(
        "/search", response_model=SearchAnswer, responses=_PROBLEMS, openapi_extra=_body("SearchRequest", "request")
    )
    async def search(request: Request) -> Response:
        """Find items by text, picture, item or code, across pictures and texts or within one of them.

        The body is JSON, or a form with a file `picture` and the JSON in the part `request`.
        """
        if media_type(request) != FORM:  # a JSON body goes another way: see `DirectSearch`
            raise ProblemError(415, f"A body of application/json or {FORM} is expected here.")
        wanted, picture = await form_body(request, SearchRequest, "request", limits)
        return Response(await desk.search(wanted, picture), media_type="application/json")

    @router.post(
        "/search/bulk", status_code=200, responses=_LINES, openapi_extra=_LINES_BODY, response_class=LinesResponse
    )
    async def search_bulk(request: Request) -> LinesResponse:
        """Many searches: one request a line in, one answer a line out, in order, each as soon as it is known.

        A line that cannot be answered gets problem details with its number, and the next one is answered.
        """
        if media_type(request) != JSON_LINES:
            raise ProblemError(415, f"A body of {JSON_LINES} is expected here.")

        async def answers() -> AsyncIterator[bytes]:
            async for number, line in lines_of(request, limits):
                try:
                    if isinstance(line, ProblemError):
                        raise line
                    wanted = parsed(SearchRequest, line)
                    async with asyncio.timeout(limits.seconds):
                        answer = await desk.search(wanted, None)
                    yield answer + b"\n"
                except Exception as error:
                    yield problem_line(number, error)

        return LinesResponse(answers())

    @router.post("/encode", responses=_PROBLEMS, openapi_extra=_body("EncodeRequest", None))
    async def encode(request: Request) -> EncodeAnswer:
        """The code of a text or of a picture."""
        wanted = await json_body(request, EncodeRequest)
        return await desk.work(lambda: desk.encode(wanted))

    return router


_PROBLEMS = documented(400, 401, 404, 409, 413, 415, 422, 503)
_LINES: dict[int | str, dict[str, Any]] = {
    **documented(401, 413, 415, 503),
    200: {"description": "One answer or problem a line.", "content": {JSON_LINES: {"schema": {"type": "string"}}}},
}
_LINES_BODY = {"requestBody": {"required": True, "content": {JSON_LINES: {"schema": {"type": "string"}}}}}


def _body(model: str, part: str | None) -> dict[str, Any]:
    """The description of a body that the route reads itself."""
    schema = {"$ref": f"#/components/schemas/{model}"}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if part is not None:
        parts = {part: schema, "picture": {"type": "string", "format": "binary"}}
        content[FORM] = {"schema": {"type": "object", "properties": parts}}
    return {"requestBody": {"required": True, "content": content}}
