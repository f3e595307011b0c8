"""The application: a collection's folder and settings in, an ASGI application out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.types import Receive, Scope, Send

from crossbit import __version__
from crossbit.service.bounds import Bounds
from crossbit.service.desk import Desk
from crossbit.service.direct import DirectSearch
from crossbit.service.items import item_routes
from crossbit.service.metrics import Metrics
from crossbit.service.models import AddRequest, EncodeRequest, NewItem, SearchRequest
from crossbit.service.operation import operation_routes
from crossbit.service.pages import page_routes
from crossbit.service.problems import ProblemDetails, answer_with_problems, documented
from crossbit.service.searching import search_routes
from crossbit.service.settings import ServiceSettings


def create_app(collection: str | Path, settings: ServiceSettings | None = None) -> FastAPI:
    """The service of a collection as an ASGI application; the collection is opened when the application starts.

    One process serves a collection, since one process may write to it. Raises SettingsError for settings that do not
    fit together.
    """
    chosen = settings or ServiceSettings()
    metrics = Metrics(lambda: desk.size())
    desk = Desk(Path(collection), chosen, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with desk.opened():
            yield

    app = Service(
        title="crossbit",
        version=__version__,
        summary="Search across pictures and texts by compact binary codes.",
        description="Errors are problem details (RFC 9457). Writes need a bearer token.",
        lifespan=lifespan,
        docs_url=None,  # the packaged ones load their scripts from other hosts
        redoc_url=None,
    )
    app.state.desk = desk
    answer_with_problems(app)
    for router in (search_routes(desk), item_routes(desk), operation_routes(desk), page_routes()):
        app.include_router(router)
    app.add_middleware(Bounds, settings=chosen, metrics=metrics)
    app.searches = Bounds(DirectSearch(desk), settings=chosen, metrics=metrics)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


class Service(FastAPI):
    """The application. searches: what answers the requests that do not need the framework, within the same bounds."""

    searches: Bounds | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self.searches is not None and DirectSearch.takes(scope):
            await self.searches(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the problems and the token that routes speak of."""
    if not app.openapi_schema:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
        )
        parts = schema.setdefault("components", {})
        parts.setdefault("schemas", {}).update(_read_by_routes())
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                _complete(path, method, operation)
        app.openapi_schema = schema
    return app.openapi_schema


def _read_by_routes() -> dict[str, Any]:
    """The records that routes read themselves, so that FastAPI does not know of them."""
    records = [(one, "validation") for one in (AddRequest, EncodeRequest, NewItem, ProblemDetails, SearchRequest)]
    _, schema = models_json_schema(records, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    found: dict[str, Any] = schema["$defs"]
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Say who may call an operation, and what the bounds around every request may answer."""
    for status, answer in documented(*(() if path == "/healthz" else (401,)), 413, 421, 503).items():
        operation["responses"].setdefault(str(status), answer)
    if "requestBody" in operation:
        operation["responses"].setdefault("408", documented(408)[408])
    refused = operation["responses"].get("422")
    if refused is not None:  # FastAPI describes its own form of it, which is not used here
        operation["responses"]["422"] = documented(422)[422]
    if path.startswith("/v1/"):
        writes = path.startswith("/v1/admin") or (path.startswith("/v1/items") and method != "get")
        operation["security"] = [{"token": []}] if writes else [{}, {"token": []}]
