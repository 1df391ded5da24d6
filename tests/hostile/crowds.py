"""Crowds: thousands of connections at once, each of which goes on sending what must be refused.

Wrong signatures; pages and heads of many fields whose answers nobody reads. One process opens as many connections as
the server takes and fills each place that it loses again. Memory stays under 150 MB and is back within 20 MB of the
start within ten seconds. The attacker takes a whole processor and all places, so a good delivery gets as long as GitHub
waits.

Red when sabotaged: make a task for each signature that does not fit (`server/webhook.py`); go on reading requests while
the answers are unread (`server/protocol.py`).
"""

from __future__ import annotations

import contextlib
import resource
import selectors
import socket
import time
from functools import partial

from tests.contract.http import strangers
from tests.hostile.good import GIVEN, Sent, note
from tests.hostile.memory import watched
from tests.hostile.report import Report
from tests.hostile.server import ATTACKER, IDLE, Server
from tests.hostile.stage import Stage

SECONDS = 5.0
FILES = 4_200
PIECE = 256 * 1024
"""Bytes that are sent at once, as far as the kernel takes them."""
FIELDS = b"".join(b"X%d: y\r\n" % number for number in range(95))
ATTACKS = (
    ("signatures", 4_000, strangers.upload(1_000) + b"x" * 1_000, True),
    ("pages", 4_000, b"GET /runs/x HTTP/1.1\r\nHost: x\r\n\r\n" * 20, False),
    ("fields", 2_000, (b"GET /readyz HTTP/1.1\r\n" + FIELDS + b"\r\n") * 20, False),
)
"""Name, connections, what each sends again and again, whether it reads the answers."""


def run(stage: Stage, report: Report) -> None:
    """Play each on a server of its own; the row shows the memory of the worst."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    sent: list[Sent] = []
    for name, count, requests, reads in ATTACKS:
        with Server(stage.room(name), IDLE) as server:
            crowd = Crowd(server.port, min(count, files - 100), requests, reads)
            sent += watched(report, server, name, partial(crowd.play, stage.seconds(SECONDS)))
    note(sent, report, GIVEN)


class Crowd:
    """So many connections of one process."""

    def __init__(self, port: int, count: int, requests: bytes, reads: bool) -> None:
        self._port = port
        self._count = count
        self._requests = requests * (PIECE // len(requests) + 1)
        self._whole = len(requests)
        self._events = selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0)
        self._selector = selectors.DefaultSelector()
        self._sent: dict[socket.socket, int] = {}
        self.opened = 0

    def play(self, seconds: float) -> str:
        """Send for a while, then close everything; return what was done."""
        end = time.monotonic() + seconds
        with self._selector:
            while time.monotonic() < end:
                self._open()
                for key, events in self._selector.select(0.05):
                    self._go_on(key.fileobj, events)  # type: ignore[arg-type]
            for connection in list(self._sent):
                self._close(connection)
        return f"{self.opened:,} connections"

    def _open(self) -> None:
        while len(self._sent) < self._count:
            connection = socket.socket()
            connection.setblocking(False)
            connection.bind((ATTACKER, 0))
            with contextlib.suppress(BlockingIOError):
                connection.connect(("127.0.0.1", self._port))
            self._sent[connection] = 0
            self._selector.register(connection, self._events)
            self.opened += 1

    def _go_on(self, connection: socket.socket, events: int) -> None:
        try:
            if events & selectors.EVENT_READ and not connection.recv(PIECE):
                self._close(connection)
            elif events & selectors.EVENT_WRITE:
                at = self._sent[connection]
                self._sent[connection] = (at + connection.send(self._requests[at : at + PIECE])) % self._whole
        except BlockingIOError:
            pass
        except OSError:
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._sent[connection]
        connection.close()
