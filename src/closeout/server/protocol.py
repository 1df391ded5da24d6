"""An HTTP/1.1 connection: one request at a time, and a deadline in every state.

Only a finished request extends the deadline, never a single byte, so the connection ends in bounded time no matter what the peer
sends. `UnverifiedMemory` counts the memory of requests that are not verified. A delivery is an `Upload`; a request to any other
path is an `Exchange`, which runs the ASGI application.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct

from closeout.server.asgi import first_json_lines
from closeout.server.exchange import Exchange
from closeout.server.head import HEAD_BYTES, BadHead, Head, HeadTooLarge, split
from closeout.server.shared import Shared
from closeout.server.upload import Upload
from closeout.server.webhook import PATH

LINGER_BYTES = 4 * 1024 * 1024
WRITE_BUFFER = 4096
"""Bytes of unread answers after which a peer's next request waits."""
_PATH = PATH.encode()
BODILESS = (204, 304)
"""Statuses whose answer has neither a body nor a length (RFC 9110, 8.6)."""
_RESET = struct.pack("ii", 1, 0)

WAITING, BODY, BUSY, FLUSHING, CLOSING = range(5)
"""States. The connection waits for a head; for a body; for the answer; for the peer to read its answer; for the transport to
close."""


class Connection(asyncio.Protocol):
    """See the module. `expire` is called when the loop's time reaches `deadline`."""

    __slots__ = (
        "_began", "_buffer", "_clock", "_dropped", "_half_closed", "_held", "_last", "_request", "_shared", "_state",
        "_transport", "address", "client", "deadline", "proven", "unwritten",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._clock = asyncio.get_running_loop().time
        self._transport: asyncio.Transport | None = None
        self.client: tuple[str, int] | None = None
        """Host and port of the peer; None for a Unix socket."""
        self.address: str | None = None
        self.proven = False
        self.deadline = float("inf")
        self.unwritten = False
        """Whether too much of what was written is unread."""
        self._state = WAITING
        self._began = False
        """Whether the first byte of a head has arrived."""
        self._buffer = b""
        """An incomplete head, or what arrived after the request that is being answered."""
        self._request: Upload | Exchange | None = None
        self._held = 0
        self._last = False
        """Whether this is the connection's last request."""
        self._half_closed = False
        self._dropped = 0

    # --- asyncio.Protocol -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register the connection, or abort it at the limit."""
        peer = transport.get_extra_info("peername")
        self.client = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
        self.address = self._shared.connection_limits.key(self.client[0] if self.client else None)
        if self._shared.draining or not self._shared.connection_limits.enter(self):
            transport.abort()
            return
        self._transport = transport
        self._shared.connections.add(self)
        transport.set_write_buffer_limits(WRITE_BUFFER)
        self._wait_for(self._shared.timers.head)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free everything that the connection holds."""
        del exc
        self._forget()

    def data_received(self, data: bytes) -> None:
        """Handle received data by the state. Data of a later request waits in the buffer and is counted."""
        known = len(self._buffer)
        if self._state == WAITING and (self._began or not known):
            self._buffer = self._buffer + data if known else data
            self._next(max(0, known - 3))
        elif self._state == BODY:
            assert self._request is not None
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
        """Answer a complete request although its sender closed its side; otherwise close."""
        self._half_closed = True
        if self._state in (BUSY, FLUSHING) or (self._buffer and not self._began):
            return True
        self._wait_for(self._shared.timers.write)
        return False

    def pause_writing(self) -> None:
        """Start no request until the peer has read its answers, and set a deadline for that."""
        self.unwritten = True
        if self._state == WAITING:  # uvloop writes at the end of the loop's iteration
            self._state = FLUSHING
        self.deadline = min(self.deadline, self._clock() + self._shared.timers.write)
        self._hold()

    def resume_writing(self) -> None:
        """Continue: the peer has read its answers."""
        self.unwritten = False
        self._hold()
        if self._state == FLUSHING:
            self._ready()

    # --- requests ---------------------------------------------------------------------------------------------

    def _next(self, known: int = 0) -> None:
        """Start the next request if its head is complete. The first `known` bytes contain no end of a head."""
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
        shared = self._shared
        is_delivery = head.path == _PATH and shared.receives
        self._request = request = (
            Upload(self, shared.app.webhook, head) if is_delivery else Exchange(self, shared.answer, head)
        )
        self._state = BODY
        came, self._buffer = self._buffer, b""
        self._took(request, request.begin(came), begun=True)

    def _took(self, request: Upload | Exchange, rest: bytes, *, begun: bool = False) -> None:
        """Continue after a piece of a body. `rest` follows the body; the answer may have been sent already."""
        if self._request is request:
            self._buffer = rest
            if not request.reading:
                self._busy()
            elif begun:
                self._wait_for(self._shared.app.webhook.limits.read_seconds)
                # A complete head is progress: move the connection to the end of the queue.
                self._shared.connection_limits.busy(self)
                self._shared.connection_limits.wait(self)
            if self._held or rest or not request.is_verified:
                self._hold()
        elif rest and self._state in (WAITING, FLUSHING):
            self._buffer = rest
            self._hold()
            if self._state == WAITING:
                self._resume_soon()

    def _busy(self) -> None:
        self._state = BUSY
        self._wait_for(self._shared.timers.answer)
        self._shared.connection_limits.busy(self)

    def verified(self) -> None:
        """Note that a delivery is verified, and count its memory no more."""
        self.proven = True
        self._hold()

    # --- answers ----------------------------------------------------------------------------------------------

    def answer(
        self, request: Upload | Exchange, status: int, start: bytes, body: bytes, *, close: bool = False
    ) -> None:
        """Answer a request, unless it was answered already or its sender disconnected. `start` is its `first_lines`."""
        if self._request is request:
            # The unread rest of a body must not be read as the next request.
            keep = self._keeps(request.head, close=close or request.unread)
            length = None if status in BODILESS else len(body)
            # After HEAD a client would read a body as the next answer.
            self._write_answer(start, b"" if request.head.method == b"HEAD" else body, length, keep=keep)

    def refuse(self, status: int, code: str, message: str) -> None:
        """Reject what is not a request, and close."""
        self._shared.app.log.backed_off(f"a request was refused: {code}")
        body = json.dumps({"error": code, "message": message}).encode()
        self._write_answer(first_json_lines(status), body, len(body), keep=False)

    def _keeps(self, head: Head, *, close: bool) -> bool:
        ended = self._last or self._shared.draining or (self._half_closed and not self._buffer)
        return head.keep_alive and not close and not ended

    def _write_answer(self, start: bytes, body: bytes, length: int | None, *, keep: bool) -> None:
        closing = b"" if keep else b"connection: close\r\n"
        sized = b"" if length is None else b"content-length: %d\r\n" % length
        self.write(b"%b%b%b%b\r\n%b" % (start, self._shared.date, closing, sized, body))
        self.finish(keep=keep)

    def write(self, data: bytes) -> None:
        """Send bytes, unless the peer disconnected."""
        if self._transport is not None:
            self._transport.write(data)

    def finish(self, *, keep: bool) -> None:
        """Take the next request, or close, after the answer was written."""
        if self._transport is None:
            return
        unread = self._request is None or self._request.unread
        self._request = None
        self._began = False
        self._shared.connection_limits.busy(self)
        if keep and self.unwritten:
            self._state = FLUSHING
            self._wait_for(self._shared.timers.write)
            self._shared.connection_limits.wait(self)
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
        self._shared.connection_limits.wait(self)
        if linger:
            # Closing at once would reset the connection, and the sender might lose the answer.
            self._wait_for(self._shared.timers.linger)
            self._transport.write_eof()
            self.resume()
        else:
            self._wait_for(self._shared.timers.write)
            self._transport.close()

    def _ready(self) -> None:
        """Wait for the next request, or start it if it has arrived already."""
        self._state = WAITING
        self._wait_for(self._shared.timers.idle)
        self._shared.connection_limits.wait(self)
        if self._shared.draining:
            self._close(linger=False)
        elif self._buffer:
            self._resume_soon()

    def _resume_soon(self) -> None:
        # In another iteration of the loop: a thousand pipelined requests must not delay other connections.
        asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if self._state == WAITING and self._buffer:
            self.resume()
            self._next()

    # --- limits -----------------------------------------------------------------------------------------------

    def _wait_for(self, seconds: float) -> None:
        self.deadline = self._clock() + seconds

    def pause(self) -> None:
        """Stop reading."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Resume reading."""
        if self._transport is not None and not self._half_closed:
            self._transport.resume_reading()

    def _hold(self) -> None:
        """Count the memory that this connection holds for unverified data."""
        size = len(self._buffer)
        if self._request is not None:
            size += self._request.held
        if self.unwritten and self._transport is not None:
            size += self._transport.get_write_buffer_size()
        if size != self._held:
            self._held = size
            self._shared.unverified.hold(self, size)

    def release_memory(self) -> None:
        """Free memory: spool the body, drop data of a later request, or end the request."""
        if not (isinstance(self._request, Upload) and self._state in (BODY, BUSY)):
            self._count("memory")
            self.abort()
        elif self._request.release_memory():
            self._count("memory")
            self._hold()
        else:
            self._buffer, self._last = b"", True
            self.pause()
            self._hold()

    def expire(self) -> None:
        """End the connection or its request: the deadline has passed."""
        if self._state == BODY and self._request is not None:
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
        """Close now if no request is active; an active one closes the connection after its answer."""
        if self._state == WAITING:
            self._close(linger=False)

    def abort(self) -> None:
        """Reset the connection."""
        transport = self._transport
        self._forget()
        if transport is not None:
            # With RST: otherwise the kernel keeps offering the answer to a peer that does not read it.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()

    def _forget(self) -> None:
        """Release everything. A second call does nothing."""
        if self._transport is None:
            return
        self._transport = None
        self._shared.connections.discard(self)
        self._shared.connection_limits.leave(self)
        request, self._request = self._request, None
        self._buffer, self._state = b"", CLOSING
        self._hold()
        if request is not None:
            request.abandon()
