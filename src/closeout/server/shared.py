"""What all connections of a server share: the application, the places, the timers, and one look at every deadline.

Apart from the connection, so that who starts a server need not know how one works.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING

from closeout.server.app import Application
from closeout.server.places import Places

if TYPE_CHECKING:
    from closeout.server.protocol import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """Seconds after which a connection ends, by what it is waiting for. A body's are in `Limits`."""

    head: float = 10.0
    """From the connection, or from a head's first byte, to its end."""
    idle: float = 75.0
    """Between an answer and the next head's first byte."""
    answer: float = 60.0
    """For the answer, once the request is whole: GitHub does not wait longer than ten seconds."""
    stream: float = 960.0
    """For a page that follows a run; it ends by itself before that."""
    write: float = 30.0
    """For the peer to read an answer."""
    linger: float = 1.0
    """To throw away what a refused sender is still sending, so that it can read the answer."""


class Shared:
    """What all connections of a server share."""

    def __init__(self, app: Application, places: Places, timers: Timers) -> None:
        self.app = app
        self.places = places
        self.timers = timers
        self.unverified = app.webhook.unverified
        self.connections: set[Connection] = set()
        self.draining = False
        self.date = b""
        """The `Date` header, a whole line."""

    def sweep(self, now: float) -> None:
        """End what is over its time. `now` is the loop's."""
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        for connection in [each for each in self.connections if each.deadline <= now]:
            try:
                connection.expire()
            except Exception as error:  # noqa: BLE001 - one connection's trouble must not end the server
                self.app.log.unforeseen("a connection could not be ended", error)
                connection.abort()
        self.unverified.trim()

    def drain(self) -> None:
        """Close the connections that wait, and each other one after its answer."""
        self.draining = True
        for connection in list(self.connections):
            connection.drain()
