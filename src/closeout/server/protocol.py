"""uvicorn's HTTP/1.1 protocol with the two limits that it lacks: on a request's head, in bytes and in seconds.

Without them anybody could hold connections open with half a header, or fill memory with one long one. No timer
is set for a request: one sweep a second looks at all connections.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0


class Guarded(HttpToolsProtocol):
    """An HTTP connection whose request heads are limited. Its errors have closeout's JSON shape too."""

    head_began: float | None = None
    """Loop time at which the current request's head began; None between requests and while a body comes."""
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first head."""
        super().connection_made(transport)
        self.head_began = self.loop.time()

    def on_message_begin(self) -> None:
        """Start waiting for the rest of this head."""
        self.head_began = self.loop.time()
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self.head_began = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and stop at a head that does not end."""
        super().data_received(data)
        if self.head_began is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431, "headers-too-large", "The request's headers are over 64 KB.")

    def sweep(self, now: float, seconds: float) -> None:
        """Close the connection if its head has been coming for too long. `now` is the loop's time."""
        if (
            self.head_began is not None
            and now - self.head_began > seconds
            and not self.transport.is_closing()
        ):
            if self.url_seen():
                self._refuse(408, "read-timeout", "The request's headers did not arrive in time.")
            else:
                self.transport.close()

    def url_seen(self) -> bool:
        """Whether a request has begun on this connection: one that never spoke is closed without a word."""
        return self.scope is not None

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        del msg
        self._refuse(400, "bad-request", "This is not an HTTP request.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        if self.transport.is_closing():
            return
        body = json.dumps({"error": code, "message": message}).encode()
        head: list[Any] = [
            STATUS_LINE[status],
            b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body),
        ]
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(b"".join(head) + body)
        self.transport.close()
