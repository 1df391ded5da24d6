"""A request to any path but the webhook's, handled by an ASGI application.

A POST's body of up to `FORM_BYTES` is read before the application starts: a form of the pages. Any other body is never read.
The task is cancelled when the sender disconnects, so `receive` returns one body and then blocks. An answer is written when it
is complete.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from closeout.server.asgi import App, Message, Scope, first_lines
from closeout.server.head import Head
from closeout.server.upload import CONTINUE

if TYPE_CHECKING:
    from closeout.server.protocol import Connection


FORM_BYTES = 64 * 1024
"""The largest form that is read."""
_UNSAFE = re.compile(rb"[\r\n\0]")


class Exchange:
    """A request and its answer on a connection."""

    __slots__ = (
        "_answer", "_app", "_asked", "_body", "_connection", "_done", "_start", "_task", "head", "unread",
    )  # fmt: skip

    is_verified = False

    def __init__(self, connection: Connection, app: App, head: Head) -> None:
        self._connection = connection
        self._app = app
        self.head = head
        self.unread = head.has_body
        """Whether a part of the body has not been read."""
        self._body = self._answer = b""
        self._start: Message = {}
        self._asked = self._done = False
        self._task: asyncio.Task[None] | None = None

    @property
    def held(self) -> int:
        """Bytes in memory of an unverified request."""
        return self.head.size + len(self._body)

    @property
    def reading(self) -> bool:
        """Whether more of the body is to be read."""
        return self.unread and self._takes_body

    @property
    def _takes_body(self) -> bool:
        return self.head.method == b"POST" and 0 < self.head.length <= FORM_BYTES

    def begin(self, came: bytes) -> bytes:
        """Take the data that arrived with the head; return the bytes after this request."""
        if not self._takes_body:
            self._start_app()
            return came
        if self.head.expects_continue and not came:
            self._connection.write(CONTINUE)
        return self.receive(came)

    def receive(self, data: bytes) -> bytes:
        """Take a piece of the body; return what follows the body."""
        missing = self.head.length - len(self._body)
        self._body += data[:missing]
        self.unread = len(data) < missing
        if not self.unread:
            self._start_app()
        return data[missing:]

    def expire(self) -> None:
        """Reject a body that did not arrive in time."""
        self._connection.refuse(408, "read-timeout", "The form did not arrive in time.")

    def _start_app(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def abandon(self) -> None:
        """Stop: the sender has disconnected."""
        # A cancelled task lives until the loop runs it, and thousands may be cancelled before that: free the head now.
        self.head.headers.clear()
        self.head.target = b""
        if self._task is not None:
            self._task.cancel()
            self._task = None  # its frames keep this object alive

    async def _run(self) -> None:
        """Run the application; close the connection if it does not finish its answer."""
        try:
            await self._app(self._scope(), self._receive, self._send)
        finally:
            if not self._done:
                self._connection.finish(keep=False)

    def _scope(self) -> Scope:
        head = self.head
        path, _, query = head.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": head.version,
            "method": head.method.decode("ascii"),
            "scheme": "http",
            # Not decoded: a proxy's rule for a path must mean the same path here.
            "path": path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": head.headers,
            "client": self._connection.client,
        }

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._answer += message.get("body", b"")
        if not message.get("more_body", False) and not self._done:
            headers = [pair for pair in self._start["headers"] if pair[0].lower() != b"content-length"]
            if any(_UNSAFE.search(value) for _, value in headers):
                # One value would become further headers, or a body.
                raise ValueError("a header of an answer holds a control character")
            self._done = True
            status = self._start["status"]
            self._connection.answer(self, status, first_lines(status, headers), self._answer)
