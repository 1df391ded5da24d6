"""uvicorn's HTTP/1.1 protocol, with limits on a request's head and a short way for deliveries.

Limits: without them anybody could hold connections open with half a header, or fill memory with one long one. No
timer is set for a request; one sweep a second looks at all connections.

Short way: a delivery whose body came with its head is handed to `Webhook.take` at once, and its answer written in
one piece, without a task, a future and ASGI's messages: a quarter of the time of an answer. Everything else, and
whatever `take` does not want, goes the long way, so both must answer alike: one acceptance suite runs over both.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from closeout.intake.answers import Answer
from closeout.server.asgi import JSON
from closeout.server.webhook import EXTRA, PATH, Reply

HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0
_TARGET = PATH.encode()

Take = Callable[[list[tuple[bytes, bytes]], bytes, Reply], bool]


class Guarded(HttpToolsProtocol):
    """An HTTP connection. Its own errors have closeout's JSON shape too."""

    offer: ClassVar[tuple[Take] | None] = None
    """The short way (in a tuple, so that it does not become a method); None: every request goes the long way."""

    most: ClassVar[int] = 100_000
    """Connections at once; one more is closed unheard, so that the ledger and the engine keep files to open."""

    head_began: float | None = None
    """Loop time at which the current request's head began; None while a body comes or an answer is made."""
    _head_bytes = 0
    _short: ShortCycle | None = None
    """The delivery that may go the short way, until its body is complete or this piece of data ends."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first head."""
        super().connection_made(transport)
        self.head_began = self.loop.time()
        if len(self.connections) > self.most:
            self.transport.close()

    def on_message_begin(self) -> None:
        """Start waiting for the rest of this head. ASGI's scope is made only if it is needed."""
        self.head_began = self.loop.time()
        self._head_bytes = 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Choose the way, now that the head is there."""
        self.head_began = None
        if self.url == _TARGET and self.offer is not None and self._may_be_short():
            self._short = ShortCycle(self.parser.should_keep_alive())
        else:
            self._go_long()

    def _may_be_short(self) -> bool:
        busy = self.cycle is not None and not self.cycle.response_complete
        return not (
            busy
            or self.expect_100_continue
            or self.parser.should_upgrade()
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
        )

    def _go_long(self) -> None:
        """Do what uvicorn does at the end of a head; its own beginning would forget the head."""
        url, expects, headers = self.url, self.expect_100_continue, self.headers
        super().on_message_begin()
        self.url = url
        self.expect_100_continue = expects
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if self._short is not None:
            self._short.chunks.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take a delivery that is complete the short way."""
        short, self._short = self._short, None
        if short is None:
            super().on_message_complete()
            return
        body = short.chunks[0] if len(short.chunks) == 1 else b"".join(short.chunks)
        previous, self.cycle = self.cycle, short  # type: ignore[assignment]
        assert self.offer is not None
        if not self.offer[0](self.headers, body, lambda answer: self._write(short, answer)):
            self.cycle = previous
            self._go_long()
            super().on_body(body)
            super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; then send a body that is still coming the long way, and stop at an endless head."""
        super().data_received(data)
        short, self._short = self._short, None
        if short is not None and not self.transport.is_closing():
            self._go_long()
            for chunk in short.chunks:
                super().on_body(chunk)
        if self.head_began is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431, "headers-too-large", "The request's headers are over 64 KB.")

    def _write(self, cycle: ShortCycle, answer: Answer) -> None:
        """Write a whole answer."""
        cycle.response_started = cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        head = _HEADS[answer.status]
        for name, value in self.server_state.default_headers:
            head += b"%b: %b\r\n" % (name, value)
        if not cycle.keep_alive:
            head += b"connection: close\r\n"
        self.transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(answer.body), answer.body))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def sweep(self, now: float, seconds: float) -> None:
        """Close the connection if its head has been coming for too long. `now` is the loop's time."""
        if self.head_began is not None and now - self.head_began > seconds:
            if self.headers is None:
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


class ShortCycle:
    """A request on the short way, as uvicorn's connection sees it: what it reads and sets on a cycle of its own."""

    __slots__ = (
        "chunks",
        "disconnected",
        "keep_alive",
        "message_event",
        "response_complete",
        "response_started",
    )

    def __init__(self, keep_alive: bool) -> None:
        self.chunks: list[bytes] = []
        self.disconnected = False
        self.keep_alive = keep_alive
        self.message_event = _Nobody
        self.response_complete = False
        self.response_started = False


class _Nobody:
    """Stands for the event that uvicorn sets when a connection ends: on the short way nobody waits for it."""

    @staticmethod
    def set() -> None:
        """Do nothing."""


def _status_and_headers(status: int) -> bytes:
    headers = b"".join(b"%b: %b\r\n" % header for header in (*JSON, *EXTRA.get(status, ())))
    return STATUS_LINE[status] + headers


_HEADS = {status: _status_and_headers(status) for status in (200, 202, 400, 401, 500, 503)}


def guarded(take: Take | None, most: int = Guarded.most) -> type[Guarded]:
    """Give the protocol class for a server whose webhook has this short way and that takes `most` connections."""
    return type("Guarded", (Guarded,), {"offer": None if take is None else (take,), "most": most})
