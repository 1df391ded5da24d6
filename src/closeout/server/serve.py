"""Serve the application over HTTP until a signal, then drain.

The socket is bound before anything else starts, so that a port in use is an error of the command and not a line in the log.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import uvloop

from closeout.server.app import Application
from closeout.server.connection_limits import LOOPBACK, ConnectionLimits
from closeout.server.protocol import Connection
from closeout.server.shared import Shared, Timers

DRAIN_SECONDS = 10
BACKLOG = 2048
MOST_FILES = 4096
RESERVED_FILES = 512
"""For the ledger's readers, spooled bodies, scripts, and connections to GitHub and AWS."""
TICK = 0.1
"""Seconds between two checks for signals."""
SWEEP_TICKS = 5


def run(  # noqa: PLR0913 - each argument is an option of `serve`
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
    pages: socket.socket | None = None,
    stop: threading.Event | None = None,
) -> bool:
    """Serve until SIGTERM or SIGINT (or `stop`, for a server in a thread). Return False if a second signal ended it.

    `on_listening` gets the base address once connections are accepted; port 0 picks a free port. `on_draining` is called
    when draining starts. In-flight requests get `drain_seconds`; a second signal ends the server at once. `pages` is a
    bound socket that serves only the pages of `app`, and no webhook. Raises OSError if the address cannot be bound.
    """
    with bind(host, port) as listener, signals() as received:
        connection_limits = ConnectionLimits(most or most_connections(), trusted_proxies, _on_full(app))
        endpoints = [(listener, Shared(app, connection_limits, timers or Timers()))]
        if pages is not None:
            endpoints.append((pages, Shared(app, connection_limits, timers or Timers(), pages_alone=True)))
        app.metrics.connections = connection_limits.__len__
        app.metrics.most_connections = connection_limits.most
        # Spooled bodies are open files too, out of RESERVED_FILES.
        app.webhook.spool.most_files = min(app.webhook.spool.most_files, max(1, connection_limits.most // 8))
        serving = _serve(
            endpoints,
            lambda: bool(received) or (stop is not None and stop.is_set()),
            lambda: len(received) > 1,
            partial(on_listening, base_address(listener)),
            on_draining,
            drain_seconds,
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serving)
        return len(received) < 2


def _on_full(app: Application) -> Callable[[str, str], None]:
    def full(reason: str, address: str) -> None:
        app.metrics.closed[reason] += 1
        if reason == "full":
            app.log.backed_off(
                "connection limit reached: closing the connection that has waited longest, to accept a new one"
            )
        else:
            app.log.backed_off("one address reached its share of the connections", address=address)

    return full


async def _serve(
    endpoints: Sequence[tuple[socket.socket, Shared]],
    stopped: Callable[[], bool],
    interrupted_again: Callable[[], bool],
    on_listening: Callable[[], None],
    on_draining: Callable[[], None],
    drain_seconds: float,
) -> None:
    """Accept connections at each address until `stopped`, and drain until `interrupted_again`. Deadlines apply throughout."""
    loop = asyncio.get_running_loop()
    all_shared = [shared for _, shared in endpoints]

    def sweep() -> None:
        for shared in all_shared:
            shared.sweep(loop.time())

    async def until(ended: Callable[[], bool]) -> None:
        ticks = 0
        while not ended():
            await asyncio.sleep(TICK)
            ticks += 1
            if ticks % SWEEP_TICKS == 0:
                sweep()

    sweep()
    servers = [
        await loop.create_server(partial(Connection, shared), sock=listener, backlog=BACKLOG)
        for listener, shared in endpoints
    ]
    on_listening()
    await until(stopped)
    on_draining()
    for server in servers:
        server.close()
    for shared in all_shared:
        shared.drain()
    ends = loop.time() + drain_seconds
    await until(
        lambda: interrupted_again() or not any(each.connections for each in all_shared) or loop.time() > ends
    )
    for connection in [each for shared in all_shared for each in shared.connections]:
        connection.abort()
    all_shared[0].app.webhook.spool.close()


@contextmanager
def signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT: while serving, the first drains, and the second ends the server at once."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before: dict[int, Any] = {
        number: signal.signal(number, lambda number, _frame: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def most_connections() -> int:
    """Raise the limit of open files as far as allowed; return how many connections may use.

    Idle connections soon use up a service manager's default of 1,024 files. Without a reserve, nothing could be read, stored
    or run, and GitHub could not be asked.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _useful(soft) < _useful(hard):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (_useful(hard), hard))
    return connections_within(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def connections_within(limit: int) -> int:
    """Return how many connections may use a limit of open files: all but a reserve, and half of a small limit."""
    files = _useful(limit)
    return max(files - RESERVED_FILES, files // 2)


def _useful(limit: int) -> int:
    return MOST_FILES if limit == resource.RLIM_INFINITY else min(limit, MOST_FILES)


def bind(host: str, port: int) -> socket.socket:
    """Open the listening socket. Raises OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:  # the host name cannot be encoded
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    family, kind, protocol, _, where = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener


def base_address(listener: socket.socket, *, wildcard: bool = True) -> str:
    """Return `http://HOST:PORT` of a bound socket; without `wildcard` the loopback address for one that listens on all."""
    host, port = listener.getsockname()[:2]
    if not wildcard:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
