"""What all connections of a server share: the application, the connection limit, the timeouts, and the check of deadlines.

Separate from the connection, so that starting a server does not depend on how a connection works.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

from closeout.server.app import Application
from closeout.server.asgi import App
from closeout.server.connection_limits import ConnectionLimits

if TYPE_CHECKING:
    from closeout.server.protocol import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """Timeouts of a connection in seconds, by what it waits for. The one for a body is in `Limits`."""

    head: float = 10.0
    """From the start of the connection, or the first byte of a head, to the end of the head."""
    idle: float = 75.0
    """Between an answer and the first byte of the next head."""
    answer: float = 60.0
    """For the answer to a complete request. GitHub's timeout is ten seconds."""
    write: float = 30.0
    """For the peer to read an answer."""
    linger: float = 1.0
    """For discarding what a rejected sender still sends, so that it can read the answer."""


class Shared:
    """What all connections to one address of a server share."""

    def __init__(
        self,
        app: Application,
        connection_limits: ConnectionLimits,
        timers: Timers,
        *,
        pages_alone: bool = False,
    ) -> None:
        self.app = app
        self.answer: App = app.pages_alone if pages_alone else app
        """Answers requests that are not deliveries."""
        self.receives = not pages_alone
        """Whether deliveries are received."""
        self.connection_limits = connection_limits
        self.timers = timers
        self.unverified = app.webhook.unverified
        self.connections: set[Connection] = set()
        self.draining = False
        self.date = b""
        """The line of the `Date` header."""

    def sweep(self, now: float) -> None:
        """End connections whose deadline has passed. `now` is the loop's time."""
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        for connection in [each for each in self.connections if each.deadline <= now]:
            try:
                connection.expire()
            except Exception as error:  # noqa: BLE001 - an error in one connection must not end the server
                self.app.log.unexpected("a connection could not be ended", error)
                connection.abort()
        self.unverified.trim()

    def drain(self) -> None:
        """Close waiting connections now, and the others after their answers."""
        self.draining = True
        for connection in list(self.connections):
            connection.drain()
