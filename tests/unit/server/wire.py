"""A connection without a socket: what it is sent, what it writes, and for what it waits."""

from __future__ import annotations

import asyncio
import io
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from closeout.core.records import Accepted
from closeout.intake.receiver import Receiver
from closeout.ports import Incoming
from closeout.server.asgi import Receive, Scope, Send
from closeout.server.bodies import Limits
from closeout.server.connection_limits import ConnectionLimits
from closeout.server.log import Log
from closeout.server.metrics import ServerMetrics
from closeout.server.parts import ServerParts
from closeout.server.protocol import Connection
from closeout.server.shared import Shared, Timers
from closeout.server.webhook import Webhook

SECRET = b"sixteen letters, and more"
TIMERS = Timers(head=1000.0, idle=2000.0, answer=3000.0, write=5000.0, linger=6000.0)
BODY_SECONDS = 7000.0
NAMES = {1: "head", 2: "idle", 3: "answer", 5: "write", 6: "linger", 7: "body"}
Page = Callable[[Scope, Receive, Send], Awaitable[None]]


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any path with three bytes."""
    del scope, receive
    headers = [(b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"abc"})


def server_parts(**given: Any) -> ServerParts:
    """Return what a webhook alone needs, with the parts that a test gives."""
    values: dict[str, Any] = {
        "receiver": Receiver((), (), lambda: (SECRET,)),
        "started": lambda _executions: None,
        "refresh": lambda: False,
        "ready": lambda: None,
        "views": None,
        "link_key": b"",
        **given,
    }
    return ServerParts(**values)


class App:
    """An application: one page for all paths, and a webhook whose ledger commits when it is told to."""

    def __init__(
        self, page: Page = nothing, *, parts: Mapping[str, Any] | None = None, **limits: Any
    ) -> None:
        self._page = page
        self.metrics = ServerMetrics()
        self.written = io.StringIO()
        self.log = Log(stream=self.written, hold_seconds=0.0)
        self.groups: list[Sequence[Incoming]] = []
        limited = Limits(read_seconds=BODY_SECONDS, **limits)
        given = {"accept": self.groups.append, "log": self.log, "limits": limited, **(parts or {})}
        self.webhook = Webhook(server_parts(**given), self.metrics)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is no delivery."""
        await self._page(scope, receive, send)

    def commit(self) -> None:
        """Let everything that was handed over be stored."""
        for group in self.groups:
            for number, (_, _, done) in enumerate(group):
                done(Accepted(number + 1, (), False, ()))
        self.groups.clear()


class Wire(asyncio.Transport):
    """A transport that keeps what is written and what is done to it."""

    def __init__(
        self,
        app: App | None = None,
        connection_limits: ConnectionLimits | None = None,
        kind: type[Connection] = Connection,
    ) -> None:
        super().__init__({"peername": ("192.0.2.7", 4711), "sockname": ("127.0.0.1", 80), "socket": self})
        self.app = app or App()
        self.written = b""
        self.done: list[str] = []
        self.unread = 0
        self.high: int | None = None
        connection_limits = ConnectionLimits(10, ()) if connection_limits is None else connection_limits
        self.shared = Shared(self.app, connection_limits, TIMERS)  # type: ignore[arg-type]
        self.connection = kind(self.shared)
        self.connection.connection_made(self)

    def setsockopt(self, *option: Any) -> None:
        """Note that the peer gets RST."""
        self.done.append("reset" if option[-1] == b"\x01\0\0\0\0\0\0\0" else "?")

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Keep the limit."""
        del low
        self.high = high

    def get_write_buffer_size(self) -> int:
        """Return what a test says is unread."""
        return self.unread

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += bytes(data)

    def write_eof(self) -> None:
        """Note it."""
        self.done.append("eof")

    def pause_reading(self) -> None:
        """Note it."""
        self.done.append("pause")

    def resume_reading(self) -> None:
        """Note it."""
        self.done.append("resume")

    def close(self) -> None:
        """Note it."""
        self.done.append("close")

    def abort(self) -> None:
        """Note it."""
        self.done.append("abort")

    def send(self, data: bytes) -> None:
        """Hand over what the peer sends."""
        self.connection.data_received(data)

    @property
    def waits_for(self) -> str:
        """Return the name of the timer that the connection's deadline was last set by."""
        return NAMES[round((self.connection.deadline - asyncio.get_running_loop().time()) / 1000)]

    @property
    def held(self) -> int:
        """Return the bytes that are counted as unverified."""
        return self.shared.unverified.held

    @property
    def closed(self) -> Counter[str]:
        """Return the reasons for which connections were closed."""
        return +self.app.metrics.closed

    def heads(self) -> list[str]:
        """Return the status lines so far."""
        return [line.decode() for line in re.findall(rb"HTTP/1\.1 \d{3} [A-Za-z ]+", self.written)]


async def turns(count: int = 8) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scene in a loop of its own."""
    asyncio.run(scene())
