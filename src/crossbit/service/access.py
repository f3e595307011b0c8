"""Who may do what: bearer tokens, compared in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from hashlib import sha256

from fastapi import Request

from crossbit.service.problems import ProblemError
from crossbit.service.settings import ServiceSettings

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="crossbit"'}


def may_read(settings: ServiceSettings) -> Callable[[Request], Awaitable[None]]:
    """A check that lets readers through: everybody where there are no read tokens."""

    async def check(request: Request) -> None:  # a plain function would be sent to a thread
        if settings.read_tokens:
            _check(request, (*settings.read_tokens, *settings.write_tokens))

    return check


def may_write(settings: ServiceSettings) -> Callable[[Request], Awaitable[None]]:
    """A check that lets writers through; nobody where there is no write token."""

    async def check(request: Request) -> None:  # a plain function would be sent to a thread
        if not settings.write_tokens:
            raise ProblemError(403, "This service is read-only: it was started without a write token.")
        _check(request, settings.write_tokens)

    return check


def _check(request: Request, tokens: tuple[str, ...]) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise ProblemError(401, "A token is needed: send  Authorization: Bearer TOKEN.", _CHALLENGE)
    # All are compared, and digests of one length, so that the time taken tells neither which one is near nor how long.
    digest = sha256(given.strip().encode()).digest()
    fits = [hmac.compare_digest(digest, sha256(token.encode()).digest()) for token in tokens]
    if not any(fits):
        raise ProblemError(401, "The token is not one of this service's.", _CHALLENGE)
