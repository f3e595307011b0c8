"""Connections: uvicorn's fast reader of requests, with a bound on what it keeps of one that does not end."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 65_536  # of an address and headers, or of what follows a body; 400 beyond


class BoundedProtocol(HttpToolsProtocol):
    """Reads HTTP/1.1. The reader itself would keep headers of any length, so bytes that complete nothing are counted.

    What comes in one piece from the system is not counted apart: a request that is whole in it may be some longer.
    """

    _waiting = 0  # bytes that came since headers, a piece of a body or a request was complete

    def data_received(self, data: bytes) -> None:
        """Take in what came on the connection."""
        self._waiting += len(data)
        super().data_received(data)
        if self._waiting > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too long.")

    def on_headers_complete(self) -> None:
        """The headers have ended."""
        self._waiting = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body has come."""
        self._waiting = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has ended."""
        self._waiting = 0
        super().on_message_complete()
