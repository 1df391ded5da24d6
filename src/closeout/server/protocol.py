"""An HTTP/1.1 connection: one request at a time, and a deadline in every state.

Only a finished request moves the deadline on, never a byte, so whatever a peer sends or leaves out, the connection
ends in a bounded time. What a connection holds for a request that is not verified is counted in `Unverified`.
Deliveries are an `Upload`; a request to any other path is an `Exchange`, which is ASGI.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from functools import cache
from http import HTTPStatus
from typing import Any

from closeout.intake.answers import Answer
from closeout.server.asgi import JSON
from closeout.server.exchange import Exchange
from closeout.server.head import HEAD_BYTES, BadHead, Head, HeadTooLarge, split
from closeout.server.shared import Shared
from closeout.server.upload import Upload
from closeout.server.webhook import EXTRA, PATH

LINGER_BYTES = 4 * 1024 * 1024
WRITE_BUFFER = 4096
"""Bytes of answers that a peer may leave unread before its next request waits."""
_PATH = PATH.encode()
_RESET = struct.pack("ii", 1, 0)

WAITING, BODY, BUSY, STREAMING, FLUSHING, CLOSING = range(6)
"""States: for a head; for a body; for the answer; while a streamed answer goes on; until the peer has read its answer;
until the transport is closed."""


class Connection(asyncio.Protocol):
    """See the module. `deadline` is the loop's time at which `expire` is due."""

    __slots__ = (
        "_began", "_buffer", "_clock", "_dropped", "_half_closed", "_held", "_last", "_request", "_shared", "_state",
        "_transport", "address", "deadline", "peer", "proven", "unwritten",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._clock = asyncio.get_running_loop().time
        self._transport: asyncio.Transport | None = None
        self.peer: Any = None
        self.address: str | None = None
        self.proven = False
        self.deadline = float("inf")
        self.unwritten = False
        """Whether the peer has not read enough of what was written."""
        self._state = WAITING
        self._began = False
        """Whether the first byte of a head has come."""
        self._buffer = b""
        """A head that is not whole, or what came after the request that is being answered."""
        self._request: Upload | Exchange | None = None
        self._held = 0
        self._last = False
        """Whether no further request is taken."""
        self._half_closed = False
        self._dropped = 0

    # --- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or end."""
        self.peer = transport.get_extra_info("peername")
        self.address = self._shared.places.key(self.peer[0] if isinstance(self.peer, tuple) else None)
        if self._shared.draining or not self._shared.places.enter(self):
            transport.abort()
            return
        self._transport = transport
        self._shared.connections.add(self)
        transport.set_write_buffer_limits(WRITE_BUFFER)
        self._wait_for(self._shared.timers.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free everything."""
        del exc
        self._forget()

    def data_received(self, data: bytes) -> None:
        """Take what came, by what the connection is doing; what comes before its turn waits, and is counted."""
        known = len(self._buffer)
        if self._state == WAITING and (self._began or not known):
            self._buffer = self._buffer + data if known else data
            self._next(max(0, known - 3))
        elif self._state == BODY:
            assert isinstance(self._request, Upload)
            self._took(self._request, self._request.receive(data))
        elif self._state == CLOSING:
            self._dropped += len(data)
            if self._dropped > LINGER_BYTES:
                self.abort()
        else:
            self._buffer += data
            if len(self._buffer) > HEAD_BYTES:
                self.pause()
            self._hold()

    def eof_received(self) -> bool:
        """Answer a request that is whole although its sender will send no more; otherwise close."""
        self._half_closed = True
        if self._state in (BUSY, STREAMING, FLUSHING) or (self._buffer and not self._began):
            return True
        self._wait_for(self._shared.timers.write)
        return False

    def pause_writing(self) -> None:
        """Begin nothing more until the peer has read its answers, for which it has a limited time."""
        self.unwritten = True
        if self._state == WAITING:  # uvloop writes, and notices, at the end of its turn
            self._state = FLUSHING
        self.deadline = min(self.deadline, self._clock() + self._shared.timers.write)
        self._hold()

    def resume_writing(self) -> None:
        """Go on."""
        self.unwritten = False
        self._hold()
        if self._state == FLUSHING:
            self._ready()
        elif self._state == STREAMING and isinstance(self._request, Exchange):
            self._wait_for(self._shared.timers.stream)
            self._request.drained()

    # --- requests ---------------------------------------------------------------------------------------------

    def _next(self, known: int = 0) -> None:
        """Begin the next request if its head is whole. The first `known` bytes hold no end of a head."""
        if self._buffer[:1] in (b"\r", b"\n"):
            self._buffer = self._buffer.lstrip(b"\r\n")
            known = 0
        if not self._buffer:
            self._hold()
            return
        if not self._began:
            self._began = True
            self._wait_for(self._shared.timers.head)
        try:
            found = split(self._buffer, known)
        except BadHead:
            self.refuse(400, "bad-request", "This is not an HTTP request.")
            return
        except HeadTooLarge:
            self.refuse(431, "headers-too-large", "The request's headers are over 64 KB, or over 100 fields.")
            return
        if found is None:
            self._hold()
        else:
            head, self._buffer = found
            self._began = False
            self._begin(head)

    def _begin(self, head: Head) -> None:
        app = self._shared.app
        if head.path != _PATH:
            self._request = exchange = Exchange(self, head)
            self._busy()
            exchange.start(app)
            self._hold()
            return
        self._request = upload = Upload(self, app.webhook, head)
        self._state = BODY
        came, self._buffer = self._buffer, b""
        self._took(upload, upload.begin(came), begun=True)

    def _took(self, upload: Upload, rest: bytes, *, begun: bool = False) -> None:
        """Go on after a piece of a body, of which `rest` is no part; the answer may have been given already."""
        if self._request is upload:
            self._buffer = rest
            if not upload.unread:
                self._busy()
            elif begun:
                self._wait_for(self._shared.app.webhook.limits.read_seconds)
                # A whole head is progress: the connection is not the next one to make room.
                self._shared.places.busy(self)
                self._shared.places.wait(self)
            if self._held or rest or not upload.is_verified:
                self._hold()
        elif rest and self._state in (WAITING, FLUSHING):
            self._buffer = rest
            self._hold()
            if self._state == WAITING:
                self._resume_soon()

    def _busy(self) -> None:
        """Note that the request is whole."""
        self._state = BUSY
        self._wait_for(self._shared.timers.answer)
        self._shared.places.busy(self)

    def verified(self, upload: Upload) -> None:
        """Note that a delivery is verified."""
        self.proven = True
        if self._held and self._request is upload:
            self._hold()

    def begin_stream(self, exchange: Exchange) -> bool:
        """Note that an answer begins. Returns whether the connection is kept after it."""
        self._state = STREAMING
        self._wait_for(self._shared.timers.stream)
        return self._keeps(exchange.head, close=exchange.unread)

    # --- answers ----------------------------------------------------------------------------------------------

    def answer(self, upload: Upload, answer: Answer, *, close: bool = False) -> None:
        """Answer a delivery, unless it has been answered or its sender is gone."""
        if self._request is upload:
            # What is still to come of a body must not be read as the next request.
            keep = self._keeps(upload.head, close=close or upload.unread)
            self._write_answer(answer, keep=keep, empty=upload.head.method == b"HEAD")

    def refuse(self, status: int, code: str, message: str) -> None:
        """Answer what is not a request, and close."""
        self._shared.app.log.rarely(f"a request was refused: {code}")
        body = json.dumps({"error": code, "message": message}).encode()
        self._write_answer(Answer(status, body, code), keep=False)

    def _keeps(self, head: Head, *, close: bool) -> bool:
        ended = self._last or self._shared.draining or (self._half_closed and not self._buffer)
        return head.keep_alive and not close and not ended

    def _write_answer(self, answer: Answer, *, keep: bool, empty: bool = False) -> None:
        """Write an answer, or its head alone: a body after HEAD would be read as the next request's answer."""
        closing = b"" if keep else b"connection: close\r\n"
        self.write(
            b"%b%b%bcontent-length: %d\r\n\r\n%b"
            % (
                status_and_headers(answer.status),
                self._shared.date,
                closing,
                len(answer.body),
                b"" if empty else answer.body,
            )
        )
        self.finish(keep=keep)

    def write(self, data: bytes) -> None:
        """Send bytes, unless the peer is gone."""
        if self._transport is not None:
            self._transport.write(data)

    @property
    def date(self) -> bytes:
        """The `Date` header, a whole line."""
        return self._shared.date

    @property
    def local_address(self) -> Any:
        """The socket's own name."""
        return None if self._transport is None else self._transport.get_extra_info("sockname")

    def finish(self, *, keep: bool) -> None:
        """Take the next request, or close, now that the answer is written."""
        if self._transport is None:
            return
        unread = self._request is None or self._request.unread
        self._request = None
        self._began = False
        self._shared.places.busy(self)
        if keep and self.unwritten:
            self._state = FLUSHING
            self._wait_for(self._shared.timers.write)
            self._shared.places.wait(self)
        elif keep:
            self._ready()
        else:
            self._close(linger=unread and not self._half_closed)
        if self._held:
            self._hold()

    def _close(self, *, linger: bool) -> None:
        assert self._transport is not None
        self._state = CLOSING
        self._buffer = b""
        self._shared.places.wait(self)
        if linger:
            # To close at once would reset the connection, and the sender might lose the answer with it.
            self._wait_for(self._shared.timers.linger)
            self._transport.write_eof()
            self.resume()
        else:
            self._wait_for(self._shared.timers.write)
            self._transport.close()

    def _ready(self) -> None:
        """Wait for the next request, or begin it if it has come already."""
        self._state = WAITING
        self._wait_for(self._shared.timers.idle)
        self._shared.places.wait(self)
        if self._shared.draining:
            self._close(linger=False)
        elif self._buffer:
            self._resume_soon()

    def _resume_soon(self) -> None:
        # In a turn of its own, so that a thousand requests in one piece do not keep everybody waiting.
        asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if self._state == WAITING and self._buffer:
            self.resume()
            self._next()

    # --- limits -----------------------------------------------------------------------------------------------

    def _wait_for(self, seconds: float) -> None:
        self.deadline = self._clock() + seconds

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self._half_closed:
            self._transport.resume_reading()

    def _hold(self) -> None:
        """Count what is held for this connection and not verified."""
        size = len(self._buffer)
        if self._request is not None:
            size += self._request.held
        if self.unwritten and self._transport is not None:
            size += self._transport.get_write_buffer_size()
        if size != self._held:
            self._held = size
            self._shared.unverified.hold(self, size)

    def give_way(self) -> None:
        """Release what is held: spool the body, forget what came too early, or end the request."""
        if not (isinstance(self._request, Upload) and self._state in (BODY, BUSY)):
            self._count("memory")
            self.abort()
        elif self._request.give_way():
            self._count("memory")
            self._hold()
        else:
            self._buffer, self._last = b"", True
            self.pause()
            self._hold()

    def expire(self) -> None:
        """End what is over its deadline."""
        if self._state == BODY and isinstance(self._request, Upload):
            self._count("body")
            self._request.expire()
        elif self._state == WAITING and self._began:
            self._count("head")
            self.refuse(408, "read-timeout", "The request's headers did not arrive in time.")
        elif self._state == WAITING:
            self._count("idle")
            self._close(linger=False)
        else:
            if self._dropped == 0 and self._state != CLOSING:
                self._count("answer")
            self.abort()

    def _count(self, reason: str) -> None:
        self._shared.app.metrics.closed[reason] += 1

    def drain(self) -> None:
        """Close now if no request is under way, else after its answer."""
        if self._state == WAITING:
            self._close(linger=False)

    def abort(self) -> None:
        """End at once."""
        transport = self._transport
        self._forget()
        if transport is not None:
            # By RST: the kernel would go on offering the answer to who does not read it.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()

    def _forget(self) -> None:
        """Return everything back; a second call does nothing."""
        if self._transport is None:
            return
        self._transport = None
        self._shared.connections.discard(self)
        self._shared.places.leave(self)
        request, self._request = self._request, None
        if request is not None:
            request.abandon()
        self._buffer, self.unwritten, self._state = b"", False, CLOSING
        self._hold()


@cache
def status_and_headers(status: int) -> bytes:
    """Return the first lines of an answer on the webhook path."""
    headers = b"".join(b"%b: %b\r\n" % header for header in (*JSON, *EXTRA.get(status, ())))
    return b"HTTP/1.1 %d %b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), headers)
