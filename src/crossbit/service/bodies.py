"""Reading request bodies: JSON, a form with a picture, or one record a line."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from crossbit.service.problems import ProblemError, problem_of
from crossbit.service.settings import Limits

Model = TypeVar("Model", bound=BaseModel)

JSON_LINES = "application/x-ndjson"
FORM = "multipart/form-data"


def media_type(request: Request) -> str:
    """The media type of a request's body, without its parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def parsed(model: type[Model], content: bytes | str) -> Model:
    """A record out of JSON; raises ProblemError 400 for what is no JSON and 422 for what does not fit."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise ProblemError(400, "The body is not JSON.") from error
        raise problem_of(error) from error


async def json_body(request: Request, model: type[Model]) -> Model:
    """The record in a JSON body; raises ProblemError 415 for a body of another type."""
    if media_type(request) != "application/json":
        raise ProblemError(415, "A body of application/json is expected here.")
    return parsed(model, await request.body())


async def form_body(request: Request, model: type[Model], part: str, limits: Limits) -> tuple[Model, bytes | None]:
    """The record in a form's part and the picture beside it; the part may be missing where a picture is given."""
    async with request.form(max_files=1, max_fields=2, max_part_size=limits.text_characters * 8 + 65536) as form:
        unknown = sorted(set(form) - {part, "picture"})
        if unknown:
            raise ProblemError(422, f"A form has the parts {part} and picture here; got {unknown[0][:50]!r} too.")
        content, file = form.get(part), form.get("picture")
        if isinstance(content, UploadFile):
            content = (await content.read()).decode("utf-8", "replace")
        record = parsed(model, content if content is not None else "{}")
        if isinstance(file, str):
            raise ProblemError(422, "The part picture is a file, not a field.")
        return record, None if file is None else await file.read()


async def lines_of(request: Request, limits: Limits) -> AsyncIterator[tuple[int, bytes | ProblemError]]:
    """The lines of a streamed body with their numbers from 1; empty ones are passed over, too long ones a problem."""
    number, waiting, skipping = 0, bytearray(), False
    async for chunk in _pieces(request):
        if isinstance(chunk, ProblemError):
            yield number + 1, chunk
            return
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            line, waiting = bytes(waiting) + end, bytearray()
            number += 1
            too_long = skipping or len(line) > limits.line_bytes
            skipping = False
            if too_long:
                yield number, ProblemError(413, f"A line has more than the {limits.line_bytes} bytes that are allowed.")
            elif line.strip():
                yield number, line
        # Of a line that is too long already, nothing more is kept.
        skipping = skipping or len(waiting) + len(rest) > limits.line_bytes
        waiting = bytearray() if skipping else waiting + rest
    if skipping:
        yield number + 1, ProblemError(413, f"A line has more than the {limits.line_bytes} bytes that are allowed.")
    elif bytes(waiting).strip():
        yield number + 1, bytes(waiting)


async def _pieces(request: Request) -> AsyncIterator[bytes | ProblemError]:
    """The body as it comes; where it is refused on the way, the reason and no more: the answer has long begun."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ProblemError as problem:
        yield problem


class LinesResponse(StreamingResponse):
    """An answer of lines that is made while the request's lines still come in."""

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        super().__init__(lines, media_type=JSON_LINES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines. The parent would also listen for the client's end, and so take lines of the body away."""
        with contextlib.suppress(ClientDisconnect):
            await self.stream_response(send)


def json_line(record: BaseModel | dict[str, Any]) -> bytes:
    """A record as a line of a streamed answer."""
    content = record.model_dump_json() if isinstance(record, BaseModel) else json.dumps(record)
    return content.encode() + b"\n"


def problem_line(number: int, error: Exception) -> bytes:
    """A problem as a line of a streamed answer, with the number of the line that it answers."""
    return json_line({**problem_of(error).body(), "line": number})


def picture_content(text: str) -> bytes:
    """The content of a picture given in base64; raises ProblemError 422 for what is none."""
    _, comma, after = text.partition(",") if text.startswith("data:") else ("", "", "")
    try:
        return base64.b64decode(after if comma else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProblemError(422, "picture: the content of a picture file in base64 is expected.") from error
