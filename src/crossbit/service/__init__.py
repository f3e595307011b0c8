"""The service: a collection searched over HTTP and on a web page. Needs the extra `serve`, and never torch."""

from __future__ import annotations

from crossbit.service.settings import Limits, ServiceSettings

__all__ = ["Limits", "ServiceSettings"]
