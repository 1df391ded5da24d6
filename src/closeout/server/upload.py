"""A request to the webhook's path: its head, its body as it arrives, and its answer.

A small body stays in memory until it is complete. A large one goes to the spool, and so does a small one when memory is full.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from closeout.core.errors import CloseoutError, Overloaded, PayloadTooLarge, ReadTimeout
from closeout.intake import headers
from closeout.intake.answers import Answer
from closeout.server.asgi import first_json_lines
from closeout.server.head import BadHead, Chunked, Head
from closeout.server.spool import FULL, Spooled

if TYPE_CHECKING:
    from closeout.server.protocol import Connection
    from closeout.server.webhook import Webhook

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Upload:
    """A request on a connection, which may be closed or at its next request when the answer is ready."""

    __slots__ = (
        "_body", "_chunked", "_connection", "_got", "_headers", "_limits", "_spooled", "_started", "_task", "_webhook",
        "head", "is_verified", "unread",
    )  # fmt: skip

    def __init__(self, connection: Connection, webhook: Webhook, head: Head) -> None:
        self._connection = connection
        self._webhook = webhook
        self._limits = webhook.limits
        self.head = head
        self.unread = head.has_body
        """Whether a part of the body has not arrived."""
        self.is_verified = False
        self._started = time.perf_counter()
        self._headers: Mapping[bytes, bytes] = {}
        self._body = bytearray()
        self._got = 0
        self._chunked: Chunked | None = None
        self._spooled: Spooled | None = None
        self._task: asyncio.Task[None] | None = None

    # --- called by the connection -----------------------------------------------------------------------------

    def begin(self, came: bytes) -> bytes:
        """Check the head and take the data that arrived with it; return what follows this request."""
        head = self.head
        try:
            self._headers = self._webhook.admit(head)
        except CloseoutError as error:
            self.reply(self._webhook.refuse(error))
            return came
        if head.chunked:
            self._chunked = Chunked()
        if head.length > self._limits.small_bytes and not self._spool():
            return b""
        if head.expects_continue and self.unread and not came:
            self._connection.write(CONTINUE)
        return self.receive(came)

    def receive(self, data: bytes) -> bytes:
        """Take a piece of the body; return what follows the body."""
        rest = b""
        if self._chunked is None:
            missing = self.head.length - self._got
            if len(data) > missing:
                data, rest = data[:missing], data[missing:]
            self.unread = len(data) < missing
        else:
            try:
                data = self._chunked.decode(data)
            except BadHead:
                self._cancel()
                self._connection.refuse(400, "bad-request", "This is not an HTTP request.")
                return b""
            self.unread = not self._chunked.done
        self._got += len(data)
        if self._got > self._limits.body_bytes:
            self._give_up(PayloadTooLarge(headers.TOO_LARGE))
        elif self._spooled is None and self._got > self._limits.small_bytes and not self._spool():
            return b""
        elif self._spooled is not None:
            self._spooled.feed(data, last=not self.unread)
        elif self.unread:
            self._body += data
        else:
            body = bytes(self._body) + data if self._body else data
            self._webhook.take(self._headers, body, self._started, self)
        return rest

    @property
    def reading(self) -> bool:
        """Whether more of the body is to be read."""
        return self.unread

    @property
    def held(self) -> int:
        """Bytes in memory while the request is not verified. The spool has its own limits."""
        return 0 if self.is_verified or self._spooled is not None else self.head.size + self._got

    def release_memory(self) -> bool:
        """Free the memory. Return False if the request is verified and holds none."""
        if self.is_verified:
            return False
        if not (self.unread and self._spooled is None and self._webhook.spool.has_room and self._spool()):
            self._give_up(Overloaded("the memory for unverified requests is full"))
        return True

    def expire(self) -> None:
        """Reject a body that did not arrive in time."""
        seconds = f"{self._limits.read_seconds:g} seconds"
        self._give_up(ReadTimeout(f"The body did not arrive within {seconds}."))

    def abandon(self) -> None:
        """Note that the sender disconnected. A complete delivery is still verified and stored."""
        if self.unread:
            self._webhook.disconnected()
            self._cancel()
        elif self in self._webhook.waits_for_secrets:
            # The connection that counted the body is gone, so the upload counts for itself until the secrets are read.
            self._webhook.unverified.hold(self, self.held)

    # --- called by the webhook --------------------------------------------------------------------------------

    def verified(self) -> None:
        """Note that the signature is valid."""
        self.is_verified = True
        if self._body:
            self._body = bytearray()
        self._connection.verified()

    def reply(self, answer: Answer, *, close: bool = False) -> None:
        """Send the answer; with `close`, then close the connection."""
        start = first_json_lines(answer.status)
        self._connection.answer(self, answer.status, start, answer.body, close=close)

    # --- called by the spool ----------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop reading from the sender."""
        self._connection.pause()

    def resume(self) -> None:
        """Resume reading from the sender."""
        self._connection.resume()

    def evict(self) -> None:
        """Reject the body: the spool dropped it for another."""
        self._give_up(Overloaded(FULL))

    # --- private ----------------------------------------------------------------------------------------------

    def _spool(self) -> bool:
        """Move the body to the spool. Return False, after answering, if the spool is full."""
        try:
            self._spooled = spooled = self._webhook.spool.open(self, self._body)
        except Overloaded as error:
            self._give_up(error)
            return False
        self._body = bytearray()
        self._task = asyncio.get_running_loop().create_task(
            self._webhook.take_large(self._headers, spooled, self._started, self)
        )
        # Not in the coroutine, which never starts if the sender disconnects before the loop runs it.
        self._task.add_done_callback(lambda _: spooled.close())
        return True

    def _give_up(self, error: CloseoutError) -> None:
        self._cancel()
        self.reply(self._webhook.refuse(error), close=True)

    def _cancel(self) -> None:
        self._webhook.waits_for_secrets.pop(self, None)
        if self._task is not None:
            self._task.cancel()
            self._task = None  # its frames keep this object alive
