"""An HTTP/1.1 connection to an AWS endpoint: a request out, an answer in, kept for the next.

`http.client` would do, but it imports the whole of `email` to read four headers: 10 ms of a cold start of 50. What is
spoken here is the little that AWS's endpoints speak; anything else is an error, and an error is tried again or told.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

from closeout.core.lean import NamedTuple
from closeout.lambdas.trust import Trust

LONGEST_LINE = 65_536
LONGEST_HEAD = 200
MOST_INTERIM = 10
"""Answers of 100 to 199, and the one after them."""
LARGEST_BODY = 8 * 1024 * 1024
PIECE = 65_536
NOTHING = frozenset(("BlockingIOError", "SSLWantReadError"))
"""Nobody said anything, or only TLS itself did: a server's tickets come after the handshake. By name, as `ssl` may not be there."""


class Broken(Exception):
    """The connection broke, or what came is not HTTP/1.1, or it took too long: nothing is known of the request."""


class Response(NamedTuple):
    """An answer, header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """One connection. After `Broken`, or when `kept` is False, it is of no more use.

    `until` is the moment, by `time.monotonic`, after which nobody waits any more, whatever trickles in until then. What
    it does not bound is the look-up of the name.
    """

    def __init__(self, scheme: str, host: str, trust: Trust, until: float) -> None:
        self.kept = True
        self._until = until
        self._received = bytearray()
        name, _, port = host.partition(":")
        try:
            # Only what is plainly `http` goes in the clear, so that no other spelling of `https` does.
            if scheme == "http":
                self._socket = _connected(name, int(port or 80), until)
            else:
                self._socket = _secured(name, int(port or 443), trust, until)
        except (OSError, ValueError) as error:
            raise Broken(type(error).__name__) from None

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, until: float
    ) -> Response:
        """Send a request and return its answer. Raises `Broken`."""
        self._until = until
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"{method} {target} HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode()
        try:
            self._send(request + body)
            return self._answer()
        except (OSError, ValueError) as error:
            raise Broken(type(error).__name__) from None

    def dropped(self) -> bool:
        """Whether the other side has closed it, or said something unasked: it is of no more use then."""
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except (OSError, ValueError) as error:
            return bool(self._received) or type(error).__name__ not in NOTHING
        return True

    def close(self) -> None:
        """Close it."""
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
        return self._rest()

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

    # --- pieces -----------------------------------------------------------------------------------------------

    def _exactly(self, size: int) -> bytes:
        if not 0 <= size <= LARGEST_BODY:
            raise Broken("the answer is too large")
        while len(self._received) < size:
            self._receive_more()
        return self._take(size)

    def _line(self) -> str:
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > LONGEST_LINE:
                raise Broken("a line of the answer is too long")
            self._receive_more()
        return self._take(end + 1).decode("latin-1").rstrip("\r\n")

    def _rest(self) -> bytes:
        """Return all until the other side closes the connection."""
        while self._receive():
            if len(self._received) > LARGEST_BODY:
                raise Broken("the answer is too large")
        return self._take(len(self._received))

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _receive_more(self) -> None:
        if not self._receive():
            raise Broken("the answer broke off")

    def _receive(self) -> bool:
        """Wait for the next piece; False at the end."""
        self._socket.settimeout(_left(self._until))
        piece = self._socket.recv(PIECE)
        self._received += piece
        return bool(piece)

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._socket.settimeout(_left(self._until))
            left = left[self._socket.send(left) :]


def _left(until: float) -> float:
    """Return the seconds until then. Raises `TimeoutError` when there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connected(name: str, port: int, until: float) -> socket.socket:
    """Connect to the first address that answers; each is given its part of the time. Raises `OSError`."""
    # bytes, here and for TLS: for text Python imports what knows of names in other scripts, 1 ms of a cold start
    addresses = socket.getaddrinfo(name.encode("ascii"), port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(until) / (len(addresses) - number + 1))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            connection.close()
            if number == len(addresses):
                raise
        else:
            return connection
    raise OSError("no address")


def _secured(name: str, port: int, trust: Trust, until: float) -> socket.socket:
    """Connect, and verify who is there: with all the machine's roots if AWS's own do not know him. Raises `OSError`."""
    import ssl  # noqa: PLC0415 - what an emulator over plain HTTP does not need

    while True:
        connection = _connected(name, port, until)
        try:
            connection.settimeout(_left(until))
            return trust.context().wrap_socket(connection, server_hostname=name.encode("ascii"))
        except ssl.SSLCertVerificationError:
            connection.close()
            if not trust.widen():
                raise
        except BaseException:
            connection.close()
            raise
