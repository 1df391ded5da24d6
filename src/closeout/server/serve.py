"""Serve the application over HTTP until a signal says stop; then let what is in flight end.

The socket is bound before anything is started, so that a port in use is an error of the command and not a line in a log.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import uvloop

from closeout.server.app import Application
from closeout.server.places import LOOPBACK, Places
from closeout.server.protocol import Connection
from closeout.server.shared import Shared, Timers

DRAIN_SECONDS = 10
BACKLOG = 2048
MOST_FILES = 4096
RESERVED_FILES = 512
"""For the ledger's readers, spooled bodies, scripts, and connections to GitHub and AWS."""
TICK = 0.1
"""Seconds between two looks at the signals."""
SWEEP_TICKS = 5


def run(  # noqa: PLR0913 - each argument is a choice of who serves
    app: Application,
    host: str,
    port: int,
    on_listening: Callable[[str], None],
    *,
    on_draining: Callable[[], None] = lambda: None,
    drain_seconds: float = DRAIN_SECONDS,
    timers: Timers | None = None,
    trusted_proxies: Sequence[str] = LOOPBACK,
    most: int | None = None,
    stop: threading.Event | None = None,
) -> bool:
    """Serve until SIGTERM or SIGINT (or `stop`, for a server in a thread). True if it ended in good order.

    `on_listening` gets the base address once connections are taken; port 0 takes a free one. `on_draining` is
    called when the end begins. In-flight requests get `drain_seconds`; a second signal ends at once (False).
    Raises OSError when the address cannot be bound.
    """
    with bind(host, port) as listener, _signals() as signals:
        places = Places(most or most_connections(), trusted_proxies, _on_full(app))
        shared = Shared(app, places, timers or Timers())
        app.metrics.connections = places.__len__
        app.metrics.most_connections = places.most
        # They are files, too, and belong to the reserve.
        app.webhook.spool.most_files = min(app.webhook.spool.most_files, max(1, places.most // 8))
        server = _Server(shared, listener, signals, stop)
        address = base_address(listener)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(lambda: on_listening(address), on_draining, drain_seconds))
        return len(signals) < 2


def _on_full(app: Application) -> Callable[[str, str], None]:
    def full(reason: str, address: str) -> None:
        app.metrics.closed[reason] += 1
        if reason == "full":
            app.log.rarely("all connections are taken: the one that waited longest is closed for a new one")
        else:
            app.log.rarely("one address has its whole share of the connections", address=address)

    return full


class _Server:
    """The loop around the connections: it takes them, sweeps them, and ends them."""

    def __init__(
        self, shared: Shared, listener: socket.socket, signals: list[int], stop: threading.Event | None
    ) -> None:
        self._shared = shared
        self._listener = listener
        self._signals = signals
        self._stop = stop

    async def serve(
        self, on_listening: Callable[[], None], on_draining: Callable[[], None], drain_seconds: float
    ) -> None:
        loop = asyncio.get_running_loop()
        self._shared.sweep(loop.time())
        server = await loop.create_server(
            lambda: Connection(self._shared), sock=self._listener, backlog=BACKLOG
        )
        on_listening()
        await self._until(self._asked_to_stop)
        on_draining()
        server.close()
        self._shared.drain()
        ends = loop.time() + drain_seconds
        await self._until(lambda: self._hurried() or self._idle() or loop.time() > ends)
        for connection in list(self._shared.connections):
            connection.abort()
        self._shared.app.webhook.spool.close()

    async def _until(self, ended: Callable[[], bool]) -> None:
        """Sweep connections until `ended`."""
        loop = asyncio.get_running_loop()
        ticks = 0
        while not ended():
            await asyncio.sleep(TICK)
            ticks += 1
            if ticks % SWEEP_TICKS == 0:
                self._shared.sweep(loop.time())

    def _asked_to_stop(self) -> bool:
        return bool(self._signals) or (self._stop is not None and self._stop.is_set())

    def _hurried(self) -> bool:
        return len(self._signals) > 1

    def _idle(self) -> bool:
        return not self._shared.connections


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT while serving: the first drains, the second ends at once."""
    told: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before: dict[int, Any] = {
        number: signal.signal(number, lambda number, _frame: told.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def most_connections() -> int:
    """Ask for as many open files as this process may have; return how many of them connections may take.

    A service manager's default of 1,024 is soon held by connections that never speak; without a reserve nothing
    could be read, stored, run or asked of GitHub meanwhile.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)
    return max(files - RESERVED_FILES, files // 2)


def bind(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:  # no name of a host at all, says the codec that would encode it
        raise socket.gaierror(socket.EAI_NONAME, "no name of a host") from None
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def base_address(listener: socket.socket) -> str:
    """Return `http://HOST:PORT` of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
