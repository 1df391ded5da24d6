"""Two HTTP listeners for redirects: the configured host, which sends callers elsewhere, and the stranger they are sent to."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

LOCATIONS = (
    "http://{evil}/x",
    r"http://{evil}\@{own}/x",
    r"http://{own}\@{evil}/x",
    "http://{own}@{evil}/x",
    "http://{evil}@{own}/x",
    "http://{own}#@{evil}/x",
    "http://{evil}#@{own}/x",
    "http://{own}?@{evil}/x",
    "http://{evil}?@{own}/x",
    "http://{own}:80@{evil}/x",
    "http://user:password@{evil}/x",
    "//{evil}/x",
    r"\\{evil}/x",
    r"/\{evil}/x",
    r"http:\\{evil}\x",
    "http:///{evil}/x",
    "http:/{evil}/x",
    "http:{evil}/x",
    "HTTP://{evil}/x",
    "http://{own} @{evil}/x",
    "http://{own}\t@{evil}/x",
    " http://{evil}/x",
    "http://{evil}%00@{own}/x",
    "http://{evil}%23@{own}/x",
    "http://{evil}%5c@{own}/x",
    "http://{evil};@{own}/x",
    "http://{evil}\x85@{own}/x",
    "http://2130706434:{evil_port}/x",
    "http://0x7f000002:{evil_port}/x",
    "http://[::ffff:127.0.0.2]:{evil_port}/x",
    "https://{evil}/x",
    "ftp://{evil}/x",
    "file:///etc/passwd",
    "http://",
    "http://[",
    "http://{own}:99999999/x",
    "",
)
"""`{own}` is the origin that was configured, `{evil}` another one."""


class Stranger:
    """Listens and remembers: how many came, and how many secrets they brought with them."""

    def __init__(self, secrets: Sequence[str], host: str = "127.0.0.2") -> None:
        self.calls: list[str] = []
        self.secrets = 0

        def answer(handler: BaseHTTPRequestHandler) -> None:
            said = f"{handler.requestline}\n{handler.headers}"
            self.calls.append(handler.requestline)
            self.secrets += sum(said.count(secret) for secret in secrets)
            _send(handler, 200, {})

        self._server = _Listener(answer, host)
        self.address = self._server.address
        self.port = self._server.port

    def __enter__(self) -> Self:
        self._server.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.end()


class Configured:
    """The host that a step calls: `/hook/N` redirects by the Nth location that `locate` gives, the rest is 200."""

    def __init__(self, locate: Callable[[int, str], str | None]) -> None:
        self.calls = 0

        def answer(handler: BaseHTTPRequestHandler) -> None:
            self.calls += 1
            found = re.fullmatch(r"/hook/(\d+)", handler.path)
            location = locate(int(found[1]), self.address) if found else None
            _send(
                handler, 200 if location is None else 307, {} if location is None else {"Location": location}
            )

        self._server = _Listener(answer, "127.0.0.1")
        self.address = self._server.address

    def __enter__(self) -> Self:
        self._server.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.end()


class _Listener:
    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None], host: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer any method."""
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer(self)

            do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the base class names them so

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
                """Say nothing."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.address = f"{host}:{self.port}"

    def begin(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def location(number: int, own: str, stranger: Stranger) -> str:
    """Return a hostile location, by its number."""
    text = LOCATIONS[number % len(LOCATIONS)]
    return text.format(own=own, evil=stranger.address, evil_port=stranger.port)


def _send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": "2"}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(b"ok")
