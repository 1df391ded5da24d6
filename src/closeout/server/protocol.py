"""uvicorn's HTTP/1.1 protocol, with limits on a request's head and a short way for deliveries.

Limits: without them anybody could hold connections open with half a header, or fill memory with one long one. No
timer is set for a request; one sweep a second looks at all connections.

Short way: a delivery whose body came with its head is handed to `Webhook.take` at once, and its answer written
in one piece, without a task, a future and ASGI's messages. Everything else, and whatever `take` does not want, goes the
long way, so both must answer alike (one acceptance suite runs over both).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from closeout.intake.answers import Answer
from closeout.server.asgi import JSON
from closeout.server.webhook import EXTRA, PATH, Reply

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0

Take = Callable[[list[tuple[bytes, bytes]], bytes, Reply], bool]


class Guarded(HttpToolsProtocol):
    """An HTTP connection. Its own errors have closeout's JSON shape too."""

    take: ClassVar[Take | None] = None
    """The short way; None: every request goes the long way."""

    head_began: float | None = None
    """Loop time at which the current request's head began; None while a body comes or an answer is made."""
    _head_bytes = 0
    _short: tuple[RequestResponseCycle, Any] | None = None

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
        """Note that the head is there."""
        self.head_began = None
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Keep back a delivery until it is seen whether its body is there already."""
        scope = cycle.scope
        if self.take is not None and scope["path"] == PATH and scope["method"] == "POST":
            if cycle.more_body:
                self._short = cycle, app
                return
            if self._taken(cycle):
                return
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """Take a delivery that is complete the short way."""
        super().on_message_complete()
        if self._short is not None:
            cycle, app = self._short
            self._short = None
            if not self._taken(cycle):
                super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; then start what was kept back in vain, and stop at a head that does not end."""
        super().data_received(data)
        if self._short is not None:
            cycle, app = self._short
            self._short = None
            super()._start_asgi_task(cycle, app)
        if self.head_began is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431, "headers-too-large", "The request's headers are over 64 KB.")

    def _taken(self, cycle: RequestResponseCycle) -> bool:
        take = type(self).take
        assert take is not None
        headers: Any = cycle.scope["headers"]
        return take(headers, bytes(cycle.body), lambda answer: self._write(cycle, answer))

    def _write(self, cycle: RequestResponseCycle, answer: Answer) -> None:
        """Write a whole answer, as `cycle.send` would have."""
        if cycle.disconnected or self.transport.is_closing():
            return
        defaults = self.server_state.default_headers
        date = b"".join([b"%b: %b\r\n" % header for header in defaults])
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        length = b"content-length: %d\r\n\r\n" % len(answer.body)
        self.transport.write(b"".join((_HEADS[answer.status], date, close, length, answer.body)))
        cycle.response_started = cycle.response_complete = True
        cycle.body = bytearray()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def sweep(self, now: float, seconds: float) -> None:
        """Close the connection if its head has been coming for too long. `now` is the loop's time."""
        if self.head_began is not None and now - self.head_began > seconds:
            if self.scope is None:
                # It never spoke: there is nothing to answer.
                self.transport.close()
            else:
                self._refuse(408, "read-timeout", "The request's headers did not arrive in time.")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        del msg
        self._refuse(400, "bad-request", "This is not an HTTP request.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        if self.transport.is_closing():
            return
        body = json.dumps({"error": code, "message": message}).encode()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            head = b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
            self.transport.write(_status_and_headers(status) + head + body)
        self.transport.close()


def _status_and_headers(status: int) -> bytes:
    headers = b"".join(b"%b: %b\r\n" % header for header in (*JSON, *EXTRA.get(status, ())))
    return STATUS_LINE[status] + headers


_HEADS = {status: _status_and_headers(status) for status in (200, 202, 400, 401, 500, 503)}


def guarded(take: Take | None) -> type[Guarded]:
    """Give the protocol class for a server whose webhook has this short way."""
    return type("Guarded", (Guarded,), {"take": staticmethod(take) if take is not None else None})
