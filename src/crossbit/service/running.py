"""Running a service: one process, one socket, a graceful end."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from crossbit.collection import Collection
from crossbit.errors import SettingsError
from crossbit.queries import query_encoder
from crossbit.service.app import create_app
from crossbit.service.connections import BoundedProtocol
from crossbit.service.settings import ServiceSettings

# Seconds after which a thread that computes lets another one run Python. With the usual 5 ms whoever waits for the
# event loop waits for each of the workers first.
_SWITCH = 0.0005


def run(collection: Path, settings: ServiceSettings, started: Callable[[str], None]) -> None:
    """Serve a collection until SIGINT or SIGTERM; requests that were begun are finished.

    started: called with the service's address once it listens. Raises SettingsError where nothing can listen there,
    what opening the collection raises, and MismatchError for an encoder that is not the one its hasher names.
    """
    _start_logs(settings)
    sys.setswitchinterval(_SWITCH)
    # Whatever is wrong with the collection or the scores is said before anything listens.
    opened = Collection.open(collection)
    settings.scores_of(opened.manifest.hasher)
    for side, encoder in settings.encoders.items():
        query_encoder(opened.hasher, side, opened.path, opened.vocabulary, encoder)
    opened.close()
    app = create_app(collection, settings)
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # Bounds keeps the log, without what was asked and by whom
        server_header=False,
        timeout_graceful_shutdown=int(settings.limits.seconds) + 1,
        http=BoundedProtocol,
    )
    with listening:
        server = _Server(config, lambda: started(f"http://{_shown(host)}:{port}"))
        server.run(sockets=[listening])
        if not server.started:
            raise SettingsError("The service could not start; the lines above say why.")


class _Server(uvicorn.Server):
    """uvicorn's server, which also says when it listens."""

    def __init__(self, config: uvicorn.Config, listens: Callable[[], None]) -> None:
        super().__init__(config)
        self._listens = listens

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the collection, listen, and say so."""
        await super().startup(sockets=sockets)
        if self.started and not self.should_exit:
            self._listens()


def _listen(settings: ServiceSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio switches Nagle's algorithm off; else each answer may wait 40 ms for its end.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host.strip("[]"), settings.port))
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"Nothing can listen on {settings.host}:{settings.port} ({error.strerror or error}). Choose another "
            "--port, or 0 for any free one."
        ) from error
    return listening


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _start_logs(settings: ServiceSettings) -> None:
    """Send the service's log to stderr: access lines as they are, everything else with its level."""
    for name, form in (("crossbit.service.access", "%(message)s"), ("crossbit.service", "%(levelname)s %(message)s")):
        log = logging.getLogger(name)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(form))
        log.handlers = [handler]
        log.propagate = False
        log.setLevel(logging.INFO)
