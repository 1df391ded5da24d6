"""An `http.client` connection that ends every exchange at a deadline.

A socket's timeout restarts with each byte that arrives, so a slow server could hold a thread forever, or the receiver until
Lambda ends it. Here each wait gets only the time that is left. Only the look-up of a name is not bounded. It imports little
of the standard library and nothing else, because the receiver on AWS uses it, too.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, cast


class DeadlineConnection(http.client.HTTPConnection):
    """A connection to `host` (`name`, or `name:port` if no `port` is given), over TLS unless `context` is None.

    Set `deadline`, a time of `time.monotonic`, before each exchange. After it, `TimeoutError` is raised.
    """

    def __init__(
        self, host: str, context: ssl.SSLContext | None, deadline: float, port: int | None = None
    ) -> None:
        if port is None:
            host, _, given = host.partition(":")
            port = int(given or (http.client.HTTP_PORT if context is None else http.client.HTTPS_PORT))
        super().__init__(host, port)
        self.deadline = deadline
        self._context = context

    def connect(self) -> None:
        """Connect to the first address that answers, and verify the server. Raises `OSError`."""
        connected = self._connected()
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connected.settimeout(self._left())
                connected = self._context.wrap_socket(connected, server_hostname=self.host)
        except BaseException:
            connected.close()
            raise
        self.sock = cast("socket.socket", _TimedSocket(connected, self._left))

    def dropped(self) -> bool:
        """Return whether the server has closed the connection, or sent something unasked."""
        timed: Any = self.sock
        return timed is None or not timed.silent()

    def addresses(self) -> list[str]:
        """Look up the addresses to connect to. Raises `OSError`."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        return [str(entry[4][0]) for entry in found]

    def _connected(self) -> socket.socket:
        """Return a socket; each address gets its share of the time, so that one that drops packets does not use up all of it."""
        addresses = self.addresses()
        for number, address in enumerate(addresses[:-1]):
            try:
                share = self._left() / (len(addresses) - number)
                return socket.create_connection((address, self.port), share)
            except OSError:
                continue
        return socket.create_connection((addresses[-1], self.port), self._left())

    def _left(self) -> float:
        """Return the seconds until the deadline. Raises `TimeoutError` when it has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _TimedSocket:
    """The part of a socket that `http.client` uses; each send and receive waits for `left()` seconds at most."""

    def __init__(self, connected: socket.socket, left: Callable[[], float]) -> None:
        self._socket = connected
        self._left = left

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(self._left())
            rest = rest[self._socket.send(rest) :]

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file from which an answer is read."""
        return io.BufferedReader(_TimedReader(self._socket, self._left))

    def silent(self) -> bool:
        """Return whether the connection is open and nothing has arrived. TLS's own records, like tickets, do not count."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Close the connection once its files are closed."""
        self._socket.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, left: Callable[[], float]) -> None:
        self._socket = connected
        self._left = left
        self._file = connected.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._left())
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
