"""The web page and the description of the interface, from files of our own; nothing comes from another host."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from crossbit.service.problems import ProblemError

PAGE = Path(str(files("crossbit.service") / "page"))
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
_FILES = {path.name: path for path in PAGE.iterdir() if path.suffix in _TYPES}


def page_routes() -> APIRouter:
    """The routes of the page, which need no token: it holds nothing of the collection."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def page() -> FileResponse:
        return _file("index.html")

    @router.get("/docs")
    def docs() -> FileResponse:
        return _file("docs.html")

    @router.get("/static/{name}")
    def static(name: str) -> FileResponse:
        return _file(name)

    return router


def _file(name: str) -> FileResponse:
    # Looked up in a list made beforehand: what a request says is never made into a path.
    path = _FILES.get(name)
    if path is None:
        raise ProblemError(404, "There is no such file on the page.")
    return FileResponse(path, media_type=_TYPES[path.suffix], headers={"cache-control": "no-cache"})
