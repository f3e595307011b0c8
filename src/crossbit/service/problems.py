"""Errors as answers: problem details for HTTP interfaces (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from traceback import extract_tb
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from crossbit.errors import CrossbitError, FileFormatError, MismatchError, MissingExtraError

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("crossbit.service")


class ProblemDetails(BaseModel):
    """What went wrong, for programs and for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""


class ProblemError(Exception):
    """An answer that is a problem. status: its HTTP status. detail: what was expected and what to do."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The problem as JSON values."""
        return ProblemDetails(title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail).model_dump()


def problem_of(error: Exception) -> ProblemError:
    """What an error is to a client. What was not foreseen tells nothing of its inside."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException):
        return ProblemError(error.status_code, str(error.detail), error.headers)
    if isinstance(error, RequestValidationError | ValidationError):
        return ProblemError(422, _first_fault(error))
    if isinstance(error, MissingExtraError | FileFormatError):
        _LOG.error("%s", error)
        return ProblemError(503, "The service cannot do this at the moment; its log says why.")
    if isinstance(error, MismatchError):
        return ProblemError(409, str(error))
    if isinstance(error, CrossbitError):
        return ProblemError(422, str(error))
    if isinstance(error, TimeoutError):
        return ProblemError(
            503, "The request took too long and was given up. Ask for less at once.", {"Retry-After": "1"}
        )
    _LOG.error("an error that was not foreseen: %s", where_of(error))
    return ProblemError(500, "An error that was not foreseen; the service's log has it.")


# What is none of these is not foreseen. It goes on to Bounds, which answers it too: the framework would log it, and
# with it data.
FORESEEN = (ProblemError, HTTPException, RequestValidationError, ValidationError, CrossbitError, TimeoutError)


def answer_with_problems(app: FastAPI) -> None:
    """Make every error of an application that is foreseen an answer with problem details."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        return problem_response(problem_of(error))

    for kind in FORESEEN:
        app.add_exception_handler(kind, answer)


def problem_response(problem: ProblemError) -> JSONResponse:
    """The answer that carries a problem."""
    return JSONResponse(problem.body(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for its description."""
    schema = {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
    return {status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}} for status in statuses}


def where_of(error: BaseException) -> str:
    """An error's kind and where it came from, innermost first. Its message may hold what was asked, and is left out."""
    frames = reversed(extract_tb(error.__traceback__)[-6:])
    return " < ".join([type(error).__name__, *(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)])


def _first_fault(error: RequestValidationError | ValidationError) -> str:
    faults = error.errors()
    if not faults:
        return "The request is not what is expected here; see /docs."
    first = faults[0]
    place = ".".join(str(part) for part in first.get("loc", ()) if part != "body")
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{place or 'the request'}: {first.get('msg', 'not as expected')}{more}. See /docs for what is expected."
