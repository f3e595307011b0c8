"""What stands around every request: who it is meant for, how much may come in, how long it may take, how many at once.

Written as plain ASGI, so that streamed bodies and streamed answers pass through without being gathered.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, nullcontext
from time import perf_counter, time
from typing import Any

from crossbit.service.metrics import Metrics
from crossbit.service.problems import ProblemError, problem_of, problem_response, where_of
from crossbit.service.settings import Limits, ServiceSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_ACCESS = logging.getLogger("crossbit.service.access")
_LOG = logging.getLogger("crossbit.service")
_ALWAYS = {"/healthz", "/readyz", "/metrics"}  # answered however much else is going on
_NAMES = 256  # names kept with what was found of them
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Bounds:
    """The middleware that holds requests to the limits, gives answers their headers, and writes the access log.

    The log has the time, method, route (as a pattern, so without ids), status, milliseconds and bytes sent: nothing
    of what was asked, and no address of who asked.
    """

    def __init__(self, app: App, settings: ServiceSettings, metrics: Metrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self._names: dict[bytes, bool] = {}  # names that were asked for, and whether the service goes by them

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, whatever happens with it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _Request(scope, receive, send, self.settings)
        counted = scope["path"] not in _ALWAYS
        try:
            self._check_host(request.host)
            request.check_announced()
            if counted and self.metrics.at_work >= self.settings.limits.concurrent:
                busy = f"{self.metrics.at_work} requests are at work. Try again."
                raise ProblemError(503, busy, {"Retry-After": "1"})
            self.metrics.at_work += counted
            try:
                async with request.time():
                    await self.app(scope, request.receive, request.send)
            finally:
                self.metrics.at_work -= counted
        except Exception as error:
            await request.answer(problem_of(error), error)
        finally:
            self._note(request)

    def _check_host(self, host: bytes) -> None:
        """Raise ProblemError 421 for a name that this service does not go by.

        A page of a stranger can have a name of its own lead to this machine, and its reader's browser then asks here.
        """
        known = self._names.get(host)
        if known is None:
            if len(self._names) >= _NAMES:
                self._names.clear()
            known = self._names[host] = self.settings.answers_to(host.decode("latin-1"))
        if not known:
            raise ProblemError(421, "The service does not go by this name; start it with --name to allow it.")

    def _note(self, request: _Request) -> None:
        route, seconds = request.route(), perf_counter() - request.began
        self.metrics.answered(request.method, route, request.status, seconds)
        if self.settings.log == "none":
            return
        milliseconds = round(1000 * seconds, 3)
        if self.settings.log == "json":
            fields = {"time": round(time(), 3), "method": request.method, "route": route, "status": request.status}
            _ACCESS.info("%s", json.dumps({**fields, "ms": milliseconds, "bytes": request.sent}))
        else:
            what = (request.method, route, request.status, milliseconds, request.sent)
            _ACCESS.info("%s %s %d %.1f ms %d bytes", *what)


class _Request:
    """One request on its way in, and its answer on its way out."""

    def __init__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, settings: ServiceSettings
    ) -> None:
        self.scope = scope
        self.method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self.began = perf_counter()
        self.status = 0
        self.sent = 0
        self._receive, self._send, self._settings = receive, send, settings
        self.host, self._announced, self._streamed = b"", b"0", False
        for name, value in scope["headers"]:
            if name == b"host":
                self.host = value
            elif name == b"content-length":
                self._announced = value
            elif name == b"content-type":
                self._streamed = value.split(b";")[0].strip() == b"application/x-ndjson"
        self._most = _most(settings.limits, self._streamed)
        self._come = 0

    def route(self) -> str:
        """The route's pattern; "none" where no route fits, so that strangers' paths make no series of figures."""
        found = self.scope.get("route")
        return str(getattr(found, "path", "none")) or "none"

    def check_announced(self) -> None:
        """Raise ProblemError 413 for a body that is too large by its own word."""
        if self._announced.isdigit() and int(self._announced[:20]) > self._most:
            raise ProblemError(413, f"The body is larger than the {self._most} bytes that are allowed.")

    def time(self) -> AbstractAsyncContextManager[Any]:
        """The time that a request may take; a streamed one has it for each piece."""
        return nullcontext() if self._streamed else asyncio.timeout(self._settings.limits.seconds)

    async def receive(self) -> Message:
        """A piece of the body; raises ProblemError when it grows beyond what is allowed, or nothing comes."""
        if self._streamed:
            try:
                message = await asyncio.wait_for(self._receive(), self._settings.limits.seconds)
            except TimeoutError as error:
                raise ProblemError(408, "Nothing more came of the body.") from error
        else:
            message = await self._receive()
        if message["type"] == "http.request":
            self._come += len(message.get("body", b""))
            if self._come > self._most:
                raise ProblemError(413, f"The body has more than the {self._most} bytes that are allowed.")
        return message

    async def send(self, message: Message) -> None:
        """Pass a message of the answer on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            held = {name.lower() for name, _ in message.get("headers", ())}
            extra = [(name, value) for name, value in _ENCODED if name not in held]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        if self._streamed:  # who does not read what was asked for does not hold a place for ever
            await asyncio.wait_for(self._send(message), self._settings.limits.seconds)
        else:
            await self._send(message)

    async def answer(self, problem: ProblemError, error: Exception) -> None:
        """Answer with a problem; where an answer has begun, end the connection, which tells the client."""
        if self.status:
            _LOG.error("an answer was cut off: %s", where_of(error))
            raise ConnectionAbortedError("an answer was cut off") from None
        response = problem_response(problem)
        response.headers["connection"] = "close"  # part of the body may still be on its way
        await response(self.scope, self._receive, self.send)


_ENCODED = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]


def _most(limits: Limits, streamed: bool) -> int:
    return limits.bulk_bytes if streamed else limits.body_bytes
