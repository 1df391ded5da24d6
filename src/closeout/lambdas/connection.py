"""An HTTP/1.1 connection to an AWS endpoint: a request out, an answer in, kept for the next.

`http.client` would do, but it imports the whole of `email` to read four headers: 10 ms of a cold start of 50. What is
spoken here is the little that AWS's endpoints speak; anything else is an error, and an error is tried again or told.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, BinaryIO, NamedTuple

TIMEOUT = 3.0
"""Seconds for a connection, and for each piece of an answer."""
LONGEST_LINE = 65_536
LONGEST_HEAD = 200
MOST_INTERIM = 10
"""Answers of 100 to 199, and the one after them."""
LARGEST_BODY = 8 * 1024 * 1024


class Broken(Exception):
    """The connection broke, or what came is not HTTP/1.1: nothing is known of the request."""


class Response(NamedTuple):
    """An answer, header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One connection. After `Broken`, or when `kept` is False, it is of no more use."""

    def __init__(self, scheme: str, host: str) -> None:
        self.kept = True
        name, _, port = host.partition(":")
        try:
            connection = socket.create_connection(
                (name, int(port or (443 if scheme == "https" else 80))), TIMEOUT
            )
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                connection = _secured(connection, name)
        except (OSError, ValueError) as error:
            raise Broken(type(error).__name__) from None
        self._socket = connection
        self._incoming: BinaryIO = connection.makefile("rb")

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Send a request and give its answer. Raises `Broken`."""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"{method} {target} HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode()
        try:
            self._socket.sendall(request + body)
            return self._answer()
        except (OSError, ValueError) as error:
            raise Broken(type(error).__name__) from None

    def dropped(self) -> bool:
        """Whether the other side has closed it, or said something unasked: it is of no more use then."""
        try:
            return bool(select.select((self._socket,), (), (), 0)[0])
        except (OSError, ValueError):
            return True

    def close(self) -> None:
        """Close it."""
        self._incoming.close()
        self._socket.close()

    def _answer(self) -> Response:
        for _ in range(MOST_INTERIM):
            version, _, rest = self._line().partition(" ")
            if version not in {"HTTP/1.1", "HTTP/1.0"}:
                raise Broken("not HTTP")
            status = int(rest[:3])
            headers = self._headers()
            if not 100 <= status < 200:
                closing = headers.get("connection", "").lower() == "close"
                self.kept = version == "HTTP/1.1" and not closing
                return Response(status, headers, self._body(status, headers))
        raise Broken("no answer among those that only say to go on")

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(LONGEST_HEAD):
            line = self._line()
            if not line:
                return headers
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        raise Broken("too many headers")

    def _body(self, status: int, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        if status == 204:
            return b""
        self.kept = False
        return self._incoming.read(LARGEST_BODY)

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        left = LARGEST_BODY
        while True:
            size = int(self._line().partition(";")[0], 16)
            left -= size
            if left < 0:
                raise Broken("the answer is too large")
            if size == 0:
                self._headers()
                return b"".join(parts)
            parts.append(self._exactly(size))
            self._line()

    def _exactly(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST_BODY:
            raise Broken("the answer is too large")
        body = self._incoming.read(size)
        if len(body) != size:
            raise Broken("the answer broke off")
        return body

    def _line(self) -> str:
        line = self._incoming.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise Broken("the answer broke off")
        return line.decode("latin-1").rstrip("\r\n")


def _secured(connection: socket.socket, name: str) -> socket.socket:
    secured: socket.socket = context().wrap_socket(connection, server_hostname=name.encode())
    return secured


@lru_cache(maxsize=1)
def context() -> Any:
    """Give the TLS context of every connection: to read the machine's roots takes 15 ms, so it is done once."""
    import ssl  # noqa: PLC0415 - what an emulator over plain HTTP does not need

    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE") or None)
