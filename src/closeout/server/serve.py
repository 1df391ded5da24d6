"""Serve the application over HTTP until a signal says stop; then let what is in flight end.

uvicorn is set up here and nowhere else. The socket is bound before anything is started, so that a port in use is
an error of the command and not a line in a log.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import uvicorn

from closeout.server.asgi import App
from closeout.server.protocol import HEAD_SECONDS, Guarded, guarded

KEEP_ALIVE_SECONDS = 75
DRAIN_SECONDS = 10
BACKLOG = 2048
MOST_FILES = 8192
RESERVED_FILES = 512
"""For the ledger's readers, scripts, and connections to GitHub and AWS."""


def run(  # noqa: PLR0913 - each argument is a choice of who serves
    app: App,
    host: str,
    port: int,
    on_listening: Callable[[str], None],
    *,
    on_draining: Callable[[], None] = lambda: None,
    drain_seconds: int = DRAIN_SECONDS,
    head_seconds: float = HEAD_SECONDS,
    stop: threading.Event | None = None,
) -> bool:
    """Serve until SIGTERM or SIGINT (or `stop`, for a server in a thread). True if it ended in good order.

    `on_listening` gets the base address once connections are taken; port 0 takes a free one. `on_draining` is
    called when the end begins. In-flight requests get `drain_seconds`; a second signal ends at once (False).
    Raises OSError when the address cannot be bound.
    """
    with bind(host, port) as listener:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=guarded(getattr(app, "take", None), most_connections()),
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=drain_seconds,
        )
        # uvicorn's own lines say things that ours say better, and its access log would hold signatures.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        address = base_address(listener)
        server = _Server(config, lambda: on_listening(address), on_draining, head_seconds, stop)
        server.run(sockets=[listener])
        return not server.force_exit


def most_connections() -> int:
    """Ask for as many open files as this process may have; give how many of them connections may take.

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
    """Give `http://HOST:PORT` of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """uvicorn's server with our signals, and a sweep over connections that never finish a head."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_listening: Callable[[], None],
        on_draining: Callable[[], None],
        head_seconds: float,
        stop: threading.Event | None,
    ) -> None:
        super().__init__(config)
        self._on_listening = on_listening
        self._on_draining = on_draining
        self._head_seconds = head_seconds
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_listening()

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Guarded):
                    connection.sweep(now, self._head_seconds)
        if self._stop is not None and self._stop.is_set():
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_draining()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain on the first signal, stop at once on the second (uvicorn would go on for a second SIGTERM)."""
        del sig, frame
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals while serving. Unlike uvicorn's, nothing is raised again: the exit code is ours."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        taken: dict[int, Any] = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in taken.items():
                signal.signal(number, handler)
