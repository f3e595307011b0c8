"""Searches asked in JSON, answered without the framework: a search takes less time than the framework takes for one.

The same checks, records and problems as everywhere; the route that describes it takes the other kinds of bodies.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi import Request

from crossbit.service.access import may_read
from crossbit.service.bodies import parsed
from crossbit.service.bounds import Message, Receive, Send
from crossbit.service.desk import Desk
from crossbit.service.models import SearchRequest
from crossbit.service.problems import FORESEEN, ProblemError, problem_of, problem_response

PATH = "/v1/search"
_TYPE = (b"content-type", b"application/json")


class DirectSearch:
    """An ASGI application for `POST /v1/search` with a JSON body."""

    path = PATH  # what the log and the figures name it by

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._check = may_read(desk.settings)

    @staticmethod
    def takes(scope: MutableMapping[str, Any]) -> bool:
        """Whether a request is one for it."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            return False
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        return bool(kinds) and kinds[0].split(b";")[0].strip().lower() == b"application/json"

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a search; what is wrong with it is answered as well."""
        scope["route"] = self
        try:
            if self._desk.settings.read_tokens:
                await self._check(Request(scope))
            content = await self._desk.search(parsed(SearchRequest, await _body(receive)), None)
        except FORESEEN as error:
            await problem_response(problem_of(error))(scope, receive, send)
            return
        length = (b"content-length", str(len(content)).encode())
        start: Message = {"type": "http.response.start", "status": 200, "headers": [length, _TYPE]}
        await send(start)
        await send({"type": "http.response.body", "body": content})


async def _body(receive: Receive) -> bytes:
    """The body of a request as a whole; raises ProblemError 400 where the connection ends before it does."""
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ProblemError(400, "The connection ended within the body.")
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
