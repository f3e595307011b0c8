"""What those who operate the service need: whether it lives, whether it is ready, its figures, and a reload."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from crossbit.service.access import may_read, may_write
from crossbit.service.desk import Desk
from crossbit.service.models import FacetsAnswer, InfoAnswer, ReloadAnswer, Status
from crossbit.service.problems import ProblemError, documented


def operation_routes(desk: Desk) -> APIRouter:
    """The routes of operation and information."""
    router = APIRouter(tags=["operation"])
    reads, writes = Depends(may_read(desk.settings)), Depends(may_write(desk.settings))
    closed = documented(401, 503)

    @router.get("/healthz")
    async def healthz() -> Status:
        """The process lives."""
        return Status(status="ok")

    @router.get("/readyz", responses=documented(503))
    async def readyz() -> Status:
        """The collection is open and searches are answered."""
        if not desk.ready:
            raise ProblemError(503, "The collection is not open yet.", {"Retry-After": "1"})
        return Status(status="ready")

    @router.get("/metrics", dependencies=[reads], responses={**documented(401), 200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(desk.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/v1/info", dependencies=[reads], responses=closed)
    async def info() -> InfoAnswer:
        """What the collection and the service are."""
        return await desk.work(lambda: desk.view.info())

    @router.get("/v1/facets", dependencies=[reads], responses={**closed, **documented(422)})
    async def facets(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> FacetsAnswer:
        """The values of the items' columns, the most frequent first, and how many items have each."""
        return await desk.work(lambda: desk.view.facets(limit))

    @router.post("/v1/admin/reload", dependencies=[writes], responses={**closed, **documented(403)})
    async def reload() -> ReloadAnswer:
        """Take over a collection that was rebuilt or changed on disk; requests at work end on the old one."""
        return await desk.reload()

    return router
