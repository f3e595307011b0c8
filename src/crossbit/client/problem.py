"""What the service answered when it could not do what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossbit.errors import CrossbitError


class ServiceError(CrossbitError):
    """A problem that the service told of (RFC 9457), or that it could not be reached (status 0).

    status: the HTTP status. title: what it is in a few words. detail: what was expected and what to do. line: which
    line of a streamed request it answers, else None. retry_after: seconds after which to try again, else None.
    """

    def __init__(
        self, status: int, title: str, detail: str = "", line: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{status} {title}: {detail}" if status else f"{title}: {detail}")
        self.status, self.title, self.detail = status, title, detail
        self.line, self.retry_after = line, retry_after

    @classmethod
    def of(cls, content: Mapping[str, Any], line: int | None = None, retry_after: float | None = None) -> ServiceError:
        """The error of problem details; what they lack is filled in."""
        status = content.get("status")
        told = (str(content.get("title") or "Problem"), str(content.get("detail") or ""))
        return cls(status if isinstance(status, int) else 0, *told, line, retry_after)
