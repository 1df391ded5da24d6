"""A service that takes messages: a real HTTP server on this machine, for `json://` and for the forms of chats."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.until import until


class Taken(NamedTuple):
    """A message that arrived."""

    path: str
    title: str
    body: str
    everything: str


class Service(ThreadingHTTPServer):
    """Keeps what arrives. `status` is what it answers; `before` is called before each answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[Taken] = []
        self.status = 200
        self.location: str | None = None
        self.before: Callable[[], object] = lambda: None

    def url(self, scheme: str = "json", path: str = "hook") -> str:
        """Return a URL of a notifier that leads here."""
        return f"{scheme}://127.0.0.1:{self.server_port}/{path}"

    def wait(self, count: int = 1) -> list[Taken]:
        """Wait until that many messages have arrived, and return all."""
        until(f"message {count}", lambda: len(self.taken) >= count)
        return self.taken


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        """Keep a message."""
        raw = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        sent: dict[str, Any] = json.loads(raw)
        title, body = sent.get("title", ""), sent.get("message", sent.get("text", ""))
        self.server.taken.append(Taken(self.path, title, body, f"{self.path} {self.headers} {raw}"))
        self.server.before()
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


@contextmanager
def service() -> Iterator[Service]:
    """Run a service."""
    running = Service()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.shutdown()
        running.server_close()
